package posthogexporter

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configcompression"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"

	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter/internal/metadata"
)

// loadConfig reads a variant of testdata/config.yaml, as `posthog/NAME`, without validating it.
func loadConfig(t testing.TB, name string) *Config {
	t.Helper()
	file, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	section, err := file.Sub(component.NewIDWithName(metadata.Type, name).String())
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, section.Unmarshal(cfg))
	return cfg
}

func TestUnmarshalKeepsTheDefaultsOfWhatIsNotGiven(t *testing.T) {
	expected := createDefaultConfig().(*Config)
	expected.ClientConfig.Endpoint = "https://us.i.posthog.com"
	expected.APIKey = "phc_minimal"
	expected.EventName = "span"
	expected.DistinctID = Source{Attribute: "user.id"}

	cfg := loadConfig(t, "")

	assert.Equal(t, expected, cfg)
	assert.True(t, cfg.VerifyKey)
	assert.Equal(t, 30*time.Second, cfg.ClientConfig.Timeout)
	assert.Empty(t, cfg.ClientConfig.Compression)
	assert.Equal(t, int64(1_000), cfg.QueueConfig.Get().Batch.Get().MinSize)
	require.NoError(t, confmap.Validate(cfg))
}

func TestUnmarshalReadsEveryOption(t *testing.T) {
	storage := component.MustNewIDWithName("file_storage", "posthog")
	client := confighttp.NewDefaultClientConfig()
	client.Endpoint = "http://collector.internal:8000/ingest/"
	client.TLS.Insecure = true
	client.Timeout = 5 * time.Second
	client.WriteBufferSize = 512 * 1024
	client.Compression = configcompression.TypeGzip
	client.Headers = configopaque.MapList{{Name: "User-Agent", Value: "example"}}
	queue := exporterhelper.NewDefaultQueueConfig()
	queue.NumConsumers = 2
	queue.Sizer = exporterhelper.RequestSizerTypeItems
	queue.QueueSize = 50_000
	queue.StorageID = &storage
	batch := queue.Batch.GetOrInsertDefault()
	batch.FlushTimeout = time.Second
	batch.MinSize = 500
	batch.MaxSize = 5_000
	retry := configretry.NewDefaultBackOffConfig()
	retry.InitialInterval = time.Second
	retry.MaxElapsedTime = 0

	cfg := loadConfig(t, "everything")

	assert.Equal(t, &Config{
		ClientConfig:  client,
		QueueConfig:   configoptional.Some(queue),
		RetryConfig:   retry,
		APIKey:        "phc_everything",
		EventName:     "span",
		EventNameFrom: Source{Intrinsic: IntrinsicName},
		DistinctID:    Source{ResourceAttribute: "host.id"},
		Properties: map[string]Source{
			"kind":           {Intrinsic: IntrinsicKind},
			"status":         {Intrinsic: IntrinsicStatus},
			"status_message": {Intrinsic: IntrinsicStatusMessage},
			"start_time":     {Intrinsic: IntrinsicStartTime},
			"end_time":       {Intrinsic: IntrinsicEndTime},
			"duration_ms":    {Intrinsic: IntrinsicDurationMs},
			"trace_id":       {Intrinsic: IntrinsicTraceID},
			"span_id":        {Intrinsic: IntrinsicSpanID},
			"parent_span_id": {Intrinsic: IntrinsicParentSpanID},
			"scope_name":     {Intrinsic: IntrinsicScopeName},
			"scope_version":  {Intrinsic: IntrinsicScopeVersion},
			"service":        {ResourceAttribute: "service.name"},
			"route":          {Attribute: "http.route"},
		},
		Constants: map[string]any{"text": "some <text>", "whole": 3, "fraction": 0.5, "truth": true},
	}, cfg)
	require.NoError(t, confmap.Validate(cfg))
}

func TestShippedVariantsAreValid(t *testing.T) {
	for _, name := range []string{"", "franklinwh", "everything"} {
		assert.NoError(t, confmap.Validate(loadConfig(t, name)), name)
	}
}

func TestValidateNamesWhatIsWrongInAVariant(t *testing.T) {
	for name, message := range map[string]string{
		"no_endpoint":       "endpoint: must be set, for example to https://us.i.posthog.com",
		"unknown_intrinsic": `distinct_id: unknown intrinsic "baggage", must be one of [name kind status`,
		"two_sources":       "properties::both: exactly one of attribute, resource_attribute and intrinsic must be set",
		"empty_source":      "properties: nothing: exactly one of attribute, resource_attribute and intrinsic must be set",
		"listed_twice":      "constants: plan is listed under properties too",
		"nested_constant":   "constants: nested: must be a text, a number, true or false",
		"zstd":              `compression: PostHog reads gzip and nothing else, not "zstd"`,
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, confmap.Validate(loadConfig(t, name)), message)
		})
	}
}

