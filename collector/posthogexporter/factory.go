package posthogexporter // import "github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter"

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"

	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter/internal/metadata"
)

// NewFactory makes the exporter of the type `posthog`.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(
		metadata.Type,
		createDefaultConfig,
		exporter.WithTraces(createTraces, metadata.TracesStability),
	)
}

func createDefaultConfig() component.Config {
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = 30 * time.Second
	// As much as otlp_http writes at once: net/http's own 4 KiB make hundreds of writes of one request.
	client.WriteBufferSize = 512 * 1024

	queue := exporterhelper.NewDefaultQueueConfig()
	// One request for each OTLP request would be many small ones: PostHog is made for batches.
	batch := queue.Batch.GetOrInsertDefault()
	batch.Sizer = exporterhelper.RequestSizerTypeItems
	batch.MinSize = 1_000
	batch.MaxSize = 10_000

	return &Config{
		ClientConfig: client,
		QueueConfig:  configoptional.Some(queue),
		RetryConfig:  configretry.NewDefaultBackOffConfig(),
		VerifyKey:    true,
	}
}

func createTraces(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Traces, error) {
	cfg := config.(*Config)
	e, err := newExporter(cfg, set)
	if err != nil {
		return nil, err
	}
	return exporterhelper.NewTraces(ctx, set, config,
		e.consumeTraces,
		exporterhelper.WithStart(e.start),
		exporterhelper.WithShutdown(e.shutdown),
		exporterhelper.WithCapabilities(consumer.Capabilities{MutatesData: false}),
		// The HTTP client has a time limit for each request, and one call may make several of them.
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{Timeout: 0}),
		exporterhelper.WithRetry(cfg.RetryConfig),
		exporterhelper.WithQueue(cfg.QueueConfig),
	)
}
