package requestlimitextension

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
)

func TestConfigs(t *testing.T) {
	variants, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	for name, test := range map[string]struct {
		expected *Config
		fault    string
	}{
		"request_limit":            {expected: &Config{MaxMessages: 50_000, MaxDepth: 32, MaxBufferedBytes: 64 << 20, MaxConcurrentRequests: 8}},
		"request_limit/all":        {expected: &Config{MaxMessages: 1000, MaxDepth: 10, MaxBufferedBytes: 0, MaxConcurrentRequests: 2}},
		"request_limit/no_message": {fault: "`max_messages` must be at least 1"},
		"request_limit/no_depth":   {fault: "`max_depth` must be at least 1"},
		"request_limit/no_room":    {fault: "`max_buffered_bytes` must not be negative"},
		"request_limit/no_turn":    {fault: "`max_concurrent_requests` must be at least 1"},
	} {
		t.Run(name, func(t *testing.T) {
			config := NewFactory().CreateDefaultConfig()
			variant, err := variants.Sub(name)
			require.NoError(t, err)
			require.NoError(t, variant.Unmarshal(config))
			if test.fault != "" {
				require.EqualError(t, confmap.Validate(config), test.fault)
				return
			}
			require.NoError(t, confmap.Validate(config))
			require.Equal(t, test.expected, config)
		})
	}
}
