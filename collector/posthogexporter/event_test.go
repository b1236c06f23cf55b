package posthogexporter

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.yaml.in/yaml/v3"
)

// example is a span with something in every field, and a secret wherever a mapping does not look.
func example() located {
	rs := ptrace.NewResourceSpans()
	rs.Resource().Attributes().PutStr("service.name", "service")
	rs.Resource().Attributes().PutStr("host.id", "host")
	rs.Resource().Attributes().PutStr("host.name", "surprise")
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName("scope")
	ss.Scope().SetVersion("1.0")
	ss.Scope().Attributes().PutStr("surprise", "surprise")
	span := ss.Spans().AppendEmpty()
	fill(span, 1)
	span.SetParentSpanID(spanID(2))
	span.SetKind(ptrace.SpanKindServer)
	span.Status().SetCode(ptrace.StatusCodeError)
	span.Status().SetMessage("message")
	span.TraceState().FromRaw("surprise=1")
	span.Attributes().PutStr("http.route", "/<id>")
	span.Events().AppendEmpty().SetName("surprise")
	span.Links().AppendEmpty().TraceState().FromRaw("surprise=2")
	return located{rs.Resource(), ss.Scope(), span}
}

func mappingOf(t testing.TB, cfg *Config) *mapping {
	t.Helper()
	m, err := newMapping(cfg)
	require.NoError(t, err)
	return &m
}

func TestEventHoldsWhatIsListedAndNothingElse(t *testing.T) {
	written, why := mappingOf(t, loadConfig(t, "everything")).appendEvent(nil, example())
	assert.Empty(t, why)
	assert.Equal(t, `{"distinct_id":"host","event":"name","properties":{`+
		`"duration_ms":1834,"end_time":"2024-11-24T12:45:03.041Z","fraction":0.5,"kind":"server",`+
		`"parent_span_id":"0000000000000002","route":"/<id>","scope_name":"scope","scope_version":"1.0",`+
		`"service":"service","span_id":"0000000000000001","start_time":"2024-11-24T12:45:01.207Z","status":"error",`+
		`"status_message":"message","text":"some <text>","trace_id":"00000000000000000000000000000001","truth":true,`+
		`"whole":3},"timestamp":"2024-11-24T12:45:01.207Z","uuid":"`+uuidsOf(1)[0]+`"}`, string(written))
}

func TestWhatASpanLacksIsLeftOut(t *testing.T) {
	at := located{pcommon.NewResource(), pcommon.NewInstrumentationScope(), ptrace.NewSpan()}
	at.resource.Attributes().PutStr("host.id", "host")
	at.span.SetTraceID(pcommon.TraceID{1})
	at.span.SetSpanID(pcommon.SpanID{1})
	written, why := mappingOf(t, loadConfig(t, "everything")).appendEvent([]byte("before "), at)
	assert.Empty(t, why)
	assert.Equal(t, `before {"distinct_id":"host","event":"span","properties":{`+
		`"duration_ms":0,"end_time":"1970-01-01T00:00:00.000Z","fraction":0.5,"kind":"unspecified",`+
		`"span_id":"0100000000000000","start_time":"1970-01-01T00:00:00.000Z","status":"unset","text":"some <text>",`+
		`"trace_id":"01000000000000000000000000000000","truth":true,"whole":3},"timestamp":"1970-01-01T00:00:00.000Z",`+
		`"uuid":"`+string(appendUUID(nil, at.span.TraceID(), at.span.SpanID()))+`"}`, string(written))
}

