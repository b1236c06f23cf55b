package posthogexporter

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRefusedBatchIsHalvedDownToTheCulprits(t *testing.T) {
	for _, status := range []int{400, 413, 422} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			posthog := newDouble(t, reply{status: status})
			e := startExporter(t, testConfig(), posthog)
			td := spans(8)
			spanNumber(td, 3).Attributes().PutBool("poison", true)
			spanNumber(td, 8).Attributes().PutBool("poison", true)
			require.NoError(t, e.consumeTraces(t.Context(), td))
			assert.Equal(t, uuidsOf(1, 2, 4, 5, 6, 7), posthog.uuids())
			assert.Equal(t, []int{8, 4, 2, 2, 1, 1, 4, 2, 2, 1, 1}, posthog.sizes())
			assertSent(t, e, 6)
			assertDropped(t, e, map[reason]int64{reasonRefused: 2})
			require.Equal(t, 1, e.log.Len())
			assert.Equal(t, map[string]any{"refused": int64(2)}, e.log.All()[0].ContextMap())
		})
	}
}

func TestTroubleWhileHalvingLeavesOnlyWhatIsNotSettled(t *testing.T) {
	posthog := newDouble(t, reply{status: 400}, ok, ok, reply{status: 500})
	e := startExporter(t, testConfig(), posthog)
	td := spans(8)
	spanNumber(td, 5).Attributes().PutBool("poison", true)
	// 1 to 8 are refused, 1 to 4 accepted, 5 to 8 refused, 5 and 6 meet the 500.
	err := e.consumeTraces(t.Context(), td)
	rest := restOf(t, err)
	assert.Equal(t, numbers(5, 8), numbersOf(rest))
	assert.Equal(t, 8, td.SpanCount(), "the caller's data stay as they were")

	require.NoError(t, e.consumeTraces(t.Context(), rest))
	assert.Equal(t, uuidsOf(1, 2, 3, 4, 6, 7, 8), posthog.uuids())
	assertSent(t, e, 7)
	assertDropped(t, e, map[reason]int64{reasonRefused: 1})
}

func TestRequestsAreSplitByTheirBytes(t *testing.T) {
	posthog := newDouble(t)
	e := startExporter(t, testConfig(), posthog)
	require.NoError(t, e.consumeTraces(t.Context(), spans(1)))
	one := len(posthog.batches()[0].body)
	event := one - len(e.prefix) - len(batchSuffix)
	e.maxRequestBytes = one + 2*(event+1)

	require.NoError(t, e.consumeTraces(t.Context(), spans(8)))
	assert.Equal(t, []int{1, 3, 3, 2}, posthog.sizes())
	assert.Len(t, posthog.batches()[1].body, e.maxRequestBytes)
	e.maxRequestBytes--
	require.NoError(t, e.consumeTraces(t.Context(), spans(8)))
	assert.Equal(t, []int{1, 3, 3, 2, 2, 2, 2, 2}, posthog.sizes())
	e.maxRequestBytes = 1
	require.NoError(t, e.consumeTraces(t.Context(), spans(2)))
	assert.Equal(t, []int{1, 3, 3, 2, 2, 2, 2, 2, 1, 1}, posthog.sizes())
	assertSent(t, e, 19)
}

func TestNoRequestIsLargerThanPostHogTakes(t *testing.T) {
	posthog := newDouble(t)
	e := startExporter(t, testConfig(), posthog)
	td := spans(25)
	for _, at := range spansOf(td) {
		at.span.Attributes().PutStr("plan", strings.Repeat("\n", 499_000))
	}
	require.NoError(t, e.consumeTraces(t.Context(), td))
	assert.Equal(t, []int{20, 5}, posthog.sizes())
	for _, r := range posthog.batches() {
		assert.Less(t, len(r.body), 20<<20)
	}
	assert.Equal(t, uuidsOf(numbers(1, 25)...), posthog.uuids())
}

