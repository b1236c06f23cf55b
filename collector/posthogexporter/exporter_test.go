package posthogexporter

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configcompression"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter/internal/metadatatest"
)

func restOf(t *testing.T, err error) ptrace.Traces {
	t.Helper()
	var traces consumererror.Traces
	require.ErrorAs(t, err, &traces)
	require.False(t, consumererror.IsPermanent(err))
	return traces.Data()
}

func assertSent(t *testing.T, e watched, events int64) {
	t.Helper()
	metadatatest.AssertEqualExporterPosthogEventsSent(t, e.telemetry,
		[]metricdata.DataPoint[int64]{{Value: events}}, metricdatatest.IgnoreTimestamp())
}

func assertDropped(t *testing.T, e watched, byReason map[reason]int64) {
	t.Helper()
	points := []metricdata.DataPoint[int64]{}
	for why, events := range byReason {
		set := attribute.NewSet(attribute.String("reason", string(why)))
		points = append(points, metricdata.DataPoint[int64]{Attributes: set, Value: events})
	}
	metadatatest.AssertEqualExporterPosthogEventsDropped(t, e.telemetry, points, metricdatatest.IgnoreTimestamp())
}

func TestEventsArriveInTheirOrderInOneRequest(t *testing.T) {
	posthog := newDouble(t)
	e := startExporter(t, testConfig(), posthog)
	td := spans(10)
	td.MarkReadOnly()
	require.NoError(t, e.consumeTraces(t.Context(), td))
	assert.Equal(t, uuidsOf(numbers(1, 10)...), posthog.uuids())
	assert.Equal(t, []int{10}, posthog.sizes())
	assertSent(t, e, 10)
	assert.Zero(t, e.log.Len())
}

func TestNothingToSendMakesNoRequest(t *testing.T) {
	posthog := newDouble(t)
	e := startExporter(t, testConfig(), posthog)
	require.NoError(t, e.consumeTraces(t.Context(), ptrace.NewTraces()))
	assert.Empty(t, posthog.batches())
}

func TestRequestHoldsNoMoreThanItNeeds(t *testing.T) {
	posthog := newDouble(t)
	e := startExporter(t, testConfig(), posthog)
	require.NoError(t, e.consumeTraces(t.Context(), spans(1)))
	r := posthog.batches()[0]
	assert.Equal(t, "/batch/", r.path)
	assert.Equal(t, int64(len(r.body)), r.length)
	assert.Equal(t, http.Header{
		"Accept-Encoding": {"identity"},
		"Content-Length":  {fmt.Sprint(len(r.body))},
		"Content-Type":    {"application/json"},
		"User-Agent":      {"franklinwh-telemetry"},
	}, r.header)
}

func TestConfiguredHeadersAndCompression(t *testing.T) {
	posthog := newDouble(t)
	cfg := testConfig()
	cfg.ClientConfig.Compression = configcompression.TypeGzip
	cfg.ClientConfig.Headers = configopaque.MapList{{Name: "User-Agent", Value: "example"}}
	e := startExporter(t, cfg, posthog)
	require.NoError(t, e.consumeTraces(t.Context(), spans(3)))
	assert.Equal(t, uuidsOf(1, 2, 3), posthog.uuids())
	assert.Equal(t, "gzip", posthog.batches()[0].header.Get("Content-Encoding"))
	assert.Equal(t, "example", posthog.batches()[0].header.Get("User-Agent"))
}

func TestEndpointMayEndInASlashOrHaveAPath(t *testing.T) {
	for suffix, path := range map[string]string{"/": "/batch/", "/ingest": "/ingest/batch/", "/ingest/": "/ingest/batch/"} {
		posthog := newDouble(t)
		cfg := testConfig()
		cfg.ClientConfig.Endpoint = posthog.URL + suffix
		cfg.VerifyKey = false
		e := newWatched(t, cfg)
		require.NoError(t, e.start(t.Context(), componenttest.NewNopHost()))
		require.NoError(t, e.consumeTraces(t.Context(), spans(1)))
		assert.Equal(t, path, posthog.batches()[0].path)
	}
}

func TestWhatIsKeptIsLeftOverWhole(t *testing.T) {
	html := map[string]string{"Content-Type": "text/html"}
	asJSON := map[string]string{"Content-Type": "application/json"}
	for name, c := range map[string]struct {
		reply   reply
		message string
	}{
		"broken":          {reply{}, "no answer from 127.0.0.1:"},
		"408":             {reply{status: 408}, "answered 408"},
		"429":             {reply{status: 429}, "answered 429"},
		"500":             {reply{status: 500}, "answered 500"},
		"503":             {reply{status: 503, body: "transient error, please retry"}, "answered 503"},
		"401":             {reply{status: 401, body: "API key is not valid"}, "check api_key and the endpoint"},
		"403":             {reply{status: 403}, "check the endpoint"},
		"404":             {reply{status: 404}, "check the endpoint"},
		"302":             {reply{status: 302, header: map[string]string{"Location": "/surprise"}}, "a redirect, which is never followed"},
		"307":             {reply{status: 307, header: map[string]string{"Location": "/surprise"}}, "a redirect, which is never followed"},
		"captive portal":  {reply{status: 200, header: html, body: "<html>log in</html>"}, "but not as PostHog does"},
		"204":             {reply{status: 204}, "but not as PostHog does"},
		"foreign JSON":    {reply{status: 200, header: asJSON, body: `{"ok":true}`}, "but not as PostHog does"},
		"endless":         {reply{status: 200, header: asJSON, body: `{"status":"Ok"}` + strings.Repeat(" ", maxAnswerBytes)}, "but not as PostHog does"},
		"another's error": {reply{status: 418, body: "surprise"}, "which no receiver of events should"},
	} {
		t.Run(name, func(t *testing.T) {
			posthog := newDouble(t, c.reply)
			e := startExporter(t, testConfig(), posthog)
			td := spans(9)
			err := e.consumeTraces(t.Context(), td)
			require.ErrorContains(t, err, c.message)
			assert.NotContains(t, err.Error(), "surprise")
			assert.Equal(t, td, restOf(t, err))
			assert.Len(t, posthog.batches(), 1)

			// What comes back is sent again, as it was.
			require.NoError(t, e.consumeTraces(t.Context(), restOf(t, err)))
			assert.Equal(t, posthog.batches()[0].body, posthog.batches()[1].body)
			assertSent(t, e, 9)
		})
	}
}

