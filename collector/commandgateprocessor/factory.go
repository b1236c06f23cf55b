package commandgateprocessor

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"

	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/commandgateprocessor/internal/metadata"
)

// NewFactory returns the factory of the gate, which takes traces only.
func NewFactory() processor.Factory {
	return processor.NewFactory(
		metadata.Type,
		createDefaultConfig,
		processor.WithTraces(createTraces, metadata.TracesStability),
	)
}

func createTraces(
	ctx context.Context, set processor.Settings, config component.Config, next consumer.Traces,
) (processor.Traces, error) {
	return createTracesAt(ctx, set, config, next, time.Now)
}

func createTracesAt(
	ctx context.Context, set processor.Settings, config component.Config, next consumer.Traces, clock func() time.Time,
) (processor.Traces, error) {
	// Again, for whoever starts components without validating: a gate without a list must not come to be.
	rebuilder, err := newRebuilder(config.(*Config))
	if err != nil {
		return nil, err
	}
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	bare, err := withBareContext(next)
	if err != nil {
		return nil, err
	}
	return processorhelper.NewTraces(
		ctx, set, config, bare,
		newGate(rebuilder, telemetry, clock).processTraces,
		// False, because what is received is only read, so that the Collector need not copy it.
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: false}),
	)
}
