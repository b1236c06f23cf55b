package posthogexporter // import "github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter"

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Source names one value of a span. Exactly one of its members is set.
type Source struct {
	// Attribute is the key of an attribute of the span.
	Attribute string `mapstructure:"attribute"`

	// ResourceAttribute is the key of an attribute of the span's resource.
	ResourceAttribute string `mapstructure:"resource_attribute"`

	// Intrinsic is something that every span has.
	Intrinsic Intrinsic `mapstructure:"intrinsic"`
}

// Intrinsic is a value that a span has without attributes. An empty text counts as a value that is missing.
type Intrinsic string

const (
	IntrinsicName          Intrinsic = "name"
	IntrinsicKind          Intrinsic = "kind"
	IntrinsicStatus        Intrinsic = "status"
	IntrinsicStatusMessage Intrinsic = "status_message"
	IntrinsicStartTime     Intrinsic = "start_time"
	IntrinsicEndTime       Intrinsic = "end_time"
	IntrinsicDurationMs    Intrinsic = "duration_ms"
	IntrinsicTraceID       Intrinsic = "trace_id"
	IntrinsicSpanID        Intrinsic = "span_id"
	IntrinsicParentSpanID  Intrinsic = "parent_span_id"
	IntrinsicScopeName     Intrinsic = "scope_name"
	IntrinsicScopeVersion  Intrinsic = "scope_version"
)

var intrinsics = []Intrinsic{
	IntrinsicName, IntrinsicKind, IntrinsicStatus, IntrinsicStatusMessage, IntrinsicStartTime, IntrinsicEndTime,
	IntrinsicDurationMs, IntrinsicTraceID, IntrinsicSpanID, IntrinsicParentSpanID, IntrinsicScopeName,
	IntrinsicScopeVersion,
}

// Validate refuses a source with two members or an unknown intrinsic; whether it may be empty is for its owner to say.
func (s Source) Validate() error {
	set := 0
	for _, member := range []string{s.Attribute, s.ResourceAttribute, string(s.Intrinsic)} {
		if member != "" {
			set++
		}
	}
	if set > 1 {
		return errors.New("exactly one of attribute, resource_attribute and intrinsic must be set")
	}
	if s.Intrinsic != "" && !slices.Contains(intrinsics, s.Intrinsic) {
		return fmt.Errorf("unknown intrinsic %q, must be one of %v", s.Intrinsic, intrinsics)
	}
	return nil
}

func (s Source) isEmpty() bool {
	return s == Source{}
}

// located is a span together with what it belongs to.
type located struct {
	resource pcommon.Resource
	scope    pcommon.InstrumentationScope
	span     ptrace.Span
}

// appendJSON appends the value in canonical JSON; false, and nothing appended, where the span has none.
func (s Source) appendJSON(dst []byte, at located) ([]byte, bool) {
	if s.Intrinsic == IntrinsicDurationMs {
		return strconv.AppendUint(dst, durationMs(at.span), 10), true
	}
	if s.Intrinsic != "" {
		text := s.Intrinsic.text(at)
		if text == "" {
			return dst, false
		}
		return appendString(dst, text), true
	}
	value, ok := s.attribute(at)
	if !ok {
		return dst, false
	}
	return appendValue(dst, value, 0), true
}

// text is the value where it can name something: a string, or an integer in decimal; else empty.
func (s Source) text(at located) string {
	if s.Intrinsic != "" {
		return s.Intrinsic.text(at)
	}
	value, ok := s.attribute(at)
	if !ok {
		return ""
	}
	switch value.Type() {
	case pcommon.ValueTypeStr:
		return value.Str()
	case pcommon.ValueTypeInt:
		return strconv.FormatInt(value.Int(), 10)
	default:
		return ""
	}
}

func (s Source) attribute(at located) (pcommon.Value, bool) {
	if s.ResourceAttribute != "" {
		return at.resource.Attributes().Get(s.ResourceAttribute)
	}
	return at.span.Attributes().Get(s.Attribute)
}

func (i Intrinsic) text(at located) string {
	switch i {
	case IntrinsicName:
		return at.span.Name()
	case IntrinsicKind:
		return strings.ToLower(at.span.Kind().String())
	case IntrinsicStatus:
		return strings.ToLower(at.span.Status().Code().String())
	case IntrinsicStatusMessage:
		return at.span.Status().Message()
	case IntrinsicStartTime:
		return string(appendTimestamp(nil, at.span.StartTimestamp()))
	case IntrinsicEndTime:
		return string(appendTimestamp(nil, at.span.EndTimestamp()))
	case IntrinsicDurationMs:
		return strconv.FormatUint(durationMs(at.span), 10)
	case IntrinsicTraceID:
		return at.span.TraceID().String()
	case IntrinsicSpanID:
		return at.span.SpanID().String()
	case IntrinsicParentSpanID:
		return at.span.ParentSpanID().String()
	case IntrinsicScopeName:
		return at.scope.Name()
	case IntrinsicScopeVersion:
		return at.scope.Version()
	default:
		return ""
	}
}

// durationMs is whole milliseconds, and 0 for a span that ends before it starts.
func durationMs(span ptrace.Span) uint64 {
	if span.EndTimestamp() < span.StartTimestamp() {
		return 0
	}
	return uint64(span.EndTimestamp()-span.StartTimestamp()) / uint64(time.Millisecond)
}

// appendTimestamp appends RFC 3339 in UTC with milliseconds; the rest is cut off, never rounded up. It does not go
// through Timestamp.AsTime, which takes the later half of the range for negative.
func appendTimestamp(dst []byte, at pcommon.Timestamp) []byte {
	const second = uint64(time.Second)
	whole := time.Unix(int64(uint64(at)/second), 0).UTC()
	// A layout of the time package's own is several times as fast as one with milliseconds.
	dst = whole.AppendFormat(dst, time.RFC3339)
	ms := uint64(at) % second / uint64(time.Millisecond)
	return append(dst[:len(dst)-1], '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}
