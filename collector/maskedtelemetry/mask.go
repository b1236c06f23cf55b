package maskedtelemetry

import (
	"regexp"
	"time"

	"go.uber.org/zap/zapcore"
)

const (
	placeholder = "[address]"

	// Of equal masked messages, this many pass each tick, and then one in each masksThereafter: without it, whoever
	// can open a connection could fill the log, because the Collector's own sampling compares messages unmasked.
	masksTick       = 10 * time.Second
	masksFirst      = 10
	masksThereafter = 1000
)

// address matches an IPv4 address and a bracketed IPv6 address, which is how Go writes one beside a port.
var address = regexp.MustCompile(`(?:\b\d{1,3}(?:\.\d{1,3}){3}\b|\[[0-9A-Fa-f]*:[^\]\s]*\])(?::\d+\b)?`)

func mask(message string) string {
	return address.ReplaceAllLiteralString(message, placeholder)
}

// maskingCore writes what its Core would, with the addresses in messages masked.
type maskingCore struct {
	zapcore.Core
	sampled zapcore.Core
}

func newMaskingCore(core zapcore.Core) maskingCore {
	return maskingCore{
		Core:    core,
		sampled: zapcore.NewSamplerWithOptions(core, masksTick, masksFirst, masksThereafter),
	}
}

func (c maskingCore) With(fields []zapcore.Field) zapcore.Core {
	return maskingCore{Core: c.Core.With(fields), sampled: c.sampled.With(fields)}
}

func (c maskingCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	decides := c.Core
	if masked := mask(entry.Message); masked != entry.Message {
		entry.Message = masked
		decides = c.sampled
	}
	if decides.Check(entry, nil) == nil {
		return checked
	}
	return checked.AddCore(entry, c)
}

// Write masks again: an outer core may have been the first to say what is written, unmasked.
func (c maskingCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	entry.Message = mask(entry.Message)
	return c.Core.Write(entry, fields)
}
