package posthogexporter // import "github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter"

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxEventBytes is what PostHog's queue takes in one message.
const maxEventBytes = 1_000_000

// namespace of the events' uuids: the UUIDv5 of https://franklinwh-telemetry.invalid/posthog-event in the namespace
// for URLs. A change of it would store twice whatever is being retried.
var namespace = [16]byte{
	0xaf, 0x72, 0xcd, 0x49, 0x44, 0x0a, 0x50, 0x0d, 0x8c, 0xde, 0x47, 0x5d, 0xbf, 0x99, 0xc7, 0xa0,
}

// reason is why a span makes no event, empty where it makes one: the values of the metric's attribute.
type reason string

const (
	reasonNoIDs        reason = "no_ids"
	reasonNoEventName  reason = "no_event_name"
	reasonNoDistinctID reason = "no_distinct_id"
	reasonTooLarge     reason = "too_large"
	reasonRefused      reason = "refused"
)

// mapping makes events of spans, from what the configuration lists and nothing else.
type mapping struct {
	eventName     string
	eventNameFrom Source
	distinctID    Source
	properties    []property
}

// property is a member of an event's properties, or several constants that follow each other.
type property struct {
	name string
	// member is `"name":` for a source, and all that is written for constants.
	member     []byte
	isConstant bool
	source     Source
}

func newMapping(cfg *Config) (mapping, error) {
	m := mapping{eventName: cfg.EventName, eventNameFrom: cfg.EventNameFrom, distinctID: cfg.DistinctID}
	var listed []property
	for name, source := range cfg.Properties {
		listed = append(listed, property{name: name, member: memberOf(name), source: source})
	}
	for name, constant := range cfg.Constants {
		member, err := appendConstant(memberOf(name), constant)
		if err != nil {
			return mapping{}, fmt.Errorf("constants: %s: %w", name, err)
		}
		listed = append(listed, property{name: name, member: member, isConstant: true})
	}
	slices.SortFunc(listed, func(a, b property) int { return compareUTF16(a.name, b.name) })
	for _, next := range listed {
		if last := len(m.properties) - 1; next.isConstant && last >= 0 && m.properties[last].isConstant {
			m.properties[last].member = append(append(m.properties[last].member, ','), next.member...)
			continue
		}
		m.properties = append(m.properties, next)
	}
	return m, nil
}

func memberOf(name string) []byte {
	return append(appendString(nil, name), ':')
}

// appendConstant appends a text, a number or a truth value, which are all that a constant may be.
func appendConstant(dst []byte, constant any) ([]byte, error) {
	switch value := constant.(type) {
	case string:
		return appendString(dst, value), nil
	case bool:
		return strconv.AppendBool(dst, value), nil
	case int:
		return strconv.AppendInt(dst, int64(value), 10), nil
	case int64:
		return strconv.AppendInt(dst, value, 10), nil
	case uint64:
		return strconv.AppendUint(dst, value, 10), nil
	case float64:
		return appendFloat(dst, value), nil
	default:
		return nil, fmt.Errorf("must be a text, a number, true or false, not %T", constant)
	}
}

// appendEvent appends one event in canonical JSON; with a reason, nothing is appended.
func (m *mapping) appendEvent(dst []byte, at located) ([]byte, reason) {
	before := len(dst)
	if at.span.TraceID().IsEmpty() || at.span.SpanID().IsEmpty() {
		return dst, reasonNoIDs
	}
	// PostHog refuses the whole batch for one event without these two.
	distinctID := m.distinctID.text(at)
	if !isName(distinctID) {
		return dst, reasonNoDistinctID
	}
	eventName := m.eventName
	if !m.eventNameFrom.isEmpty() {
		if own := m.eventNameFrom.text(at); isName(own) {
			eventName = own
		}
	}
	if eventName == "" {
		return dst, reasonNoEventName
	}

	dst = appendString(append(dst, `{"distinct_id":`...), distinctID)
	dst = appendString(append(dst, `,"event":`...), eventName)
	dst = append(dst, `,"properties":{`...)
	first := true
	for i := range m.properties {
		dst, first = m.properties[i].append(dst, at, first)
	}
	dst = appendTimestamp(append(dst, `},"timestamp":"`...), at.span.StartTimestamp())
	dst = appendUUID(append(dst, `","uuid":"`...), at.span.TraceID(), at.span.SpanID())
	dst = append(dst, `"}`...)

	if len(dst)-before > maxEventBytes {
		return dst[:before], reasonTooLarge
	}
	return dst, ""
}

func (p *property) append(dst []byte, at located, first bool) ([]byte, bool) {
	before := len(dst)
	if !first {
		dst = append(dst, ',')
	}
	dst = append(dst, p.member...)
	if p.isConstant {
		return dst, false
	}
	dst, ok := p.source.appendJSON(dst, at)
	if !ok {
		return dst[:before], first
	}
	return dst, false
}

// isName refuses what is blank, and what is not UTF-8: its bytes would be replaced, and two ids could become one.
func isName(text string) bool {
	return strings.TrimSpace(text) != "" && utf8.ValidString(text)
}

// appendUUID appends the UUIDv5 of both ids in hex. PostHog drops duplicates by it, so every retry must carry the same.
func appendUUID(dst []byte, traceID [16]byte, spanID [8]byte) []byte {
	var named [16 + 48]byte
	copy(named[:], namespace[:])
	hex.Encode(named[16:], traceID[:])
	hex.Encode(named[48:], spanID[:])
	sum := sha1.Sum(named[:])
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	var digits [32]byte
	hex.Encode(digits[:], sum[:16])
	for _, group := range [...][]byte{digits[:8], digits[8:12], digits[12:16], digits[16:20]} {
		dst = append(append(dst, group...), '-')
	}
	return append(dst, digits[20:]...)
}
