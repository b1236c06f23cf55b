package requestlimitextension

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// FuzzProtobuf: what passes decodes into no more messages than the limit, and one more limit lets no less through.
func FuzzProtobuf(f *testing.F) {
	f.Add(everything(f), 30, 12)
	f.Add(everything(f), 3, 3)
	f.Add(bytes.Repeat(asBytes(1, nil), 50), 10, 5)
	f.Add(bytes.Repeat(asBytes(1, nil), 11), 10, 5)
	f.Add(inside(bytes.Repeat(asBytes(2, nil), 20), 2, 1), 50, 12)
	f.Add(inside(nil, 1, 6, 5, 2, 9, 2, 2, 1), 100, 8)
	f.Add([]byte{0x0b, 0x0c}, 10, 10)
	f.Add([]byte{}, 0, 0)
	f.Fuzz(func(t *testing.T, body []byte, messages, depth int) {
		l := limits{messages: max(0, min(messages, 1000)), depth: max(0, min(depth, 64))}
		if l.checkProtobuf(body) != nil {
			return
		}
		require.NoError(t, limits{messages: l.messages + 1, depth: l.depth + 1}.checkProtobuf(body))
		received, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(body)
		if err != nil {
			return
		}
		require.LessOrEqual(t, messagesOf(received), l.messages)
	})
}

// FuzzText: what passes decodes into no more spans and attributes than the limit.
func FuzzText(f *testing.F) {
	asJSON, err := (&ptrace.JSONMarshaler{}).MarshalTraces(decoded(f, everything(f)))
	require.NoError(f, err)
	f.Add(string(asJSON), 200)
	f.Add(`{"resourceSpans":[{},{},{}]}`, 5)
	f.Add(`[1,2,3,4,5,6,7,8]`, 3)
	f.Add(strings.Repeat("[", 1000), 10)
	f.Fuzz(func(t *testing.T, body string, messages int) {
		l := limits{messages: max(0, min(messages, 1000))}
		if l.checkText([]byte(body)) != nil {
			return
		}
		var value any
		if json.Unmarshal([]byte(body), &value) == nil {
			require.LessOrEqual(t, elementsOf(value), l.messages+1)
		}
	})
}

func decoded(t testing.TB, body []byte) ptrace.Traces {
	t.Helper()
	received, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(body)
	require.NoError(t, err)
	return received
}

// messagesOf counts what has been made a structure of its own and can be told from one that was left out.
func messagesOf(received ptrace.Traces) int {
	found := 0
	for _, resource := range received.ResourceSpans().All() {
		found += 1 + attributesOf(resource.Resource().Attributes())
		for _, scope := range resource.ScopeSpans().All() {
			found += 1 + attributesOf(scope.Scope().Attributes())
			for _, span := range scope.Spans().All() {
				found += 1 + attributesOf(span.Attributes())
				for _, event := range span.Events().All() {
					found += 1 + attributesOf(event.Attributes())
				}
				for _, link := range span.Links().All() {
					found += 1 + attributesOf(link.Attributes())
				}
			}
		}
	}
	return found
}

func attributesOf(attributes pcommon.Map) int {
	found := 0
	for _, value := range attributes.All() {
		found += 1 + valuesOf(value)
	}
	return found
}

func valuesOf(value pcommon.Value) int {
	found := 0
	switch value.Type() {
	case pcommon.ValueTypeMap:
		found += attributesOf(value.Map())
	case pcommon.ValueTypeSlice:
		for _, element := range value.Slice().All() {
			found += 1 + valuesOf(element)
		}
	default:
	}
	return found
}

// elementsOf counts the values of a JSON text: each but the first begins after one of the characters that are counted.
func elementsOf(value any) int {
	found := 1
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			found += elementsOf(element)
		}
	case map[string]any:
		for _, member := range value {
			found += elementsOf(member)
		}
	}
	return found
}
