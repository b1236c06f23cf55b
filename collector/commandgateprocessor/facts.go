package commandgateprocessor

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const (
	applicationKey = "service.name"
	commandKey     = "franklinwh.command"
	latencyKey     = "franklinwh.execution_latency_ms"
	successKey     = "franklinwh.success"
	uuidKey        = "franklinwh.execution_uuid"
)

const (
	maxLatencyMS = int64(7 * 24 * time.Hour / time.Millisecond)
	// Records wait at most 30 days where they were made, and then in a queue; what is older comes from no such place.
	maxAgeMS = int64(45 * 24 * time.Hour / time.Millisecond)
	// PostHog takes what is 23 h ahead, and changes the time of what is further ahead.
	maxAheadMS = int64(22 * time.Hour / time.Millisecond)
)

const nanosecondsPerMS = uint64(time.Millisecond)

// executionUUID is a version 4 UUID of RFC 9562 in its lower-case form of 36 characters; only parseUUID makes one.
type executionUUID string

// facts are the five facts about one finished command, and the ids that keep its retries together.
// No field can hold free text: command is a member of a vocabulary, or `other`.
type facts struct {
	command       string
	executedAtMS  uint64
	latencyMS     int64
	success       bool
	executionUUID executionUUID
	traceID       pcommon.TraceID
	spanID        pcommon.SpanID
}

// parser turns spans into facts; nowMS is the time against which their age is judged.
type parser struct {
	nowMS          int64
	unknownCommand UnknownCommand
}

// parse returns the facts of a span, or why it has none; listed is false where its command became `other`.
func (p parser) parse(span ptrace.Span, allowed *vocabulary) (parsed facts, listed bool, why reason) {
	executedAtMS := uint64(span.StartTimestamp()) / nanosecondsPerMS
	if why = first(idsFault(span), p.ageFault(executedAtMS)); why != accepted {
		return facts{}, false, why
	}
	var command, latency, success, uuid sought
	for key, value := range span.Attributes().All() {
		switch key {
		case commandKey:
			command.note(value)
		case latencyKey:
			latency.note(value)
		case successKey:
			success.note(value)
		case uuidKey:
			uuid.note(value)
		}
	}
	why = first(
		command.fault(pcommon.ValueTypeStr),
		latency.fault(pcommon.ValueTypeInt),
		success.fault(pcommon.ValueTypeBool),
		uuid.fault(pcommon.ValueTypeStr),
	)
	if why != accepted {
		return facts{}, false, why
	}
	parsed = facts{
		executedAtMS: executedAtMS,
		latencyMS:    latency.value.Int(),
		success:      success.value.Bool(),
		traceID:      span.TraceID(),
		spanID:       span.SpanID(),
	}
	if parsed.command, listed = allowed.member(command.value.Str()); !listed {
		if p.unknownCommand != UnknownCommandOther {
			return facts{}, false, unknownCommand
		}
		parsed.command = otherCommand
	}
	if parsed.latencyMS < 0 || parsed.latencyMS > maxLatencyMS {
		return facts{}, false, latencyOutOfRange
	}
	var valid bool
	if parsed.executionUUID, valid = parseUUID(uuid.value.Str()); !valid {
		return facts{}, false, invalidUUID
	}
	return parsed, listed, accepted
}

func idsFault(span ptrace.Span) reason {
	if span.TraceID().IsEmpty() || span.SpanID().IsEmpty() {
		return emptyID
	}
	return accepted
}

// ageFault takes any time that nanoseconds can express: as milliseconds it is far below the limit of an int64.
func (p parser) ageFault(executedAtMS uint64) reason {
	switch ageMS := p.nowMS - int64(executedAtMS); {
	case ageMS > maxAgeMS:
		return tooOld
	case ageMS < -maxAheadMS:
		return tooFarAhead
	default:
		return accepted
	}
}

// parseApplication returns the application that a resource names.
func parseApplication(resource pcommon.Resource) (string, reason) {
	var application sought
	for key, value := range resource.Attributes().All() {
		if key == applicationKey {
			application.note(value)
		}
	}
	if why := application.fault(pcommon.ValueTypeStr); why != accepted {
		return "", why
	}
	return application.value.Str(), accepted
}

// parseUUID accepts only random UUIDs, so that neither a name nor a machine's address can be an id.
func parseUUID(text string) (executionUUID, bool) {
	valid := len(text) == 36 &&
		text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-' &&
		text[14] == '4' && (text[19] == '8' || text[19] == '9' || text[19] == 'a' || text[19] == 'b') &&
		isHex(text[:8]) && isHex(text[9:13]) && isHex(text[15:18]) && isHex(text[20:23]) && isHex(text[24:])
	if !valid {
		return "", false
	}
	return executionUUID(text), true
}

// isHexDigit is a table, because this is asked of 29 characters of every span.
var isHexDigit = [256]bool{
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'a': true, 'b': true, 'c': true, 'd': true, 'e': true, 'f': true,
}

func isHex(text string) bool {
	for index := range len(text) {
		if !isHexDigit[text[index]] {
			return false
		}
	}
	return true
}

// sought is an attribute that was looked for, and how often it was there.
type sought struct {
	value pcommon.Value
	times int
}

func (s *sought) note(value pcommon.Value) {
	s.value = value
	s.times++
}

// fault says why there is not one value of this type.
func (s *sought) fault(wanted pcommon.ValueType) reason {
	switch {
	case s.times == 0:
		return missingAttribute
	case s.times > 1:
		// Which one counts is nowhere said, and each component downstream would choose for itself.
		return duplicateAttribute
	case s.value.Type() != wanted:
		return wrongType
	default:
		return accepted
	}
}
