package commandgateprocessor

import (
	"fmt"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const scopeName = "franklinwh_telemetry"

// spanFlags says that the parent is known not to be remote (bit 8 without bit 9), which is so where there is none.
const spanFlags = 256

// maxApplicationBytes is the length of the longest name that a configuration can list.
const maxApplicationBytes = 64

// rebuilder makes new traces of what it finds in others, which it only reads.
type rebuilder struct {
	vocabularies []*vocabulary
	// places has the index in vocabularies of each application.
	places         map[string]int
	unknownCommand UnknownCommand
}

// newRebuilder is the one way from a configuration to a gate; its error is the first fault, in one line.
func newRebuilder(config *Config) (*rebuilder, error) {
	if config.fault != nil {
		return nil, config.fault
	}
	if config.UnknownCommand != UnknownCommandOther && config.UnknownCommand != UnknownCommandDrop {
		return nil, fmt.Errorf("`unknown_command` is %s: write `other` or `drop`", quote(string(config.UnknownCommand)))
	}
	vocabularies, err := parseVocabularies(config.Vocabularies)
	if err != nil {
		return nil, err
	}
	places := make(map[string]int, len(vocabularies))
	for place, allowed := range vocabularies {
		places[allowed.application] = place
	}
	return &rebuilder{vocabularies: vocabularies, places: places, unknownCommand: config.UnknownCommand}, nil
}

// tally is what became of the spans of one batch: by reason, accepted among them.
type tally struct {
	spans    [reasonCount]int64
	unlisted int64
}

// rebuild returns one resource for each application that has something to say, in the order of their names,
// and its spans in the order in which they came.
func (r *rebuilder) rebuild(received ptrace.Traces, nowMS int64) (ptrace.Traces, tally) {
	var counts tally
	parser := parser{nowMS: nowMS, unknownCommand: r.unknownCommand}
	outputs := make([]output, len(r.vocabularies))
	for _, resourceSpans := range received.ResourceSpans().All() {
		place, why := r.placeOf(resourceSpans.Resource())
		for _, scopeSpans := range resourceSpans.ScopeSpans().All() {
			if why != accepted {
				counts.spans[why] += int64(scopeSpans.Spans().Len())
				continue
			}
			allowed, to := r.vocabularies[place], &outputs[place]
			to.expect(scopeSpans.Spans().Len(), allowed.application)
			parser.parseAll(scopeSpans.Spans(), allowed, to.spans, &counts)
		}
	}
	rebuilt := ptrace.NewTraces()
	for place := range outputs {
		outputs[place].moveTo(rebuilt.ResourceSpans())
	}
	return rebuilt, counts
}

func (r *rebuilder) placeOf(resource pcommon.Resource) (int, reason) {
	application, why := parseApplication(resource)
	if why != accepted {
		return 0, why
	}
	if len(application) > maxApplicationBytes {
		return 0, unknownApplication
	}
	place, listed := r.places[application]
	if !listed {
		return 0, unknownApplication
	}
	return place, accepted
}

// parseAll writes a new span for each that has the facts, and counts all.
func (p parser) parseAll(spans ptrace.SpanSlice, allowed *vocabulary, to ptrace.SpanSlice, counts *tally) {
	for _, span := range spans.All() {
		parsed, listed, why := p.parse(span, allowed)
		counts.spans[why]++
		if why != accepted {
			continue
		}
		if !listed {
			counts.unlisted++
		}
		parsed.write(to.AppendEmpty())
	}
}

// output is the resource of one application, which is new, and its spans; both are made for the first span.
type output struct {
	resourceSpans ptrace.ResourceSpans
	spans         ptrace.SpanSlice
	isMade        bool
}

// expect makes room for as many spans more.
func (o *output) expect(spans int, application string) {
	if !o.isMade {
		o.resourceSpans = ptrace.NewResourceSpans()
		o.resourceSpans.Resource().Attributes().PutStr(applicationKey, application)
		scopeSpans := o.resourceSpans.ScopeSpans().AppendEmpty()
		scopeSpans.Scope().SetName(scopeName)
		o.spans, o.isMade = scopeSpans.Spans(), true
	}
	o.spans.EnsureCapacity(o.spans.Len() + spans)
}

// moveTo appends the resource, unless it has no span.
func (o *output) moveTo(all ptrace.ResourceSpansSlice) {
	if o.isMade && o.spans.Len() > 0 {
		o.resourceSpans.MoveTo(all.AppendEmpty())
	}
}

// write fills an empty span; the order of attributes is the contract's.
func (f *facts) write(to ptrace.Span) {
	to.SetTraceID(f.traceID)
	to.SetSpanID(f.spanID)
	to.SetFlags(spanFlags)
	to.SetKind(ptrace.SpanKindInternal)
	to.SetName(f.command)
	to.SetStartTimestamp(pcommon.Timestamp(f.executedAtMS * nanosecondsPerMS))
	to.SetEndTimestamp(pcommon.Timestamp((f.executedAtMS + uint64(f.latencyMS)) * nanosecondsPerMS))
	if f.success {
		to.Status().SetCode(ptrace.StatusCodeOk)
	} else {
		to.Status().SetCode(ptrace.StatusCodeError)
	}
	attributes := to.Attributes()
	attributes.EnsureCapacity(4)
	attributes.PutStr(commandKey, f.command)
	attributes.PutInt(latencyKey, f.latencyMS)
	attributes.PutBool(successKey, f.success)
	attributes.PutStr(uuidKey, string(f.executionUUID))
}
