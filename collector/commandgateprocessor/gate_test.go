package commandgateprocessor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/commandgateprocessor/internal/metadata"
	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/commandgateprocessor/internal/metadatatest"
)

// mixedTraces has good spans of two applications among bad ones, over several resources and scopes.
func mixedTraces() ptrace.Traces {
	traces := ptrace.NewTraces()
	goodSpans(traces, testAppTwo) // a resource that says nothing
	spans := goodSpans(traces, testApp)
	addGoodSpan(spans, "tou")
	addGoodSpan(spans, "status").SetTraceID(pcommon.TraceID{})
	addGoodSpan(spans, "status").Attributes().Remove(successKey)
	addGoodSpan(spans, "status").Attributes().PutStr(uuidKey, "surprise")
	addGoodSpan(spans, "surprise")
	addGoodSpan(goodSpans(traces, "unknown"), "status")
	addGoodSpan(goodSpans(traces, testAppTwo), "run")
	spans = goodSpans(traces, testApp)
	addGoodSpan(spans, "status")
	addGoodSpan(spans, "status").Attributes().Remove(uuidKey)
	addGoodSpan(spans, "tou --set")
	unknown := goodSpans(traces, "unknown2")
	addGoodSpan(unknown, "status")
	addGoodSpan(unknown, "status")
	return traces
}

// One resource comes out for each application, by name, with its spans as they came: whoever mixes them learns nothing.
func rebuiltMixedTraces() ptrace.Traces {
	traces := ptrace.NewTraces()
	addGoodSpan(goodSpans(traces, testAppTwo), "run")
	spans := goodSpans(traces, testApp)
	addGoodSpan(spans, "tou")
	addGoodSpan(spans, "other")
	addGoodSpan(spans, "status")
	addGoodSpan(spans, "tou --set")
	return traces
}

func TestMixedBatch(t *testing.T) {
	next := new(consumertest.TracesSink)
	gate, telemetry := newTestGate(t, testConfig(), next, testNowMS)
	require.False(t, gate.Capabilities().MutatesData)
	received := mixedTraces()
	before := marshal(t, received)
	received.MarkReadOnly()
	require.NoError(t, gate.ConsumeTraces(context.Background(), received))
	require.Len(t, next.AllTraces(), 1)
	require.Equal(t, marshal(t, rebuiltMixedTraces()), marshal(t, next.AllTraces()[0]))
	require.Equal(t, before, marshal(t, received))

	timeless := metricdatatest.IgnoreTimestamp()
	metadatatest.AssertEqualProcessorCommandgateAcceptedSpans(
		t, telemetry, []metricdata.DataPoint[int64]{{Value: 5}}, timeless)
	metadatatest.AssertEqualProcessorCommandgateUnlistedCommands(
		t, telemetry, []metricdata.DataPoint[int64]{{Value: 1}}, timeless)
	metadatatest.AssertEqualProcessorCommandgateDroppedSpans(t, telemetry, []metricdata.DataPoint[int64]{
		dropped("empty_id", 1), dropped("missing_attribute", 2), dropped("invalid_uuid", 1), dropped("unknown_application", 3),
	}, timeless)
}

func dropped(why string, spans int64) metricdata.DataPoint[int64] {
	return metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.String("reason", why)), Value: spans}
}

// A metric that was never added to does not exist, so each reason is seen once in its own batch.
func TestEveryReasonIsCountedByName(t *testing.T) {
	names := map[reason]string{
		missingAttribute: "missing_attribute", duplicateAttribute: "duplicate_attribute", wrongType: "wrong_type",
		unknownApplication: "unknown_application", emptyID: "empty_id", tooOld: "too_old", tooFarAhead: "too_far_ahead",
		unknownCommand: "unknown_command", latencyOutOfRange: "latency_out_of_range", invalidUUID: "invalid_uuid",
	}
	require.Len(t, names, int(reasonCount)-1)
	for why, name := range names {
		t.Run(name, func(t *testing.T) {
			telemetry := componenttest.NewTelemetry()
			builder, err := metadata.NewTelemetryBuilder(telemetry.NewTelemetrySettings())
			require.NoError(t, err)
			var counts tally
			counts.spans[why] = 7
			newGate(nil, builder, nil).count(context.Background(), &counts)
			metadatatest.AssertEqualProcessorCommandgateDroppedSpans(t, telemetry,
				[]metricdata.DataPoint[int64]{dropped(name, 7)}, metricdatatest.IgnoreTimestamp())
			_, err = telemetry.GetMetric("otelcol_processor_commandgate_accepted_spans")
			require.Error(t, err)
			require.NoError(t, telemetry.Shutdown(context.Background()))
		})
	}
}

