package posthogexporter

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter/internal/metadata"
)

// double stands for PostHog's ingestion on a real socket. One poisoned event refuses its whole batch.
type double struct {
	*httptest.Server

	mu       sync.Mutex
	requests []request
	stored   []event // in the order of their arrival, with duplicates
	script   []reply // what the next requests are answered, before the rules apply again
}

type request struct {
	path   string
	header http.Header
	length int64
	body   []byte
}

type event struct {
	UUID       string         `json:"uuid"`
	Event      string         `json:"event"`
	DistinctID string         `json:"distinct_id"`
	Timestamp  string         `json:"timestamp"`
	Properties map[string]any `json:"properties"`
}

// reply is an answer; a status of 0 stands for a connection that breaks.
type reply struct {
	status int
	header map[string]string
	body   string
}

var ok = reply{status: 200, header: map[string]string{"Content-Type": "application/json"}, body: `{"status":"Ok"}`}

func newDouble(t testing.TB, script ...reply) *double {
	d := &double{script: script}
	d.Server = httptest.NewServer(d)
	t.Cleanup(d.Close)
	return d
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var unpacked io.Reader
		if unpacked, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(unpacked)
		}
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	answer := d.answer(request{path: r.URL.RequestURI(), header: r.Header, length: r.ContentLength, body: body})
	if answer.status == 0 {
		panic(http.ErrAbortHandler)
	}
	for name, value := range answer.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, answer.body)
}

func (d *double) answer(r request) reply {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests = append(d.requests, r)
	if len(d.script) > 0 {
		next := d.script[0]
		d.script = d.script[1:]
		if next.status == 200 && next.body == ok.body {
			return d.ingest(r)
		}
		return next
	}
	return d.ingest(r)
}

func (d *double) ingest(r request) reply {
	var batch struct {
		Events []event `json:"batch"`
	}
	if err := json.Unmarshal(r.body, &batch); err != nil || len(batch.Events) == 0 {
		return reply{status: 400, body: "failed to decode request"}
	}
	for _, e := range batch.Events {
		if e.Event == "" || e.DistinctID == "" || e.Properties["poison"] != nil {
			return reply{status: 400, body: "event submitted with an empty event name"}
		}
	}
	d.stored = append(d.stored, batch.Events...)
	return ok
}

func (d *double) batches() []request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]request(nil), d.requests...)
}

// uuids lists what was stored, in the order of arrival.
func (d *double) uuids() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]string, 0, len(d.stored))
	for _, e := range d.stored {
		all = append(all, e.UUID)
	}
	return all
}

// sizes lists how many events each request held.
func (d *double) sizes() []int {
	all := []int{}
	for _, r := range d.batches() {
		all = append(all, strings.Count(string(r.body), `"uuid":`))
	}
	return all
}

// watched is a started exporter with its metrics and its log.
type watched struct {
	*posthogExporter
	telemetry *componenttest.Telemetry
	log       *observer.ObservedLogs
}

// startExporter starts an exporter against the double, without verifying its key.
func startExporter(t testing.TB, cfg *Config, d *double) watched {
	t.Helper()
	cfg.ClientConfig.Endpoint = d.URL
	cfg.VerifyKey = false
	e := newWatched(t, cfg)
	require.NoError(t, e.start(t.Context(), componenttest.NewNopHost()))
	return e
}

func newWatched(t testing.TB, cfg *Config) watched {
	t.Helper()
	telemetry := componenttest.NewTelemetry()
	core, log := observer.New(zap.DebugLevel)
	set := exportertest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = telemetry.NewTelemetrySettings()
	set.Logger = zap.New(core)
	e, err := newExporter(cfg, set)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, e.shutdown(context.Background()))

		require.NoError(t, telemetry.Shutdown(context.Background()))
	})
	return watched{posthogExporter: e, telemetry: telemetry, log: log}
}

// testConfig maps users, plans and poison.
func testConfig() *Config {
	cfg := createDefaultConfig().(*Config)
	cfg.ClientConfig.Endpoint = "https://us.i.posthog.com"
	cfg.APIKey = "phc_surprise"
	cfg.EventName = "span"
	cfg.DistinctID = Source{Attribute: "user.id"}
	cfg.Properties = map[string]Source{"plan": {Attribute: "plan"}, "poison": {Attribute: "poison"}}
	return cfg
}

// spans makes n spans, numbered by their ids from 1, spread over two resources and two scopes each.
func spans(n int) ptrace.Traces {
	td := ptrace.NewTraces()
	for i := range n {
		group := i * 4 / n
		for td.ResourceSpans().Len() <= group/2 {
			rs := td.ResourceSpans().AppendEmpty()
			rs.SetSchemaUrl(fmt.Sprintf("https://schema.invalid/%d", group/2))
			rs.Resource().Attributes().PutInt("resource", int64(group/2))
		}
		scopes := td.ResourceSpans().At(group / 2).ScopeSpans()
		for scopes.Len() <= group%2 {
			ss := scopes.AppendEmpty()
			ss.SetSchemaUrl(fmt.Sprintf("https://schema.invalid/%d", group))
			ss.Scope().SetName(fmt.Sprintf("scope %d", group))
		}
		fill(scopes.At(group%2).Spans().AppendEmpty(), i+1)
	}
	return td
}

func fill(span ptrace.Span, number int) {
	span.SetTraceID(pcommon.TraceID{15: 1})
	span.SetSpanID(spanID(number))
	span.SetName("name")
	span.SetStartTimestamp(1_732_452_301_207_000_000)
	span.SetEndTimestamp(1_732_452_303_041_000_000)
	span.Attributes().PutStr("user.id", fmt.Sprintf("user %d", number))
	span.Attributes().PutStr("surprise", "surprise")
}

func spanID(number int) pcommon.SpanID {
	return pcommon.SpanID{5: byte(number >> 16), 6: byte(number >> 8), 7: byte(number)}
}

// uuidsOf are the uuids of the events of spans with these numbers.
func uuidsOf(numbers ...int) []string {
	all := make([]string, 0, len(numbers))
	for _, number := range numbers {
		all = append(all, string(appendUUID(nil, pcommon.TraceID{15: 1}, spanID(number))))
	}
	return all
}

// numbers are from, from+1, ... to.
func numbers(from, to int) []int {
	all := []int{}
	for number := from; number <= to; number++ {
		all = append(all, number)
	}
	return all
}

// numbersOf are the numbers of the spans in td.
func numbersOf(td ptrace.Traces) []int {
	all := []int{}
	for _, at := range spansOf(td) {
		id := at.span.SpanID()
		all = append(all, int(id[5])<<16|int(id[6])<<8|int(id[7]))
	}
	return all
}

// spanNumber is the span with that number.
func spanNumber(td ptrace.Traces, number int) ptrace.Span {
	for _, at := range spansOf(td) {
		if at.span.SpanID() == spanID(number) {
			return at.span
		}
	}
	panic("no such span")
}
