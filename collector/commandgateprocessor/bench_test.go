package commandgateprocessor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const batchSpans = 1000

// manyCommands is as long as the longest vocabulary that is shipped.
func manyCommands() []string {
	commands := make([]string, 250)
	for index := range commands {
		commands[index] = fmt.Sprintf("command%d --with --options", index)
	}
	return commands
}

func benchConfig() *Config {
	config := testConfig()
	config.Vocabularies[testApp] = manyCommands()
	return config
}

func goodBatch() ptrace.Traces {
	traces := ptrace.NewTraces()
	spans := goodSpans(traces, testApp)
	for index := range batchSpans {
		addGoodSpan(spans, manyCommands()[index%250])
	}
	return traces
}

// hostileBatch has spans of 100 attributes, with the facts last.
func hostileBatch() ptrace.Traces {
	traces := goodBatch()
	for _, span := range traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
		attributes := pcommon.NewMap()
		for number := range 96 {
			attributes.PutStr(fmt.Sprintf("franklinwh.surprise_%d", number), strings.Repeat("x", 200))
		}
		for key, value := range span.Attributes().All() {
			value.CopyTo(attributes.PutEmpty(key))
		}
		attributes.MoveTo(span.Attributes())
	}
	return traces
}

// BenchmarkGate is the whole work on a batch but for the Collector's own accounting; the goal is 2,000 ns a span.
func BenchmarkGate(b *testing.B) {
	batches := map[string]ptrace.Traces{"good": goodBatch(), "hostile": hostileBatch()}
	for _, name := range []string{"good", "hostile"} {
		b.Run(name, func(b *testing.B) {
			received := batches[name]
			made := newTestRebuilder(b, benchConfig())
			b.ReportAllocs()
			for b.Loop() {
				rebuilt, _ := made.rebuild(received, testNowMS)
				if rebuilt.SpanCount() != batchSpans {
					b.Fatal("spans were dropped")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batchSpans, "ns/span")
		})
	}
}

// What a span costs in allocations does not depend on the machine, and not on what a client adds.
func TestAllocationsOfASpan(t *testing.T) {
	const maxAllocations = 6*batchSpans + 100 // the span, its attributes and their values, and what a batch has once
	made := newTestRebuilder(t, benchConfig())
	for name, received := range map[string]ptrace.Traces{"good": goodBatch(), "hostile": hostileBatch()} {
		t.Run(name, func(t *testing.T) {
			allocations := testing.AllocsPerRun(3, func() { made.rebuild(received, testNowMS) })
			require.LessOrEqual(t, allocations, float64(maxAllocations))
		})
	}
}

// A text of 64 MiB would cost some 5 ms each time it is hashed; it is not.
func TestHugeTextsCostNothing(t *testing.T) {
	huge := strings.Repeat("status\xff\xfe", 8<<20)
	commands := changed(func(span ptrace.Span, attributes, _ pcommon.Map) {
		attributes.PutStr(commandKey, huge)
		attributes.PutStr(huge, huge)
	})
	applications := changed(func(_ ptrace.Span, _, resource pcommon.Map) {
		resource.PutStr(applicationKey, huge)
	})
	config := benchConfig() // Go hashes nothing in a map of up to 8 keys.
	for number := range 20 {
		config.Vocabularies[fmt.Sprintf("app%d", number)] = []string{"run"}
	}
	made := newTestRebuilder(t, config)
	for name, received := range map[string]ptrace.Traces{"commands": commands, "applications": applications} {
		began := time.Now()
		for range 200 {
			made.rebuild(received, testNowMS)
		}
		require.Less(t, time.Since(began), 400*time.Millisecond, name)
	}
}
