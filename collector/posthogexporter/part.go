package posthogexporter // import "github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter"

import (
	"iter"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

// part is a run of encoded events that go out in one request, with the index of the span of each.
type part struct {
	encoded []byte // joined by commas
	starts  []int  // where each event begins
	spans   []int
	lease   *lease // of the bytes in encoded
}

func newPart() *part {
	return &part{lease: new(lease)}
}

// add appends what `encode` appends, as the event of a span; nothing if that has a reason.
func (p *part) add(index int, encode func([]byte) ([]byte, reason)) reason {
	before := len(p.encoded)
	if before > 0 {
		p.encoded = append(p.encoded, ',')
	}
	start := len(p.encoded)
	encoded, why := encode(p.encoded)
	if why != "" {
		p.encoded = encoded[:before]
		return why
	}
	p.encoded = encoded
	p.starts = append(p.starts, start)
	p.spans = append(p.spans, index)
	return ""
}

// slice is the encoded events [from, to).
func (p *part) slice(from, to int) []byte {
	end := len(p.encoded)
	if to < len(p.starts) {
		end = p.starts[to] - 1
	}
	return p.encoded[p.starts[from]:end]
}

// forget removes the first n events; what stays moves to the front, or to other memory if this is still being sent.
func (p *part) forget(n int) {
	var rest []byte
	if n < len(p.starts) {
		first := p.starts[n]
		rest = p.encoded[first:]
		for i := range p.starts {
			p.starts[i] -= first
		}
	}
	free := p.encoded[:0]
	if p.lease.open.Load() > 0 {
		free, p.lease = nil, new(lease)
	}
	p.encoded = append(free, rest...)
	p.starts = p.starts[:copy(p.starts, p.starts[n:])]
	p.spans = p.spans[:copy(p.spans, p.spans[n:])]
}

// spansOf numbers the spans of td in their order.
func spansOf(td ptrace.Traces) iter.Seq2[int, located] {
	return func(yield func(int, located) bool) {
		index := 0
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					if !yield(index, located{rs.Resource(), ss.Scope(), span}) {
						return
					}
					index++
				}
			}
		}
	}
}

// leftover copies the spans whose index is in `pending`, which is sorted, and those from `next` on.
// td itself may belong to others, and stays as it is.
func leftover(td ptrace.Traces, pending []int, next int) ptrace.Traces {
	rest := ptrace.NewTraces()
	index := 0
	isLeft := func() bool {
		at := index
		index++
		if len(pending) > 0 && pending[0] == at {
			pending = pending[1:]
			return true
		}
		return at >= next
	}
	for _, rs := range td.ResourceSpans().All() {
		into := ptrace.NewResourceSpans()
		for _, ss := range rs.ScopeSpans().All() {
			intoScope := ptrace.NewScopeSpans()
			for _, span := range ss.Spans().All() {
				if isLeft() {
					span.CopyTo(intoScope.Spans().AppendEmpty())
				}
			}
			if intoScope.Spans().Len() > 0 {
				ss.Scope().CopyTo(intoScope.Scope())
				intoScope.SetSchemaUrl(ss.SchemaUrl())
				intoScope.MoveTo(into.ScopeSpans().AppendEmpty())
			}
		}
		if into.ScopeSpans().Len() > 0 {
			rs.Resource().CopyTo(into.Resource())
			into.SetSchemaUrl(rs.SchemaUrl())
			into.MoveTo(rest.ResourceSpans().AppendEmpty())
		}
	}
	return rest
}
