package maskedtelemetry

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/service/telemetry"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// NewFactory returns the stock factory, configured in the same way, whose logger masks addresses in messages.
//
// Structured fields stay as they are: there the exporters name the backend that they cannot reach.
// Logs that `service::telemetry::logs::processors` send elsewhere are not masked.
func NewFactory() telemetry.Factory {
	stock := otelconftelemetry.NewFactory()
	return telemetry.NewFactory(
		stock.CreateDefaultConfig,
		telemetry.WithCreateResource(stock.CreateResource),
		telemetry.WithCreateMeterProvider(stock.CreateMeterProvider),
		telemetry.WithCreateTracerProvider(stock.CreateTracerProvider),
		telemetry.WithCreateLogger(func(
			ctx context.Context, set telemetry.LoggerSettings, cfg component.Config,
		) (*zap.Logger, component.ShutdownFunc, error) {
			build := set.BuildZapLogger
			if build == nil {
				build = zap.Config.Build
			}
			set.BuildZapLogger = func(cfg zap.Config, opts ...zap.Option) (*zap.Logger, error) {
				return build(cfg, append(opts, zap.WrapCore(func(core zapcore.Core) zapcore.Core {
					return newMaskingCore(core)
				}))...)
			}
			return stock.CreateLogger(ctx, set, cfg)
		}),
	)
}
