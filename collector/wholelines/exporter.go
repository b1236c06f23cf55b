package wholelines

import (
	"context"
	"errors"
	"os"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"
)

// lineExporter has one write at a time: what comes after a failed one waits until its part of a line is gone.
type lineExporter struct {
	exporter.Traces
	path   string
	logger *zap.Logger

	mutex  sync.Mutex
	host   component.Host
	isOpen bool
	// before is there while a failed write may have left something.
	before *before
}

// before is what the file was before a write; info is nil if there was none.
type before struct{ info os.FileInfo }

// Start cuts off what a killed Collector has left of a line: nobody was told that it is kept.
func (e *lineExporter) Start(ctx context.Context, host component.Host) error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	cut, err := cutLastPart(e.path)
	if err != nil {
		return err
	}
	if cut > 0 {
		e.logger.Warn("Cut off a part of a line that an earlier run has left; its spans were not accepted",
			zap.Int64("bytes", cut))
	}
	e.host = host
	return e.open(ctx)
}

func (e *lineExporter) Shutdown(ctx context.Context) error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return e.close(ctx)
}

// ConsumeTraces writes one line, or returns the error and leaves the file as it was.
func (e *lineExporter) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if err := e.mend(ctx); err != nil {
		return err
	}
	info, err := stat(e.path)
	if err != nil {
		return err
	}
	if err = e.Traces.ConsumeTraces(ctx, td); err != nil {
		e.before = &before{info}
		// What cannot be mended now is mended before the next write, or that one fails too.
		return errors.Join(err, e.mend(ctx))
	}
	return nil
}

// mend takes away what a failed write has left. The stock exporter opens the file anew then, because it does not
// always append, and would leave a gap where it had been.
func (e *lineExporter) mend(ctx context.Context) error {
	if e.before != nil {
		if err := e.close(ctx); err != nil {
			return err
		}
		if err := e.before.restore(e.path); err != nil {
			return err
		}
		e.before = nil
	}
	return e.open(ctx)
}

func (e *lineExporter) open(ctx context.Context) error {
	if e.isOpen {
		return nil
	}
	err := e.Traces.Start(ctx, e.host)
	e.isOpen = err == nil
	return err
}

func (e *lineExporter) close(ctx context.Context) error {
	if !e.isOpen {
		return nil
	}
	e.isOpen = false
	return e.Traces.Shutdown(ctx)
}
