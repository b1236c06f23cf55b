package posthogexporter

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	return string(text)
}

// readmeConfig resolves the README's example as the Collector does, environment variables and all.
func readmeConfig(t *testing.T) *Config {
	t.Helper()
	_, rest, found := strings.Cut(readme(t), "```yaml\n")
	require.True(t, found)
	example, _, _ := strings.Cut(rest, "```")
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:              []string{"yaml:" + example},
		ProviderFactories: []confmap.ProviderFactory{yamlprovider.NewFactory(), envprovider.NewFactory()},
	})
	require.NoError(t, err)
	resolved, err := resolver.Resolve(t.Context())
	require.NoError(t, err)
	section, err := resolved.Sub("exporters::posthog")
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, section.Unmarshal(cfg))
	require.NoError(t, resolver.Shutdown(t.Context()))
	return cfg
}

func TestExampleOfTheReadmeWorks(t *testing.T) {
	t.Setenv("POSTHOG_API_KEY", "phc_example")
	cfg := readmeConfig(t)
	require.NoError(t, confmap.Validate(cfg))
	assert.Equal(t, "phc_example", string(cfg.APIKey))
	assert.Equal(t, map[string]any{"$process_person_profile": false, "$geoip_disable": true}, cfg.Constants)

	posthog := newDouble(t)
	e := startExporter(t, cfg, posthog)
	require.NoError(t, e.consumeTraces(t.Context(), spans(1)))
	assert.Equal(t, map[string]any{"$process_person_profile": false, "$geoip_disable": true, "duration_ms": 1834.0},
		posthog.stored[0].Properties)
}

func TestMissingVariableStopsTheStart(t *testing.T) {
	t.Setenv("POSTHOG_API_KEY", "")
	assert.ErrorContains(t, confmap.Validate(readmeConfig(t)), "api_key: must be set to the project's key")
}

func TestReadmeNamesEveryOptionReasonAndIntrinsic(t *testing.T) {
	text := readme(t)
	named := []string{}
	for _, of := range []any{Config{}, Source{}} {
		for field := range reflect.TypeOf(of).Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get("mapstructure"), ","); name != "" {
				named = append(named, name)
			}
		}
	}
	require.Contains(t, named, "distinct_id")
	for _, intrinsic := range intrinsics {
		named = append(named, string(intrinsic))
	}
	for _, why := range []reason{reasonNoIDs, reasonNoDistinctID, reasonNoEventName, reasonTooLarge, reasonRefused} {
		named = append(named, string(why))
	}
	for _, name := range named {
		assert.Contains(t, text, "`"+name+"`")
	}
}
