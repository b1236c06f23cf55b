package wholelines

import (
	"context"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
)

// NewFactory returns the stock factory for traces, of the same type and configured in the same way.
//
// What is written with `rotation` as plain JSON, a line a request, is kept whole. Without rotation the stock exporter
// truncates its file at start and buffers, and its other formats have no lines: those are as they were.
func NewFactory() exporter.Factory {
	stock := fileexporter.NewFactory()
	return exporter.NewFactory(
		stock.Type(),
		stock.CreateDefaultConfig,
		exporter.WithTraces(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Traces, error) {
			traces, err := stock.CreateTraces(ctx, set, cfg)
			file := cfg.(*fileexporter.Config)
			if err != nil || !writesLines(file) {
				return traces, err
			}
			return &lineExporter{Traces: traces, path: file.Path, logger: set.Logger}, nil
		}, stock.TracesStability()),
	)
}

func writesLines(cfg *fileexporter.Config) bool {
	isGrouped := cfg.GroupBy != nil && cfg.GroupBy.Enabled
	return cfg.Rotation != nil && cfg.FormatType == "json" && cfg.Compression == "" && cfg.Encoding == nil && !isGrouped
}
