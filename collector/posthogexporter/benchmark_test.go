package posthogexporter

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

const benchmarkedSpans = 5_000

// contractSpans is one batch of spans as this project's Collector sends them.
func contractSpans(b *testing.B) ptrace.Traces {
	one := contractCases(b)["success.json"].traces(b)
	td := ptrace.NewTraces()
	for range benchmarkedSpans {
		one.ResourceSpans().At(0).CopyTo(td.ResourceSpans().AppendEmpty())
	}
	return td
}

func reportSpans(b *testing.B) {
	b.ReportMetric(float64(benchmarkedSpans)*float64(b.N)/b.Elapsed().Seconds(), "spans/s")
}

func BenchmarkEncodePostHog(b *testing.B) {
	td := contractSpans(b)
	m := mappingOf(b, loadConfig(b, "franklinwh"))
	p := newPart()
	b.ReportAllocs()
	for b.Loop() {
		p.forget(len(p.starts))
		for index, at := range spansOf(td) {
			p.add(index, func(dst []byte) ([]byte, reason) { return m.appendEvent(dst, at) })
		}
	}
	b.SetBytes(int64(len(p.encoded)))
	reportSpans(b)
}

func BenchmarkEncodeOTLPJSON(b *testing.B) {
	td := contractSpans(b)
	b.ReportAllocs()
	for b.Loop() {
		encoded, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalJSON()
		require.NoError(b, err)
		b.SetBytes(int64(len(encoded)))
	}
	reportSpans(b)
}

// BenchmarkExportPostHog and BenchmarkExportOTLPJSON send the same spans to the same server on loopback.
func BenchmarkExportPostHog(b *testing.B) {
	cfg := loadConfig(b, "franklinwh")
	cfg.VerifyKey = false
	cfg.ClientConfig.Endpoint = newSink(b, ok).URL
	cfg.QueueConfig = noQueue
	benchmarkExport(b, NewFactory(), cfg)
}

func BenchmarkExportOTLPJSON(b *testing.B) {
	factory := otlphttpexporter.NewFactory()
	cfg := factory.CreateDefaultConfig().(*otlphttpexporter.Config)
	cfg.ClientConfig.Endpoint = newSink(b, reply{status: 200, header: ok.header, body: `{}`}).URL
	cfg.ClientConfig.Compression = ""
	cfg.Encoding = otlphttpexporter.EncodingJSON
	cfg.QueueConfig = noQueue
	benchmarkExport(b, factory, cfg)
}

func benchmarkExport(b *testing.B, factory exporter.Factory, cfg any) {
	td := contractSpans(b)
	e, err := factory.CreateTraces(b.Context(), exportertest.NewNopSettings(factory.Type()), cfg)
	require.NoError(b, err)
	require.NoError(b, e.Start(b.Context(), componenttest.NewNopHost()))
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, e.ConsumeTraces(b.Context(), td))
	}
	reportSpans(b)
	require.NoError(b, e.Shutdown(b.Context()))
}

// noQueue has the export itself measured, and nothing that waits.
var noQueue = configoptional.None[exporterhelper.QueueBatchConfig]()

// newSink answers at once and keeps nothing.
func newSink(b *testing.B, always reply) *httptest.Server {
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for name, value := range always.header {
			w.Header().Set(name, value)
		}
		_, _ = io.WriteString(w, always.body)
	}))
	b.Cleanup(sink.Close)
	return sink
}
