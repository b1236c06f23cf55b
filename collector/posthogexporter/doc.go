//go:generate go tool -modfile=../internal/tools/go.mod mdatagen metadata.yaml

// Package posthogexporter sends each span to PostHog's batch API as one event, made of nothing but what its
// configuration lists.
package posthogexporter // import "github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter"
