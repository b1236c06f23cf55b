package posthogexporter // import "github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter"

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

var batchSuffix = []byte("]}")

// delivery is one batch of spans on its way to PostHog.
type delivery struct {
	exporter *posthogExporter
	td       ptrace.Traces
	part     *part
	dropped  map[reason]int
}

// run encodes the spans and posts them whenever a request is full.
func (d *delivery) run(ctx context.Context) error {
	for index, at := range spansOf(d.td) {
		why := d.part.add(index, func(dst []byte) ([]byte, reason) { return d.exporter.mapping.appendEvent(dst, at) })
		if why != "" {
			d.dropped[why]++
			continue
		}
		size := len(d.exporter.prefix) + len(d.part.encoded) + len(batchSuffix)
		if size > d.exporter.maxRequestBytes {
			full := len(d.part.starts) - 1
			if err := d.settle(ctx, full, index); err != nil {
				return err
			}
			d.part.forget(full)
		}
	}
	return d.settle(ctx, len(d.part.starts), d.td.SpanCount())
}

// settle posts the first n events of the part, oldest first. What is refused is halved, down to the events to blame.
// An error holds the spans that are not settled: of these events, and all from `next` on.
func (d *delivery) settle(ctx context.Context, n, next int) error {
	if n == 0 {
		return nil
	}
	// The events [from, n) are not settled; ends are where the requests for them end, the next one last.
	from, ends := 0, []int{n}
	for len(ends) > 0 {
		to := ends[len(ends)-1]
		is, retry := d.post(ctx, from, to)
		switch {
		case is == kept:
			return retry(leftover(d.td, d.part.spans[from:n], next))
		case is == refused && to-from > 1:
			ends = append(ends, from+(to-from)/2)
			continue
		case is == refused:
			d.dropped[reasonRefused]++
		default:
			d.exporter.count(ctx, is, to-from)
		}
		from, ends = to, ends[:len(ends)-1]
	}
	return nil
}

// post makes one request of the events [from, to). For what is kept, the function makes the error for the rest.
func (d *delivery) post(ctx context.Context, from, to int) (outcome, func(ptrace.Traces) error) {
	client := d.exporter.client
	a, err := client.post(ctx, "/batch/", d.part.lease, d.exporter.prefix, d.part.slice(from, to), batchSuffix)
	is := kept
	if err != nil {
		err = fmt.Errorf("no answer from %s: %w", client.host, err)
	} else {
		is, err = judge(a, client.host)
	}
	return is, func(rest ptrace.Traces) error {
		err := consumererror.NewTraces(err, rest)
		if a.retryAfter > 0 {
			return exporterhelper.NewThrottleRetry(err, a.retryAfter)
		}
		return err
	}
}