func TestLongestAnswerIsRead(t *testing.T) {
	long := ok
	long.body += strings.Repeat(" ", maxAnswerBytes-len(ok.body))
	e := startExporter(t, testConfig(), newDouble(t, long))
	require.NoError(t, e.consumeTraces(t.Context(), spans(1)))
}

func TestRetryAfterIsHandedOn(t *testing.T) {
	for _, status := range []int{408, 429, 500, 503} {
		e := startExporter(t, testConfig(), newDouble(t, reply{status: status, header: map[string]string{"Retry-After": "7"}}))
		err := e.consumeTraces(t.Context(), spans(2))
		require.ErrorContains(t, err, "Throttle (7s)")
		assert.Equal(t, 2, restOf(t, err).SpanCount())
	}
}

func TestDroppedSpansAreCountedByReasonAndLoggedOnce(t *testing.T) {
	posthog := newDouble(t)
	e := startExporter(t, testConfig(), posthog)
	td := spans(6)
	spanNumber(td, 1).Attributes().Remove("user.id")
	spanNumber(td, 2).Attributes().Remove("user.id")
	spanNumber(td, 4).Attributes().PutStr("plan", strings.Repeat("surprise", maxEventBytes/8))
	spanNumber(td, 6).SetSpanID([8]byte{})
	require.NoError(t, e.consumeTraces(t.Context(), td))
	assert.Equal(t, uuidsOf(3, 5), posthog.uuids())
	assertSent(t, e, 2)
	assertDropped(t, e, map[reason]int64{reasonNoDistinctID: 2, reasonTooLarge: 1, reasonNoIDs: 1})
	require.Equal(t, 1, e.log.Len())
	assert.Equal(t, map[string]any{"no_distinct_id": int64(2), "too_large": int64(1), "no_ids": int64(1)},
		e.log.All()[0].ContextMap())
}

func TestQuotaIsLoggedOnceAndCounted(t *testing.T) {
	limited := ok
	limited.body = `{"status":"Ok","quota_limited":["events"]}`
	e := startExporter(t, testConfig(), newDouble(t, limited, limited, ok, limited))
	for range 4 {
		require.NoError(t, e.consumeTraces(t.Context(), spans(5)))
	}
	assertSent(t, e, 5)
	metadatatest.AssertEqualExporterPosthogEventsQuotaLimited(t, e.telemetry,
		[]metricdata.DataPoint[int64]{{Value: 15}}, metricdatatest.IgnoreTimestamp())
	assert.Equal(t, 2, e.log.Len(), "once for each time that the quota is reached")
	assert.Contains(t, e.log.All()[0].Message, "over PostHog's quota")
}

func TestCancellationLeavesEverything(t *testing.T) {
	e := startExporter(t, testConfig(), newDouble(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := e.consumeTraces(ctx, spans(3))
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 3, restOf(t, err).SpanCount())
}

func TestSilentServerIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	posthog := newDouble(t)
	posthog.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	cfg := testConfig()
	cfg.ClientConfig.Timeout = 50 * time.Millisecond
	e := startExporter(t, cfg, posthog)
	err := e.consumeTraces(t.Context(), spans(3))
	require.ErrorContains(t, err, "no answer from")
	assert.Equal(t, 3, restOf(t, err).SpanCount())
}

func TestConsumersMayExportAtTheSameTime(t *testing.T) {
	posthog := newDouble(t)
	e := startExporter(t, testConfig(), posthog)
	var consumers sync.WaitGroup
	for range 8 {
		consumers.Go(func() {
			for range 5 {
				td := spans(20)
				spanNumber(td, 7).Attributes().PutBool("poison", true)
				assert.NoError(t, e.consumeTraces(t.Context(), td))
			}
		})
	}
	consumers.Wait()
	expected := []string{}
	for range 40 {
		expected = append(expected, uuidsOf(append(numbers(1, 6), numbers(8, 20)...)...)...)
	}
	assert.ElementsMatch(t, expected, posthog.uuids())
	assertSent(t, e, 40*19)
	assertDropped(t, e, map[reason]int64{reasonRefused: 40})
}
