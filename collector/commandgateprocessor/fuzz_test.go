package commandgateprocessor

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// FuzzGate: whatever decodes as OTLP, each span that comes out has the one allowed shape, none is counted twice or
// not at all, and what came out comes out again unchanged.
func FuzzGate(f *testing.F) {
	for _, one := range contractCases(f) {
		f.Add(marshal(f, one.traces(f)), one.Facts.ExecutedAtMS)
	}
	f.Add(marshal(f, mixedTraces()), testNowMS)
	f.Add(marshal(f, canaryTraces("surprise", "status")), testNowMS)
	f.Add([]byte{}, int64(0))
	f.Fuzz(func(t *testing.T, encoded []byte, nowMS int64) {
		received, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(encoded)
		if err != nil {
			return
		}
		nowMS = max(0, min(nowMS, 253402300799999)) // any clock until the year 9999
		received.MarkReadOnly()
		made := newTestRebuilder(t, testConfig())
		rebuilt, counts := made.rebuild(received, nowMS)
		var counted int64
		for _, spans := range counts.spans {
			counted += spans
		}
		require.EqualValues(t, received.SpanCount(), counted)
		require.EqualValues(t, rebuilt.SpanCount(), counts.spans[accepted])
		requireShape(t, rebuilt, nowMS)

		again, counts := made.rebuild(rebuilt, nowMS)
		require.EqualValues(t, rebuilt.SpanCount(), counts.spans[accepted])
		require.Zero(t, counts.unlisted)
		require.True(t, bytes.Equal(marshal(t, rebuilt), marshal(t, again)))
	})
}

// requireShape rebuilds each span from nothing but its facts, by other code than the gate's, and compares all of it.
func requireShape(t *testing.T, rebuilt ptrace.Traces, nowMS int64) {
	t.Helper()
	expected := ptrace.NewTraces()
	applications := map[string]bool{}
	for _, resource := range rebuilt.ResourceSpans().All() {
		application, _ := resource.Resource().Attributes().Get("service.name")
		commands := testConfig().Vocabularies[application.Str()]
		require.NotEmpty(t, commands)
		require.False(t, applications[application.Str()])
		applications[application.Str()] = true
		spans := goodSpans(expected, application.Str())
		require.Equal(t, 1, resource.ScopeSpans().Len())
		for _, span := range resource.ScopeSpans().At(0).Spans().All() {
			requireFacts(t, span, commands, nowMS)
			copyFacts(span, addGoodSpan(spans, span.Name()))
		}
	}
	require.True(t, bytes.Equal(marshal(t, expected), marshal(t, rebuilt)), "only the facts come out")
}

func requireFacts(t *testing.T, span ptrace.Span, commands []string, nowMS int64) {
	t.Helper()
	require.Contains(t, append([]string{"other"}, commands...), span.Name())
	require.NotEqual(t, pcommon.TraceID{}, span.TraceID())
	require.NotEqual(t, pcommon.SpanID{}, span.SpanID())
	start := uint64(span.StartTimestamp())
	require.Zero(t, start%1_000_000)
	require.GreaterOrEqual(t, int64(start/1_000_000), nowMS-45*dayMS)
	require.LessOrEqual(t, int64(start/1_000_000), nowMS+22*hourMS)
	uuid, _ := span.Attributes().Get("franklinwh.execution_uuid")
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, uuid.Str())
	ms, _ := span.Attributes().Get("franklinwh.execution_latency_ms")
	require.GreaterOrEqual(t, ms.Int(), int64(0))
	require.LessOrEqual(t, ms.Int(), int64(7*dayMS))
}

func copyFacts(from, to ptrace.Span) {
	uuid, _ := from.Attributes().Get("franklinwh.execution_uuid")
	ms, _ := from.Attributes().Get("franklinwh.execution_latency_ms")
	success, _ := from.Attributes().Get("franklinwh.success")
	to.SetTraceID(from.TraceID())
	to.SetSpanID(from.SpanID())
	to.SetStartTimestamp(from.StartTimestamp())
	to.SetEndTimestamp(from.StartTimestamp() + pcommon.Timestamp(ms.Int()*1e6))
	to.Attributes().PutInt("franklinwh.execution_latency_ms", ms.Int())
	to.Attributes().PutBool("franklinwh.success", success.Bool())
	to.Attributes().PutStr("franklinwh.execution_uuid", uuid.Str())
	if !success.Bool() {
		to.Status().SetCode(ptrace.StatusCodeError)
	}
}

