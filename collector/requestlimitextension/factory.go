package requestlimitextension

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"

	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/requestlimitextension/internal/metadata"
)

// NewFactory returns the factory of the extension, a middleware for the HTTP server of an OTLP receiver.
func NewFactory() extension.Factory {
	return extension.NewFactory(metadata.Type, createDefaultConfig, create, metadata.ExtensionStability)
}

func create(_ context.Context, _ extension.Settings, config component.Config) (extension.Extension, error) {
	return newLimiter(config.(*Config)), nil
}