// One good span is counted, and nothing else comes to be counted as 0.
func TestOneGoodSpanIsCounted(t *testing.T) {
	gate, telemetry := newTestGate(t, testConfig(), new(consumertest.TracesSink), testNowMS)
	require.NoError(t, gate.ConsumeTraces(context.Background(), goodTraces()))
	metadatatest.AssertEqualProcessorCommandgateAcceptedSpans(
		t, telemetry, []metricdata.DataPoint[int64]{{Value: 1}}, metricdatatest.IgnoreTimestamp())
	for _, name := range []string{"dropped_spans", "unlisted_commands"} {
		_, err := telemetry.GetMetric("otelcol_processor_commandgate_" + name)
		require.Error(t, err, name)
	}
}

func TestNothingIsForwardedWhereNothingIsLeft(t *testing.T) {
	empty := ptrace.NewTraces()
	goodSpans(empty, testApp)
	tests := map[string]ptrace.Traces{
		"no resource": ptrace.NewTraces(),
		"no span":     empty,
		"no good one": changed(latency(-1)),
	}
	for name, received := range tests {
		t.Run(name, func(t *testing.T) {
			next := new(consumertest.TracesSink)
			gate, _ := newTestGate(t, testConfig(), next, testNowMS)
			require.NoError(t, gate.ConsumeTraces(context.Background(), received))
			require.Empty(t, next.AllTraces())
		})
	}
}

// The client is told to keep its spans where the next component refuses them.
func TestErrorsOfTheNextComponentAreReturned(t *testing.T) {
	refusal := errors.New("the queue is full")
	gate, err := createTraces(
		context.Background(), processortest.NewNopSettings(metadata.Type), testConfig(), consumertest.NewErr(refusal))
	require.NoError(t, err)
	received := changed(startAt(time.Now().UnixMilli()))
	require.ErrorIs(t, gate.ConsumeTraces(context.Background(), received), refusal)
}

type surpriseKey struct{}

// A client's address, headers and trace context do not travel on beside the spans; a deadline does.
func TestContextIsBare(t *testing.T) {
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(time.Hour))
	ctx = context.WithValue(ctx, surpriseKey{}, "surprise")
	ctx = client.NewContext(ctx, client.Info{
		Metadata: client.NewMetadata(map[string][]string{"surprise": {"surprise"}}),
	})
	ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, Remote: true,
	}))
	deadline, _ := ctx.Deadline()
	called := false
	next, err := consumer.NewTraces(func(ctx context.Context, _ ptrace.Traces) error {
		called = true
		require.Nil(t, ctx.Value(surpriseKey{}))
		require.Equal(t, client.Info{}, client.FromContext(ctx))
		require.False(t, trace.SpanContextFromContext(ctx).IsValid())
		kept, has := ctx.Deadline()
		require.True(t, has)
		require.Equal(t, deadline, kept)

		derived, stop := context.WithCancel(ctx)
		defer stop()
		require.NoError(t, derived.Err())
		cancel()
		<-derived.Done()
		return derived.Err()
	})
	require.NoError(t, err)
	gate, err := createTracesAt(ctx, processortest.NewNopSettings(metadata.Type), testConfig(), next,
		func() time.Time { return time.UnixMilli(testNowMS) })
	require.NoError(t, err)
	require.ErrorIs(t, gate.ConsumeTraces(ctx, goodTraces()), context.Canceled)
	require.True(t, called)
}

func TestNothingIsLogged(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	settings := processortest.NewNopSettings(metadata.Type)
	settings.Logger = zap.New(core)
	gate, err := createTracesAt(context.Background(), settings, testConfig(), new(consumertest.TracesSink),
		func() time.Time { return time.UnixMilli(testNowMS) })
	require.NoError(t, err)
	require.NoError(t, gate.Start(context.Background(), componenttest.NewNopHost()))
	require.NoError(t, gate.ConsumeTraces(context.Background(), mixedTraces()))
	require.NoError(t, gate.Shutdown(context.Background()))
	require.Empty(t, logs.All())
}

// Batches come from many connections at once.
func TestConcurrentBatches(t *testing.T) {
	next := new(consumertest.TracesSink)
	gate, telemetry := newTestGate(t, testConfig(), next, testNowMS)
	const batches = 50
	received := mixedTraces()
	received.MarkReadOnly()
	done := make(chan error)
	for range batches {
		go func() { done <- gate.ConsumeTraces(context.Background(), received) }()
	}
	for range batches {
		require.NoError(t, <-done)
	}
	require.Equal(t, 5*batches, next.SpanCount())
	metadatatest.AssertEqualProcessorCommandgateAcceptedSpans(
		t, telemetry, []metricdata.DataPoint[int64]{{Value: 5 * batches}}, metricdatatest.IgnoreTimestamp())
}
