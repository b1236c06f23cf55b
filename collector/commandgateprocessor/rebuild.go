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
	parsedBy := make([][]facts, len(r.vocabularies))
	for _, resourceSpans := range received.ResourceSpans().All() {
		place, why := r.placeOf(resourceSpans.Resource())
		for _, scopeSpans := range resourceSpans.ScopeSpans().All() {
			if why != accepted {
				counts.spans[why] += int64(scopeSpans.Spans().Len())
				continue
			}
			parsedBy[place] = parser.parseAll(scopeSpans.Spans(), r.vocabularies[place], parsedBy[place], &counts)
		}
	}
	rebuilt := ptrace.NewTraces()
	for place, parsed := range parsedBy {
		if len(parsed) > 0 {
			write(parsed, r.vocabularies[place].application, rebuilt.ResourceSpans().AppendEmpty())
		}
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

// parseAll appends the facts of those spans that have them, and counts all.
func (p parser) parseAll(spans ptrace.SpanSlice, allowed *vocabulary, parsed []facts, counts *tally) []facts {
	for _, span := range spans.All() {
		one, listed, why := p.parse(span, allowed)
		counts.spans[why]++
		if why != accepted {
			continue
		}
		if !listed {
			counts.unlisted++
		}
		parsed = append(parsed, one)
	}
	return parsed
}

// write fills an empty resource with the spans of one application; the order of attributes is the contract's.
func write(parsed []facts, application string, to ptrace.ResourceSpans) {
	to.Resource().Attributes().PutStr(applicationKey, application)
	scopeSpans := to.ScopeSpans().AppendEmpty()
	scopeSpans.Scope().SetName(scopeName)
	spans := scopeSpans.Spans()
	spans.EnsureCapacity(len(parsed))
	for index := range parsed {
		parsed[index].write(spans.AppendEmpty())
	}
}

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
	attributes.PutStr(uuidKey, string(f.executionUUID[:]))
}
