package commandgateprocessor

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/commandgateprocessor/internal/metadata"
)

const (
	testNowMS  = int64(1732452301207)
	testUUID   = "9b2c6f0e-1d34-4a5b-8c7d-6e5f40312213"
	testApp    = "franklinwh-cloud"
	testAppTwo = "another.app_2"
)

var (
	testTraceID = pcommon.TraceID{0x4b, 0xf9, 0x2f, 0x35, 15: 0x36}
	testSpanID  = pcommon.SpanID{0xb7, 0xad, 7: 0x31}
)

func testConfig() *Config {
	config := createDefaultConfig().(*Config)
	config.Vocabularies = map[string][]string{
		testApp:    {"status", "tou", "tou --set", "mode --set self_consumption"},
		testAppTwo: {"run"},
	}
	return config
}

func newTestRebuilder(tb testing.TB, config *Config) *rebuilder {
	tb.Helper()
	made, err := newRebuilder(config)
	require.NoError(tb, err)
	return made
}

// goodSpans is a resource of an application with a scope, to which spans can be added.
func goodSpans(to ptrace.Traces, application string) ptrace.SpanSlice {
	resource := to.ResourceSpans().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", application)
	scope := resource.ScopeSpans().AppendEmpty()
	scope.Scope().SetName("franklinwh_telemetry")
	return scope.Spans()
}

// addGoodSpan writes every field as the shipped exporters do.
func addGoodSpan(to ptrace.SpanSlice, command string) ptrace.Span {
	span := to.AppendEmpty()
	span.SetTraceID(testTraceID)
	span.SetSpanID(testSpanID)
	span.SetFlags(256)
	span.SetKind(ptrace.SpanKindInternal)
	span.SetName(command)
	span.SetStartTimestamp(pcommon.Timestamp(testNowMS * 1e6))
	span.SetEndTimestamp(pcommon.Timestamp((testNowMS + 1834) * 1e6))
	span.Status().SetCode(ptrace.StatusCodeOk)
	span.Attributes().PutStr("franklinwh.command", command)
	span.Attributes().PutInt("franklinwh.execution_latency_ms", 1834)
	span.Attributes().PutBool("franklinwh.success", true)
	span.Attributes().PutStr("franklinwh.execution_uuid", testUUID)
	return span
}

func goodTraces() ptrace.Traces {
	traces := ptrace.NewTraces()
	addGoodSpan(goodSpans(traces, testApp), "status")
	return traces
}

// withDuplicate is the traces once the attribute of the first key has been given that of the second:
// no method of pdata can write a key twice, but protobuf can.
func withDuplicate(tb testing.TB, traces ptrace.Traces, placeholder, key string) ptrace.Traces {
	tb.Helper()
	require.Len(tb, placeholder, len(key), "so that no length in the message changes")
	encoded := marshal(tb, traces)
	decoded, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(replaceOnce(tb, encoded, placeholder, key))
	require.NoError(tb, err)
	return decoded
}

func replaceOnce(tb testing.TB, encoded []byte, from, to string) []byte {
	tb.Helper()
	replaced := make([]byte, 0, len(encoded))
	times := 0
	for index := 0; index < len(encoded); {
		if index+len(from) <= len(encoded) && string(encoded[index:index+len(from)]) == from {
			replaced = append(replaced, to...)
			index += len(from)
			times++
			continue
		}
		replaced = append(replaced, encoded[index])
		index++
	}
	require.Equal(tb, 1, times)
	return replaced
}

func marshal(tb testing.TB, traces ptrace.Traces) []byte {
	tb.Helper()
	encoded, err := new(ptrace.ProtoMarshaler).MarshalTraces(traces)
	require.NoError(tb, err)
	return encoded
}

// newTestGate is the whole component at a fixed time.
func newTestGate(
	tb testing.TB, config *Config, next *consumertest.TracesSink, nowMS int64,
) (processor.Traces, *componenttest.Telemetry) {
	tb.Helper()
	telemetry := componenttest.NewTelemetry()
	settings := processortest.NewNopSettings(metadata.Type)
	settings.TelemetrySettings = telemetry.NewTelemetrySettings()
	gate, err := createTracesAt(context.Background(), settings, config, next, func() time.Time {
		return time.UnixMilli(nowMS)
	})
	require.NoError(tb, err)
	require.NoError(tb, gate.Start(context.Background(), componenttest.NewNopHost()))
	tb.Cleanup(func() {
		require.NoError(tb, gate.Shutdown(context.Background()))
		require.NoError(tb, telemetry.Shutdown(context.Background()))
	})
	return gate, telemetry
}
