package commandgateprocessor

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// contractCase is one file of tests/contract, which Python proves from the facts to the same message.
type contractCase struct {
	Application string `json:"application"`
	Facts       struct {
		Command      string `json:"command"`
		ExecutedAtMS int64  `json:"executed_at_ms"`
	} `json:"facts"`
	OTLP json.RawMessage `json:"otlp"`
}

func contractCases(tb testing.TB) map[string]contractCase {
	tb.Helper()
	paths, err := filepath.Glob("../../tests/contract/*.json")
	require.NoError(tb, err)
	require.GreaterOrEqual(tb, len(paths), 13, "the contract's cases are in the repository's tests/contract")
	cases := map[string]contractCase{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(tb, err)
		var one contractCase
		require.NoError(tb, json.Unmarshal(content, &one), path)
		cases[filepath.Base(path)] = one
	}
	return cases
}

func (c contractCase) traces(tb testing.TB) ptrace.Traces {
	tb.Helper()
	traces, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces(c.OTLP)
	require.NoError(tb, err)
	require.Equal(tb, 1, traces.SpanCount())
	return traces
}

func (c contractCase) config() *Config {
	config := createDefaultConfig().(*Config)
	config.Vocabularies = map[string][]string{c.Application: {"status", "tou"}}
	if command := c.Facts.Command; command != otherCommand && command != "status" {
		config.Vocabularies[c.Application] = append(config.Vocabularies[c.Application], command)
	}
	return config
}

// What every shipped exporter writes comes out as the same message, and again from that.
func TestContract(t *testing.T) {
	for name, one := range contractCases(t) {
		t.Run(name, func(t *testing.T) {
			next := new(consumertest.TracesSink)
			gate, _ := newTestGate(t, one.config(), next, one.Facts.ExecutedAtMS)
			received := one.traces(t)
			received.MarkReadOnly()
			require.NoError(t, gate.ConsumeTraces(context.Background(), received))
			require.Len(t, next.AllTraces(), 1)
			require.Equal(t, received.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes().AsRaw(),
				next.AllTraces()[0].ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes().AsRaw())
			require.Equal(t, marshal(t, received), marshal(t, next.AllTraces()[0]))

			require.NoError(t, gate.ConsumeTraces(context.Background(), next.AllTraces()[0]))
			require.Equal(t, marshal(t, received), marshal(t, next.AllTraces()[1]))
		})
	}
}

// Name, end, status, kind and flags of what arrives decide nothing: they are derived again.
func TestDerivedFieldsAreDerivedAgain(t *testing.T) {
	for name, one := range contractCases(t) {
		t.Run(name, func(t *testing.T) {
			received := one.traces(t)
			span := received.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
			span.SetName("surprise")
			span.SetEndTimestamp(1)
			span.SetKind(ptrace.SpanKindServer)
			span.SetFlags(0xffffffff)
			span.Status().SetCode(ptrace.StatusCodeUnset)
			rebuilt, _ := newTestRebuilder(t, one.config()).rebuild(received, one.Facts.ExecutedAtMS)
			require.Equal(t, marshal(t, one.traces(t)), marshal(t, rebuilt))
		})
	}
}
