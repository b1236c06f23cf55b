package requestlimitextension

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

var (
	errTooMany   = errors.New("the request holds too many messages")
	errTooDeep   = errors.New("the request holds messages too deep in one another")
	errMalformed = errors.New("the request is not protobuf of OTLP")
)

// kind is a message of OTLP that the receiver makes a structure of.
type kind uint8

const (
	// nothing is a field that holds no message, or one that no receiver decodes.
	nothing kind = iota
	traces
	resourceSpans
	resource
	entityRef
	scopeSpans
	scope
	span
	event
	link
	status
	keyValue
	anyValue
	arrayValue
	keyValueList
	// text is a string in a list of them: counted, but not followed.
	text
	kindCount
)

const maxField = 16

// fields has, by the kind of a message and the number of a field of it, what that field holds.
var fields = [kindCount][maxField]kind{
	traces:        {1: resourceSpans},
	resourceSpans: {1: resource, 2: scopeSpans},
	resource:      {1: keyValue, 3: entityRef},
	entityRef:     {3: text, 4: text},
	scopeSpans:    {1: scope, 2: span},
	scope:         {3: keyValue},
	span:          {9: keyValue, 11: event, 13: link, 15: status},
	event:         {3: keyValue},
	link:          {4: keyValue},
	keyValue:      {2: anyValue},
	anyValue:      {5: arrayValue, 6: keyValueList},
	arrayValue:    {1: anyValue},
	keyValueList:  {1: keyValue},
}

// limits are what one request may be.
type limits struct {
	messages int
	depth    int
}

// checkText counts what could begin an element of JSON, in strings too: no element is without one of these.
func (l limits) checkText(body []byte) error {
	found := 0
	for _, char := range body {
		if char == '{' || char == '[' || char == ',' {
			found++
		}
	}
	if found > l.messages {
		return errTooMany
	}
	return nil
}

// checkProtobuf follows those fields that hold messages, and copies nothing.
func (l limits) checkProtobuf(body []byte) error {
	left := l.messages
	return l.walk(body, traces, l.depth, &left)
}

// walk recurses at most l.depth deep. What it cannot read it refuses, lest a decoder should read it otherwise.
func (l limits) walk(message []byte, of kind, depth int, left *int) error {
	for len(message) > 0 {
		number, wireType, size := protowire.ConsumeTag(message)
		if size < 0 || wireType == protowire.StartGroupType || wireType == protowire.EndGroupType {
			return errMalformed
		}
		message = message[size:]
		if wireType != protowire.BytesType {
			if size = protowire.ConsumeFieldValue(number, wireType, message); size < 0 {
				return errMalformed
			}
			message = message[size:]
			continue
		}
		content, size := protowire.ConsumeBytes(message)
		if size < 0 {
			return errMalformed
		}
		message = message[size:]
		if number >= maxField || fields[of][number] == nothing {
			continue
		}
		if *left--; *left < 0 {
			return errTooMany
		}
		if fields[of][number] == text {
			continue
		}
		if depth == 0 {
			return errTooDeep
		}
		if err := l.walk(content, fields[of][number], depth-1, left); err != nil {
			return err
		}
	}
	return nil
}
