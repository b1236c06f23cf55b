package commandgateprocessor

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/processorhelper"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/commandgateprocessor/internal/metadata"
)

const reasonKey = "reason"

// gate counts what the rebuilder does. It logs nothing: whatever it could say beyond the counts is a sender's.
type gate struct {
	rebuilder *rebuilder
	telemetry *metadata.TelemetryBuilder
	dropped   [reasonCount]metric.MeasurementOption
	clock     func() time.Time
}

func newGate(rebuilder *rebuilder, telemetry *metadata.TelemetryBuilder, clock func() time.Time) *gate {
	made := &gate{rebuilder: rebuilder, telemetry: telemetry, clock: clock}
	for why := accepted + 1; why < reasonCount; why++ {
		made.dropped[why] = metric.WithAttributeSet(attribute.NewSet(attribute.String(reasonKey, why.String())))
	}
	return made
}

func (g *gate) processTraces(ctx context.Context, received ptrace.Traces) (ptrace.Traces, error) {
	rebuilt, counts := g.rebuilder.rebuild(received, g.clock().UnixMilli())
	g.count(bareContext{ctx}, &counts)
	if rebuilt.ResourceSpans().Len() == 0 {
		return rebuilt, processorhelper.ErrSkipProcessingData
	}
	return rebuilt, nil
}

func (g *gate) count(ctx context.Context, counts *tally) {
	if spans := counts.spans[accepted]; spans > 0 {
		g.telemetry.ProcessorCommandgateAcceptedSpans.Add(ctx, spans)
	}
	if counts.unlisted > 0 {
		g.telemetry.ProcessorCommandgateUnlistedCommands.Add(ctx, counts.unlisted)
	}
	for why := accepted + 1; why < reasonCount; why++ {
		if spans := counts.spans[why]; spans > 0 {
			g.telemetry.ProcessorCommandgateDroppedSpans.Add(ctx, spans, g.dropped[why])
		}
	}
}

// bareContext ends with the one it is made of, and holds no value: a client's address, headers, trace context and
// baggage travel in a context, past whatever the spans are cut down to, and exporters can be made to send them.
type bareContext struct {
	context.Context //nolint:containedctx // it is one
}

func (bareContext) Value(any) any {
	return nil
}

// AfterFunc spares the context package a goroutine for each context that is derived from this one.
func (c bareContext) AfterFunc(call func()) (stop func() bool) {
	return context.AfterFunc(c.Context, call)
}

func withBareContext(next consumer.Traces) (consumer.Traces, error) {
	return consumer.NewTraces(func(ctx context.Context, rebuilt ptrace.Traces) error {
		return next.ConsumeTraces(bareContext{ctx}, rebuilt)
	}, consumer.WithCapabilities(next.Capabilities()))
}