func TestValidateEndpoint(t *testing.T) {
	const surprise = "surprise"
	for endpoint, message := range map[string]string{
		"https://eu.i.posthog.com":               "",
		"https://eu.i.posthog.com/":              "",
		"https://posthog.example:8443/prefix":    "",
		"http://localhost:8000":                  "",
		"http://127.0.0.2":                       "",
		"http://[::1]:8000":                      "",
		"http://posthog.example":                 "plain http is for loopback",
		"http://localhost.example":               "plain http is for loopback",
		"http://10.0.0.1":                        "plain http is for loopback",
		"https://user:surprise@posthog.example":  "must hold no user name or password",
		"https://surprise@posthog.example":       "must hold no user name or password",
		"https://posthog.example/?key=surprise":  "must have no query and no fragment",
		"https://posthog.example/?":              "must have no query and no fragment",
		"https://posthog.example/#surprise":      "must have no query and no fragment",
		"https://user:surprise@posthog.ex ample": "must be a URL",
		"https://:8000":                          "must name a host",
		"us.i.posthog.com":                       "must begin with https://",
		"ftp://posthog.example":                  "must begin with https://",
		"https://app.posthog.com":                "",
		"https://EU.posthog.com/":                "",
		"https://us.posthog.com/capture/":        "us.posthog.com does not take events, us.i.posthog.com does, without a path",
	} {
		t.Run(endpoint, func(t *testing.T) {
			cfg := loadConfig(t, "")
			cfg.ClientConfig.Endpoint = endpoint
			err := cfg.Validate()
			if message == "" {
				assert.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "endpoint: "+message)
			assert.NotContains(t, err.Error(), surprise)
		})
	}
}

// The same names, and the same hosts for them, as in Python's destination.
func TestPostHogsHostsForPeopleBecomeThoseForEvents(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://app.posthog.com":      "https://us.i.posthog.com",
		"https://us.posthog.com/":      "https://us.i.posthog.com",
		"https://EU.posthog.com":       "https://eu.i.posthog.com",
		"https://eu.posthog.com:443":   "https://eu.i.posthog.com:443",
		"https://us.i.posthog.com":     "https://us.i.posthog.com",
		"https://app.posthog.com.test": "https://app.posthog.com.test",
		"http://127.0.0.1:8000/prefix": "http://127.0.0.1:8000/prefix",
	} {
		t.Run(endpoint, func(t *testing.T) {
			cfg := testConfig()
			cfg.VerifyKey = false
			cfg.ClientConfig.Endpoint = endpoint
			require.NoError(t, cfg.Validate())
			e := newWatched(t, cfg)

			require.NoError(t, e.start(t.Context(), componenttest.NewNopHost()))

			assert.Equal(t, want, e.client.base)
			if e.client.named == e.client.host {
				assert.Zero(t, e.log.Len())
				return
			}
			require.Equal(t, 1, e.log.Len())
			assert.Equal(t, zap.InfoLevel, e.log.All()[0].Level)
			assert.Equal(t, e.client.host, e.log.All()[0].ContextMap()["host"])
		})
	}
}

func TestPlainHTTPIsAllowedByName(t *testing.T) {
	cfg := loadConfig(t, "")
	cfg.ClientConfig.Endpoint = "http://posthog.example"
	cfg.ClientConfig.TLS.Insecure = true
	assert.NoError(t, cfg.Validate())
}

func TestValidateKey(t *testing.T) {
	for key, message := range map[string]string{
		"phc_" + strings.Repeat("k", 60): "",
		"an-old-project's-key":           "",
		"":                               "is the variable that it comes from empty?",
		"phx_surprise":                   "is a personal API key (phx_...), which must stay secret",
		strings.Repeat("surprise!", 8):   "is longer than the 64 characters",
		"phc_surprise\n":                 "may hold printable ASCII only, and no spaces",
		" phc_surprise":                  "may hold printable ASCII only, and no spaces",
		"phc_surpris\u00e9":              "may hold printable ASCII only, and no spaces",
		"phc_surprise\x00":               "may hold printable ASCII only, and no spaces",
	} {
		t.Run(fmt.Sprintf("%q", key), func(t *testing.T) {
			cfg := loadConfig(t, "")
			cfg.APIKey = configopaque.String(key)
			err := cfg.Validate()
			if message == "" {
				assert.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "api_key: ")
			require.ErrorContains(t, err, message)
			assert.NotContains(t, err.Error(), "surpris")
		})
	}
}

func TestValidateMapping(t *testing.T) {
	for message, change := range map[string]func(*Config){
		"event_name: must be set, or event_name_from":              func(c *Config) { c.EventName = "" },
		"event_name: must be UTF-8, and not blank":                 func(c *Config) { c.EventName = " " },
		"distinct_id: must be set":                                 func(c *Config) { c.DistinctID = Source{} },
		"properties: a name must be UTF-8, and not empty":          func(c *Config) { c.Properties = map[string]Source{"": {Attribute: "a"}} },
		"constants: a name must be UTF-8, and not empty":           func(c *Config) { c.Constants = map[string]any{"\xff": true} },
		"constants: none: must be a text, a number, true or false": func(c *Config) { c.Constants = map[string]any{"none": nil} },
	} {
		cfg := loadConfig(t, "")
		change(cfg)
		assert.ErrorContains(t, cfg.Validate(), message)
	}
	cfg := loadConfig(t, "")
	cfg.EventName, cfg.EventNameFrom = "", Source{Intrinsic: IntrinsicName}
	assert.NoError(t, cfg.Validate())
}

func TestKeyIsInNoDumpOfTheConfiguration(t *testing.T) {
	cfg := loadConfig(t, "")
	cfg.APIKey = "phc_surprise"

	conf := confmap.New()
	require.NoError(t, conf.Marshal(cfg))
	written, err := yaml.Marshal(conf.ToStringMap())
	require.NoError(t, err)

	for _, text := range []string{string(written), fmt.Sprintf("%v", cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg)} {
		assert.NotContains(t, text, "surprise")
		assert.Contains(t, text, "REDACTED")
	}
}