func TestSpansThatMakeNoEvent(t *testing.T) {
	for name, c := range map[string]struct {
		why    reason
		change func(*Config, located)
	}{
		"no trace id":     {reasonNoIDs, func(_ *Config, at located) { at.span.SetTraceID(pcommon.TraceID{}) }},
		"no span id":      {reasonNoIDs, func(_ *Config, at located) { at.span.SetSpanID(pcommon.SpanID{}) }},
		"no id":           {reasonNoDistinctID, func(_ *Config, at located) { at.span.Attributes().Remove("user.id") }},
		"blank id":        {reasonNoDistinctID, func(_ *Config, at located) { at.span.Attributes().PutStr("user.id", " \t") }},
		"truth as id":     {reasonNoDistinctID, func(_ *Config, at located) { at.span.Attributes().PutBool("user.id", true) }},
		"not UTF-8 as id": {reasonNoDistinctID, func(_ *Config, at located) { at.span.Attributes().PutStr("user.id", "a\xff") }},
		"no event name": {reasonNoEventName, func(cfg *Config, _ located) {
			cfg.EventName, cfg.EventNameFrom = "", Source{Attribute: "missing"}
		}},
		"too large": {reasonTooLarge, func(_ *Config, at located) {
			at.span.Attributes().PutStr("plan", strings.Repeat("x", maxEventBytes))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, at := testConfig(), example()
			c.change(cfg, at)
			written, why := mappingOf(t, cfg).appendEvent([]byte("before"), at)
			assert.Equal(t, c.why, why)
			assert.Equal(t, "before", string(written))
		})
	}
}

func TestLargestEvent(t *testing.T) {
	const largest = 1_000_000 // of PostHog's, so not by the name that the exporter has for it
	at := example()
	at.span.Attributes().PutStr("plan", "")
	m := mappingOf(t, testConfig())
	empty, _ := m.appendEvent(nil, at)

	const before = "what is before it does not count"
	at.span.Attributes().PutStr("plan", strings.Repeat("x", largest-len(empty)))
	written, why := m.appendEvent([]byte(before), at)
	assert.Empty(t, why)
	assert.Len(t, written, len(before)+largest)

	at.span.Attributes().PutStr("plan", strings.Repeat("x", largest-len(empty)+1))
	_, why = m.appendEvent([]byte(before), at)
	assert.Equal(t, reasonTooLarge, why)
}

func TestNamesOfEvents(t *testing.T) {
	cfg, at := testConfig(), example()
	cfg.EventNameFrom = Source{Attribute: "event"}
	name := func() string {
		written, why := mappingOf(t, cfg).appendEvent(nil, at)
		require.Empty(t, why)
		_, rest, _ := strings.Cut(string(written), `"event":"`)
		found, _, _ := strings.Cut(rest, `"`)
		return found
	}
	assert.Equal(t, "span", name())
	at.span.Attributes().PutStr("event", "own")
	assert.Equal(t, "own", name())
	at.span.Attributes().PutInt("event", -7)
	assert.Equal(t, "-7", name())
	at.span.Attributes().PutDouble("event", 7)
	assert.Equal(t, "span", name())
	cfg.EventNameFrom = Source{Intrinsic: IntrinsicDurationMs}
	assert.Equal(t, "1834", name())
	cfg.EventNameFrom = Source{}
	at.span.Attributes().PutStr("", "surprise") // an attribute without a key, which the wire can hold
	assert.Equal(t, "span", name())
}

func TestConstantsOfEveryType(t *testing.T) {
	for written, constant := range map[string]any{
		`"some <text>"`:        "some <text>",
		"true":                 true,
		"false":                false,
		"-12":                  -12,
		"-9223372036854775808": int64(math.MinInt64),
		"18446744073709551615": uint64(math.MaxUint64),
		"0.5":                  0.5,
	} {
		member, err := appendConstant([]byte("before "), constant)
		require.NoError(t, err)
		assert.Equal(t, "before "+written, string(member))
	}
}