func TestTroubleBetweenRequestsLeavesTheRest(t *testing.T) {
	posthog := newDouble(t, ok, reply{status: 503})
	e := startExporter(t, testConfig(), posthog)
	e.maxRequestBytes = 500
	td := spans(12)
	spanNumber(td, 1).Attributes().Remove("user.id")
	spanNumber(td, 12).Attributes().Remove("user.id")
	err := e.consumeTraces(t.Context(), td)
	first := posthog.sizes()[0]
	require.Greater(t, first, 1)
	rest := restOf(t, err)
	// The first was dropped, the following ones were accepted; what comes after that has not been looked at.
	assert.Equal(t, numbers(first+2, 12), numbersOf(rest))
	assertDropped(t, e, map[reason]int64{reasonNoDistinctID: 1})

	require.NoError(t, e.consumeTraces(t.Context(), rest))
	assert.Equal(t, uuidsOf(numbers(2, 11)...), posthog.uuids())
	assertSent(t, e, 10)
	assertDropped(t, e, map[reason]int64{reasonNoDistinctID: 2})
}

func TestLeftoverKeepsResourcesScopesAndSchemas(t *testing.T) {
	td := spans(8)
	rest := leftover(td, []int{2, 3}, 7)
	assert.Equal(t, []int{3, 4, 8}, numbersOf(rest))
	require.Equal(t, 2, rest.ResourceSpans().Len())
	for i, group := range []int{1, 3} {
		rs := rest.ResourceSpans().At(i)
		assert.Equal(t, map[string]any{"resource": int64(i)}, rs.Resource().Attributes().AsRaw())
		assert.Equal(t, fmt.Sprintf("https://schema.invalid/%d", i), rs.SchemaUrl())
		require.Equal(t, 1, rs.ScopeSpans().Len())
		assert.Equal(t, fmt.Sprintf("scope %d", group), rs.ScopeSpans().At(0).Scope().Name())
		assert.Equal(t, fmt.Sprintf("https://schema.invalid/%d", group), rs.ScopeSpans().At(0).SchemaUrl())
	}
	assert.Equal(t, spans(8), td)
}

// hasty answers at once, and reads the body later, as the transport may when a server does.
type hasty struct {
	bodies []io.ReadCloser
}

func (h *hasty) RoundTrip(r *http.Request) (*http.Response, error) {
	h.bodies = append(h.bodies, r.Body)
	header := http.Header{"Content-Type": {"application/json"}}
	return &http.Response{StatusCode: 200, Header: header, Body: io.NopCloser(strings.NewReader(ok.body))}, nil
}

func TestBytesThatAreStillBeingReadAreNotOverwritten(t *testing.T) {
	e := startExporter(t, testConfig(), newDouble(t))
	h := new(hasty)
	e.client.http.Transport = h
	e.maxRequestBytes = 1_000
	p := newPart()
	expected := []string{}
	for range 2 {
		d := delivery{exporter: e.posthogExporter, td: spans(20), part: p, dropped: map[reason]int{}}
		require.NoError(t, d.run(t.Context()))
		p.forget(len(p.starts))
		expected = append(expected, uuidsOf(numbers(1, 20)...)...)
	}
	require.Greater(t, len(h.bodies), 4)
	found := []string{}
	for _, body := range h.bodies {
		text, err := io.ReadAll(body)
		require.NoError(t, err)
		var batch struct {
			Events []event `json:"batch"`
		}
		require.NoError(t, json.Unmarshal(text, &batch))
		for _, e := range batch.Events {
			found = append(found, e.UUID)
		}
	}
	assert.Equal(t, expected, found)
}

func TestMemoryIsUsedAgainOnceItsBodiesAreClosed(t *testing.T) {
	p := newPart()
	add := func() {
		p.add(0, func(dst []byte) ([]byte, reason) { return append(dst, "12345678"...), "" })
	}
	add()
	first := &p.encoded[0]
	body := p.lease.body([][]byte{p.encoded})
	require.NoError(t, body.Close())
	require.NoError(t, body.Close())
	p.forget(1)
	add()
	assert.Same(t, first, &p.encoded[0])
	p.lease.body([][]byte{p.encoded})
	p.forget(1)
	add()
	second := &p.encoded[0]
	assert.NotSame(t, first, second)
	p.forget(1)
	add()
	assert.Same(t, second, &p.encoded[0], "the open body is of the first memory")
}
