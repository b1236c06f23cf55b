package posthogexporter // import "github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter"

import (
	"context"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter/internal/metadata"
)

const (
	// maxRequestBytes is below PostHog's 20 MiB, and below the "20 MB" of its documentation.
	maxRequestBytes = 20_000_000

	// maxPooledBytes keeps one huge batch from holding its memory for good.
	maxPooledBytes = 4 << 20
)

var parts = sync.Pool{New: func() any { return newPart() }}

type posthogExporter struct {
	cfg       *Config
	settings  component.TelemetrySettings
	telemetry *metadata.TelemetryBuilder
	mapping   mapping
	// prefix is what stands before the events of each request, and holds the key.
	prefix          []byte
	maxRequestBytes int
	client          *client
	isLimited       atomic.Bool
}

func newExporter(cfg *Config, set exporter.Settings) (*posthogExporter, error) {
	m, err := newMapping(cfg)
	if err != nil {
		return nil, err
	}
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	prefix := appendString([]byte(`{"api_key":`), string(cfg.APIKey))
	return &posthogExporter{
		cfg:             cfg,
		settings:        set.TelemetrySettings,
		telemetry:       telemetry,
		mapping:         m,
		prefix:          append(prefix, `,"batch":[`...),
		maxRequestBytes: maxRequestBytes,
	}, nil
}

// start makes the client here, because extensions for authentication are there only now.
func (e *posthogExporter) start(ctx context.Context, host component.Host) error {
	configured, err := e.cfg.ClientConfig.ToClient(ctx, host.GetExtensions(), e.settings)
	if err != nil {
		return err
	}
	e.client, err = newClient(configured, e.cfg.ClientConfig.Endpoint)
	if err != nil {
		return err
	}
	if named := e.client.named; named != e.client.host {
		e.settings.Logger.Info("Events go to PostHog's host for them, in the place of the one in endpoint",
			zap.String("host", e.client.host), zap.String("endpoint_host", named))
	}
	if e.cfg.VerifyKey {
		return e.verifyKey(ctx)
	}
	return nil
}

func (e *posthogExporter) shutdown(context.Context) error {
	e.telemetry.Shutdown()
	return nil
}

// consumeTraces settles each span: its event is accepted, or dropped and counted, or the span is in the error's rest.
func (e *posthogExporter) consumeTraces(ctx context.Context, td ptrace.Traces) error {
	p := parts.Get().(*part)
	d := delivery{exporter: e, td: td, part: p, dropped: map[reason]int{}}
	err := d.run(ctx)
	e.report(ctx, d.dropped)
	p.forget(len(p.starts))
	if cap(p.encoded) <= maxPooledBytes {
		parts.Put(p)
	}
	return err
}

// count counts what PostHog's answer settled, and logs once that it is over its quota, until it no longer is.
func (e *posthogExporter) count(ctx context.Context, is outcome, events int) {
	if is == accepted {
		e.isLimited.Store(false)
		e.telemetry.ExporterPosthogEventsSent.Add(ctx, int64(events))
		return
	}
	e.telemetry.ExporterPosthogEventsQuotaLimited.Add(ctx, int64(events))
	if !e.isLimited.Swap(true) {
		e.settings.Logger.Warn("The project is over PostHog's quota: PostHog discards its events, " +
			"counted in otelcol_exporter_posthog_events_quota_limited")
	}
}

// report counts what was dropped and logs it in one line, without anything that the spans held.
func (e *posthogExporter) report(ctx context.Context, dropped map[reason]int) {
	if len(dropped) == 0 {
		return
	}
	fields := make([]zap.Field, 0, len(dropped))
	for why, events := range dropped {
		e.telemetry.ExporterPosthogEventsDropped.Add(ctx, int64(events),
			metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", string(why)))))
		fields = append(fields, zap.Int(string(why), events))
	}
	e.settings.Logger.Warn("Dropped spans that PostHog can never take an event of", fields...)
}