// FuzzCanary: a text in every field that can hold one is not to be found in what comes out, and changes nothing in it.
func FuzzCanary(f *testing.F) {
	f.Add("surprise")
	f.Add("")
	f.Add("status")
	f.Add("franklinwh.command")
	f.Add("\xff\x00\n")
	f.Add(strings.Repeat("é", 300))
	f.Fuzz(func(t *testing.T, text string) {
		// So that it is never part of what every span says.
		canary := "\U0001F424" + text
		made := newTestRebuilder(t, testConfig())

		for command, expected := range map[string]string{"status": "status", canary: "other"} {
			received := canaryTraces(canary, command)
			require.Contains(t, string(marshal(t, received)), canary)
			rebuilt, _ := made.rebuild(received, testNowMS)
			require.NotContains(t, string(marshal(t, rebuilt)), "\U0001F424")
			clean := ptrace.NewTraces()
			addGoodSpan(goodSpans(clean, testApp), expected)
			require.True(t, bytes.Equal(marshal(t, clean), marshal(t, rebuilt)))
			if utf8.ValidString(text) {
				// The receiver's other encoding takes the same way.
				asJSON, err := new(ptrace.JSONMarshaler).MarshalTraces(received)
				require.NoError(t, err)
				received, err = new(ptrace.JSONUnmarshaler).UnmarshalTraces(asJSON)
				require.NoError(t, err)
				rebuilt, _ = made.rebuild(received, testNowMS)
				require.True(t, bytes.Equal(marshal(t, clean), marshal(t, rebuilt)))
			}
		}
		for _, key := range []string{uuidKey, latencyKey, successKey} {
			received := changed(onAttributes(func(attributes pcommon.Map) { attributes.PutStr(key, canary) }))
			rebuilt, _ := made.rebuild(received, testNowMS)
			require.Zero(t, rebuilt.SpanCount())
		}
		received := changed(onResource(func(resource pcommon.Map) { resource.PutStr(applicationKey, canary) }))
		rebuilt, _ := made.rebuild(received, testNowMS)
		require.Zero(t, rebuilt.ResourceSpans().Len())
	})
}

// canaryTraces has the canary in every field of OTLP that is not a fact and can hold a text or a number of one's own.
func canaryTraces(canary, command string) ptrace.Traces {
	traces := ptrace.NewTraces()
	spans := goodSpans(traces, testApp)
	resource := traces.ResourceSpans().At(0)
	resource.SetSchemaUrl(canary)
	fill(resource.Resource().Attributes(), canary)
	resource.Resource().SetDroppedAttributesCount(7)
	scope := resource.ScopeSpans().At(0)
	scope.SetSchemaUrl(canary)
	scope.Scope().SetName(canary)
	scope.Scope().SetVersion(canary)
	fill(scope.Scope().Attributes(), canary)
	scope.Scope().SetDroppedAttributesCount(7)

	span := addGoodSpan(spans, command)
	span.SetName(canary)
	span.SetParentSpanID(pcommon.SpanID{7})
	span.TraceState().FromRaw(canary)
	span.SetEndTimestamp(7)
	span.SetFlags(7)
	span.SetKind(ptrace.SpanKindClient)
	span.SetDroppedAttributesCount(7)
	span.SetDroppedEventsCount(7)
	span.SetDroppedLinksCount(7)
	span.Status().SetCode(ptrace.StatusCodeError)
	span.Status().SetMessage(canary)
	fill(span.Attributes(), canary)
	event := span.Events().AppendEmpty()
	event.SetName(canary)
	event.SetTimestamp(7)
	event.SetDroppedAttributesCount(7)
	fill(event.Attributes(), canary)
	link := span.Links().AppendEmpty()
	link.SetTraceID(pcommon.TraceID{7})
	link.SetSpanID(pcommon.SpanID{7})
	link.TraceState().FromRaw(canary)
	link.SetFlags(7)
	link.SetDroppedAttributesCount(7)
	fill(link.Attributes(), canary)
	return traces
}

func fill(attributes pcommon.Map, canary string) {
	attributes.PutStr("surprise", canary)
	attributes.PutStr(canary, "surprise")
	attributes.PutStr("franklinwh."+canary, "surprise")
	attributes.PutEmptyBytes("surprise.bytes").FromRaw([]byte(canary))
	attributes.PutEmptySlice("surprise.list").AppendEmpty().SetStr(canary)
	attributes.PutEmptyMap("surprise.map").PutStr(canary, canary)
	attributes.PutDouble("surprise.double", 7.5)
}
