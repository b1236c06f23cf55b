package posthogexporter // import "github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter"

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configcompression"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
)

// maxKeyLength is where PostHog stops reading a key.
const maxKeyLength = 64

// Config says where events go and what they are made of.
type Config struct {
	// ClientConfig's Endpoint is the base of PostHog's ingestion host; `/batch/` and `/flags/` are appended to it.
	// http is allowed to loopback, and elsewhere only with `tls::insecure: true`.
	ClientConfig confighttp.ClientConfig                                  `mapstructure:",squash"`
	QueueConfig  configoptional.Optional[exporterhelper.QueueBatchConfig] `mapstructure:"sending_queue"`
	RetryConfig  configretry.BackOffConfig                                `mapstructure:"retry_on_failure"`

	// APIKey is the project's key (`phc_...`), never a personal one (`phx_...`).
	APIKey configopaque.String `mapstructure:"api_key"`

	// VerifyKey asks PostHog at start whether it knows the key. PostHog answers 200 to events of an unknown key, and
	// drops them.
	VerifyKey bool `mapstructure:"verify_key"`

	// EventName is the name of each event, unless EventNameFrom finds another one.
	EventName string `mapstructure:"event_name"`

	// EventNameFrom takes the name of an event from its span.
	EventNameFrom Source `mapstructure:"event_name_from"`

	// DistinctID is whom an event is about. A span without it makes no event.
	DistinctID Source `mapstructure:"distinct_id"`

	// Properties are what else leaves of a span, by the property's name. What a span lacks is left out.
	Properties map[string]Source `mapstructure:"properties"`

	// Constants are properties that are the same for every event: texts, numbers and truth values.
	Constants map[string]any `mapstructure:"constants"`

	// prevent unkeyed literal initialization
	_ struct{}
}

var _ component.Config = (*Config)(nil)

// Validate names the first thing that could not work or must not happen. No error holds the key or a part of it.
func (cfg *Config) Validate() error {
	if err := cfg.validateEndpoint(); err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	if err := validateKey(string(cfg.APIKey)); err != nil {
		return fmt.Errorf("api_key: %w", err)
	}
	switch cfg.ClientConfig.Compression {
	case "", "none", configcompression.TypeGzip:
	default:
		return fmt.Errorf("compression: PostHog reads gzip and nothing else, not %q", cfg.ClientConfig.Compression)
	}
	return cfg.validateMapping()
}

// ingestionHosts take the events of those that answer people and have the names that one would guess.
var ingestionHosts = map[string]string{
	"app.posthog.com": "us.i.posthog.com",
	"us.posthog.com":  "us.i.posthog.com",
	"eu.posthog.com":  "eu.i.posthog.com",
}

func (cfg *Config) validateEndpoint() error {
	if cfg.ClientConfig.Endpoint == "" {
		return errors.New("must be set, for example to https://us.i.posthog.com or https://eu.i.posthog.com")
	}
	endpoint, err := url.Parse(cfg.ClientConfig.Endpoint)
	switch {
	case err != nil:
		// The parser's own error repeats what it read, which may be a password.
		return errors.New("must be a URL")
	case endpoint.Scheme != "https" && endpoint.Scheme != "http":
		return errors.New("must begin with https:// (or http://)")
	case endpoint.Hostname() == "":
		return errors.New("must name a host")
	case endpoint.User != nil:
		return errors.New("must hold no user name or password")
	case endpoint.RawQuery != "" || endpoint.ForceQuery || endpoint.Fragment != "":
		return errors.New("must have no query and no fragment")
	case endpoint.Scheme == "http" && !isLoopback(endpoint.Hostname()) && !cfg.ClientConfig.TLS.Insecure:
		return errors.New("plain http is for loopback; elsewhere the key and the events would be readable on the way " +
			"(tls::insecure: true allows it)")
	}
	if ingestion := ingestionHost(endpoint); ingestion != "" && strings.Trim(endpoint.Path, "/") != "" {
		return fmt.Errorf("%s does not take events, %s does, without a path", endpoint.Hostname(), ingestion)
	}
	return nil
}

// ingestionHost returns which host takes the events in the place of this one, or nothing if it takes them itself.
func ingestionHost(endpoint *url.URL) string {
	return ingestionHosts[strings.ToLower(endpoint.Hostname())]
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// validateKey refuses what PostHog refuses by its shape. It demands no `phc_`, as old projects' keys have none.
func validateKey(key string) error {
	switch {
	case key == "":
		return errors.New("must be set to the project's key; is the variable that it comes from empty?")
	case strings.HasPrefix(key, "phx_"):
		return errors.New("is a personal API key (phx_...), which must stay secret; the project's key (phc_...) belongs here")
	case len(key) > maxKeyLength:
		return fmt.Errorf("is longer than the %d characters of a project's key", maxKeyLength)
	}
	for _, r := range key {
		if r <= ' ' || r > '~' {
			return errors.New("may hold printable ASCII only, and no spaces")
		}
	}
	return nil
}

func (cfg *Config) validateMapping() error {
	if cfg.EventName == "" && cfg.EventNameFrom.isEmpty() {
		return errors.New("event_name: must be set, or event_name_from")
	}
	if cfg.EventName != "" && !isName(cfg.EventName) {
		return errors.New("event_name: must be UTF-8, and not blank")
	}
	if cfg.DistinctID.isEmpty() {
		return errors.New("distinct_id: must be set: PostHog takes no event without it")
	}
	for name, source := range cfg.Properties {
		if source.isEmpty() {
			return fmt.Errorf("properties: %s: exactly one of attribute, resource_attribute and intrinsic must be set", name)
		}
		if _, twice := cfg.Constants[name]; twice {
			return fmt.Errorf("constants: %s is listed under properties too", name)
		}
		if name == "" || !utf8.ValidString(name) {
			return errors.New("properties: a name must be UTF-8, and not empty")
		}
	}
	for name := range cfg.Constants {
		if name == "" || !utf8.ValidString(name) {
			return errors.New("constants: a name must be UTF-8, and not empty")
		}
	}
	_, err := newMapping(cfg)
	return err
}
