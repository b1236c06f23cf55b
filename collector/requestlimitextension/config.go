package requestlimitextension

import (
	"errors"

	"go.opentelemetry.io/collector/component"
)

// Config is what a request may be, and how many are decoded at a time.
type Config struct {
	// MaxMessages is how many messages a request may hold, however small: resources, scopes, spans, events, links,
	// attributes, values. In JSON, where nothing has a type before it is decoded, objects, arrays and commas count.
	MaxMessages int `mapstructure:"max_messages"`
	// MaxDepth is how many messages may be in one another; the value of a span's attribute is the fifth.
	// It is for protobuf: the receiver's decoder of JSON has a limit of its own.
	MaxDepth int `mapstructure:"max_depth"`
	// MaxBufferedBytes is how much memory the bodies may have that are being read, wait or are decoded, together; those
	// up to 16 KiB do not count. What has no room is refused with 503.
	MaxBufferedBytes int64 `mapstructure:"max_buffered_bytes"`
	// MaxConcurrentRequests is how many requests are decoded and processed at a time. The others wait for their turn,
	// as complete bodies, until their clients give up: a slow client holds nothing up.
	MaxConcurrentRequests int `mapstructure:"max_concurrent_requests"`

	// prevent unkeyed literal initialization
	_ struct{}
}

var _ component.Config = (*Config)(nil)

func createDefaultConfig() component.Config {
	return &Config{MaxMessages: 50_000, MaxDepth: 32, MaxBufferedBytes: 64 << 20, MaxConcurrentRequests: 8}
}

// Validate refuses what would let nothing through.
func (c *Config) Validate() error {
	switch {
	case c.MaxMessages < 1:
		return errors.New("`max_messages` must be at least 1")
	case c.MaxDepth < 1:
		return errors.New("`max_depth` must be at least 1")
	case c.MaxBufferedBytes < 0:
		return errors.New("`max_buffered_bytes` must not be negative")
	case c.MaxConcurrentRequests < 1:
		return errors.New("`max_concurrent_requests` must be at least 1")
	default:
		return nil
	}
}