// Constants that follow each other are one piece, which costs an event as little as one of them; a source parts them.
func TestNeighbouringConstantsAreOnePiece(t *testing.T) {
	for name, c := range map[string]struct {
		constants, sources string
		pieces             []string
	}{
		"one":                   {"a", "", []string{`"a":1`}},
		"three":                 {"abc", "", []string{`"a":1,"b":1,"c":1`}},
		"before a source":       {"ab", "c", []string{`"a":1,"b":1`, `"c":`}},
		"after a source":        {"bc", "a", []string{`"a":`, `"b":1,"c":1`}},
		"on both sides":         {"abde", "c", []string{`"a":1,"b":1`, `"c":`, `"d":1,"e":1`}},
		"parted by every one":   {"ace", "bd", []string{`"a":1`, `"b":`, `"c":1`, `"d":`, `"e":1`}},
		"sources are no piece":  {"", "ab", []string{`"a":`, `"b":`}},
		"nothing but the event": {"", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Properties, cfg.Constants = map[string]Source{}, map[string]any{}
			for _, name := range c.sources {
				cfg.Properties[string(name)] = Source{Attribute: "plan"}
			}
			for _, name := range c.constants {
				cfg.Constants[string(name)] = 1
			}
			var pieces []string
			for _, piece := range mappingOf(t, cfg).properties {
				pieces = append(pieces, string(piece.member))
			}
			assert.Equal(t, c.pieces, pieces)
		})
	}
}

// As another library makes them, Python's uuid.uuid5: each bit but those of the version and the variant is the hash's.
func TestUUIDsAreOfVersion5(t *testing.T) {
	assert.Equal(t, []string{
		"f3f49917-5a04-567c-988d-fc5b9e1fedef",
		"33eed070-34b9-5863-88a9-d507560335c7",
		"43488ba2-2ae0-5023-bcff-66892d1c3b31",
		"2a82f0d4-b891-5114-a3bd-eddc11c95d92",
		"2ca62842-3f55-5ae5-8201-5b0154c4d087",
		"abe00b7b-d35c-5e80-852d-74aeffb12391",
		"0f8747c0-f5c5-5796-b03a-fc87ca44b257",
		"fd66d98c-465c-52cd-9dad-92223f7bb9bd",
	}, uuidsOf(numbers(1, 8)...))
}

func TestTimesAtTheirLimits(t *testing.T) {
	for nanoseconds, written := range map[uint64]string{
		0:                         "1970-01-01T00:00:00.000Z",
		999_999:                   "1970-01-01T00:00:00.000Z",
		1_735_689_599_999_999_999: "2024-12-31T23:59:59.999Z",
		1 << 63:                   "2262-04-11T23:47:16.854Z",
		1<<64 - 1:                 "2554-07-21T23:34:33.709Z",
	} {
		assert.Equal(t, written, string(appendTimestamp(nil, pcommon.Timestamp(nanoseconds))))
	}
}

func TestDurationIsWholeMillisecondsAndNeverNegative(t *testing.T) {
	span := ptrace.NewSpan()
	for _, c := range [][3]uint64{{0, 999_999, 0}, {0, 1_000_000, 1}, {2_000_000, 1_000_000, 0}, {0, 1<<64 - 1, 18_446_744_073_709}} {
		span.SetStartTimestamp(pcommon.Timestamp(c[0]))
		span.SetEndTimestamp(pcommon.Timestamp(c[1]))
		assert.Equal(t, c[2], durationMs(span))
	}
}

func TestEveryIntrinsicIsKnown(t *testing.T) {
	at := example()
	for _, intrinsic := range intrinsics {
		assert.NotEmpty(t, intrinsic.text(at), intrinsic)
	}
	assert.Empty(t, Intrinsic("unknown").text(at))
}

func TestReasonsAreThoseOfTheMetadata(t *testing.T) {
	text, err := os.ReadFile("metadata.yaml")
	require.NoError(t, err)
	var metadata struct {
		Attributes struct {
			Reason struct {
				Enum []reason `yaml:"enum"`
			} `yaml:"reason"`
		} `yaml:"attributes"`
	}
	require.NoError(t, yaml.Unmarshal(text, &metadata))
	assert.Equal(t, []reason{reasonNoIDs, reasonNoEventName, reasonNoDistinctID, reasonTooLarge, reasonRefused},
		metadata.Attributes.Reason.Enum)
}
