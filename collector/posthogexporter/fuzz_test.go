package posthogexporter

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// FuzzEvents maps whatever OTLP can carry: each event is canonical JSON with the listed members and no others.
func FuzzEvents(f *testing.F) {
	marshaler := &ptrace.ProtoMarshaler{}
	for _, td := range []ptrace.Traces{spans(3), wild()} {
		encoded, err := marshaler.MarshalTraces(td)
		require.NoError(f, err)
		f.Add(encoded)
	}
	for _, c := range contractCases(f) {
		encoded, err := marshaler.MarshalTraces(c.traces(f))
		require.NoError(f, err)
		f.Add(encoded)
	}
	wide := testConfig()
	wide.Properties["r"] = Source{ResourceAttribute: "resource"}
	configs := []*Config{loadConfig(f, "franklinwh"), loadConfig(f, "everything"), wide}
	mappings := []*mapping{}
	for _, cfg := range configs {
		mappings = append(mappings, mappingOf(f, cfg))
	}

	f.Fuzz(func(t *testing.T, otlp []byte) {
		td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(otlp)
		if err != nil {
			return
		}
		for of, m := range mappings {
			p := newPart()
			dropped := 0
			for index, at := range spansOf(td) {
				if p.add(index, func(dst []byte) ([]byte, reason) { return m.appendEvent(dst, at) }) != "" {
					dropped++
				}
			}
			require.Equal(t, td.SpanCount(), dropped+len(p.starts))
			for i := range p.starts {
				requireEvent(t, configs[of], p.slice(i, i+1))
			}
			require.True(t, json.Valid(slices.Concat([]byte("["), p.encoded, []byte("]"))))
		}
	})
}

// wild holds values of every type, text that is not UTF-8, and times at their limits.
func wild() ptrace.Traces {
	td := spans(2)
	for i, at := range spansOf(td) {
		at.span.SetStartTimestamp(1<<64 - 1)
		at.span.SetName("\xff\x00\u2028")
		at.resource.Attributes().PutDouble("resource", 1e300)
		plan := at.span.Attributes().PutEmptyMap("plan")
		plan.PutEmptySlice("s").AppendEmpty().SetEmptyMap().PutEmptyBytes("\xff").FromRaw([]byte{0})
		plan.PutInt("\ufffd", int64(i))
		plan.PutDouble("\U0001f600", -0.1)
		plan.PutStr("\ufb33", "\"\\\x1f")
	}
	return td
}

func requireEvent(t *testing.T, cfg *Config, written []byte) {
	t.Helper()
	require.True(t, utf8.Valid(written))
	require.True(t, json.Valid(written), "%s", written)
	require.LessOrEqual(t, len(written), maxEventBytes)
	require.Equal(t, written, canonicalAgain(t, written), "not canonical")
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(written, &members))
	require.Len(t, members, 5)
	var parsed event
	require.NoError(t, json.Unmarshal(written, &parsed))
	require.NotEmpty(t, parsed.DistinctID)
	require.NotEmpty(t, parsed.Event)
	require.Len(t, parsed.UUID, 36)
	_, err := time.Parse("2006-01-02T15:04:05.000Z", parsed.Timestamp)
	require.NoError(t, err)
	for name := range parsed.Properties {
		_, isSource := cfg.Properties[name]
		_, isConstant := cfg.Constants[name]
		require.True(t, isSource || isConstant, name)
	}
	for name := range cfg.Constants {
		require.Contains(t, parsed.Properties, name)
	}
}

// canonicalAgain writes JSON anew by walking its tokens: sorted members, no space, our own texts and numbers.
func canonicalAgain(t *testing.T, written []byte) []byte {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(written))
	decoder.UseNumber()
	var value any
	require.NoError(t, decoder.Decode(&value))
	return appendDecoded(t, nil, value)
}

func appendDecoded(t *testing.T, dst []byte, value any) []byte {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		names := make([]string, 0, len(value))
		for name := range value {
			names = append(names, name)
		}
		slices.SortFunc(names, compareUTF16)
		dst = append(dst, '{')
		for i, name := range names {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendDecoded(t, append(appendString(dst, name), ':'), value[name])
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, element := range value {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendDecoded(t, dst, element)
		}
		return append(dst, ']')
	case json.Number:
		if _, err := value.Int64(); err == nil {
			return append(dst, value...)
		}
		number, err := value.Float64()
		require.NoError(t, err)
		return appendFloat(dst, number)
	case nil:
		return append(dst, "null"...)
	default:
		dst, err := appendConstant(dst, value)
		require.NoError(t, err)
		return dst
	}
}

// FuzzStrings compares what is written with what encoding/json reads from it.
func FuzzStrings(f *testing.F) {
	f.Add("a<b>&c \u00e9\u2028\"\\\x00\x1f\x7f\xff\xed\xa0\x80\U0001f600")
	f.Fuzz(func(t *testing.T, text string) {
		var read string
		require.NoError(t, json.Unmarshal(appendString(nil, text), &read))
		require.Equal(t, string([]rune(text)), read)
		require.Equal(t, string([]rune(text)), validUTF8(text))
	})
}

// FuzzAnswers reads whatever a server may say: a batch counts as taken only if the answer is PostHog's, and whole.
func FuzzAnswers(f *testing.F) {
	f.Add(200, "application/json", "7", []byte(`{"status":"Ok","quota_limited":["events"]}`))
	f.Add(200, "application/json; charset=utf-8", "", []byte(`{"status":1}`))
	f.Add(204, "text/html", "Tue, 24 Nov 2026 12:00:09 GMT", []byte(`<html>`))
	f.Add(400, "", "-1", []byte(`failed to decode request`))
	f.Add(200, "application/json", "", bytes.Repeat([]byte(`[`), 10_000))
	f.Fuzz(func(t *testing.T, status int, contentType, retryAfter string, body []byte) {
		a := answer{status: status, mediaType: parseMediaType(contentType), body: body, isWhole: true}
		is, err := judge(a, "host")
		require.Equal(t, is == kept, err != nil)
		if is == accepted || is == quotaLimited {
			require.True(t, status >= 200 && status <= 299)
			require.True(t, json.Valid(body))
			require.Equal(t, "application/json", a.mediaType)
			a.isWhole = false
			cut, _ := judge(a, "host")
			require.Equal(t, kept, cut)
		}
		wait := parseRetryAfter(retryAfter, time.Unix(1_700_000_000, 0))
		require.True(t, wait >= 0 && wait <= maxRetryAfter, wait)
	})
}
