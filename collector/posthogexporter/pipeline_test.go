package posthogexporter

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter/internal/metadata"
)

// memory is a storage extension that outlives an exporter, as a disk does.
type memory struct {
	component.StartFunc
	component.ShutdownFunc
	mu     sync.Mutex
	values map[string][]byte
}

var memoryID = component.MustNewID("memory")

func (m *memory) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{memoryID: m}
}

func (m *memory) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return m, nil
}

func (m *memory) Get(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key], nil
}

func (m *memory) Set(ctx context.Context, key string, value []byte) error {
	return m.Batch(ctx, storage.SetOperation(key, value))
}

func (m *memory) Delete(ctx context.Context, key string) error {
	return m.Batch(ctx, storage.DeleteOperation(key))
}

func (m *memory) Close(context.Context) error { return nil }

func (m *memory) Batch(_ context.Context, operations ...*storage.Operation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, operation := range operations {
		switch operation.Type {
		case storage.Get:
			operation.Value = m.values[operation.Key]
		case storage.Set:
			m.values[operation.Key] = operation.Value
		case storage.Delete:
			delete(m.values, operation.Key)
		}
	}
	return nil
}

// startPipeline starts the exporter as the Collector does: with the queue and the retries of exporterhelper.
func startPipeline(t *testing.T, cfg *Config, host component.Host) (exporter.Traces, *observer.ObservedLogs) {
	t.Helper()
	core, log := observer.New(zap.DebugLevel)
	set := exportertest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	e, err := NewFactory().CreateTraces(t.Context(), set, cfg)
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context(), host))
	return e, log
}

func retryingConfig(d *double) *Config {
	cfg := testConfig()
	cfg.ClientConfig.Endpoint = d.URL
	cfg.VerifyKey = false
	cfg.RetryConfig.InitialInterval = time.Millisecond
	cfg.RetryConfig.MaxElapsedTime = 0
	cfg.QueueConfig.Get().NumConsumers = 1
	return cfg
}

func assertNoKey(t *testing.T, log *observer.ObservedLogs) {
	t.Helper()
	for _, entry := range log.All() {
		assert.NotContains(t, fmt.Sprint(entry.Message, entry.ContextMap()), "phc_")
	}
}

func TestOnlyTheRestIsRetriedWithTheSameUUIDs(t *testing.T) {
	posthog := newDouble(t, reply{status: 400}, ok, reply{status: 503}, reply{status: 401})
	e, log := startPipeline(t, retryingConfig(posthog), componenttest.NewNopHost())
	require.NoError(t, e.ConsumeTraces(t.Context(), spans(8)))
	require.Eventually(t, func() bool { return len(posthog.uuids()) >= 8 }, 20*time.Second, time.Millisecond)
	require.NoError(t, e.Shutdown(t.Context()))
	assert.Equal(t, uuidsOf(numbers(1, 8)...), posthog.uuids())
	// Refused, its first half accepted, its second half three times.
	assert.Equal(t, []int{8, 4, 4, 4, 4}, posthog.sizes())
	assert.NotZero(t, log.Len())
	assertNoKey(t, log)
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	posthog := newDouble(t, reply{status: 429, header: map[string]string{"Retry-After": "1"}})
	e, _ := startPipeline(t, retryingConfig(posthog), componenttest.NewNopHost())
	began := time.Now()
	require.NoError(t, e.ConsumeTraces(t.Context(), spans(3)))
	require.Eventually(t, func() bool { return len(posthog.uuids()) == 3 }, 20*time.Second, time.Millisecond)
	assert.GreaterOrEqual(t, time.Since(began), time.Second)
	require.NoError(t, e.Shutdown(t.Context()))
}

func TestSmallRequestsLeaveTogether(t *testing.T) {
	posthog := newDouble(t)
	cfg := retryingConfig(posthog)
	cfg.QueueConfig.Get().Batch.Get().FlushTimeout = time.Hour
	e, _ := startPipeline(t, cfg, componenttest.NewNopHost())
	for range 5 {
		require.NoError(t, e.ConsumeTraces(t.Context(), spans(1)))
	}
	require.NoError(t, e.Shutdown(t.Context()))
	assert.Equal(t, []int{5}, posthog.sizes())
}

func TestWhatWaitsSurvivesARestartWithTheSameUUIDs(t *testing.T) {
	disk := &memory{values: map[string][]byte{}}
	down := newDouble(t, ok)
	cfg := retryingConfig(down)
	cfg.QueueConfig.Get().StorageID = &memoryID
	cfg.QueueConfig.Get().Batch = configoptional.None[exporterhelper.BatchConfig]()

	e, log := startPipeline(t, cfg, disk)
	// One request arrives, then PostHog is gone while another one waits and is half settled.
	require.NoError(t, e.ConsumeTraces(t.Context(), spans(2)))
	require.Eventually(t, func() bool { return len(down.uuids()) == 2 }, 20*time.Second, time.Millisecond)
	down.mu.Lock()
	down.script = []reply{{status: 400}, ok}
	for range 10_000 {
		down.script = append(down.script, reply{status: 503})
	}
	down.mu.Unlock()
	require.NoError(t, e.ConsumeTraces(t.Context(), spans(8)))
	require.Eventually(t, func() bool { return len(down.batches()) > 4 }, 20*time.Second, time.Millisecond)
	require.NoError(t, e.Shutdown(t.Context()))
	assert.Equal(t, uuidsOf(1, 2, 1, 2, 3, 4), down.uuids())
	assertNoKey(t, log)

	up := newDouble(t)
	cfg.ClientConfig.Endpoint = up.URL
	e, _ = startPipeline(t, cfg, disk)
	require.Eventually(t, func() bool { return len(up.uuids()) >= 8 }, 20*time.Second, time.Millisecond)
	require.NoError(t, e.Shutdown(t.Context()))
	// The queue holds requests whole: the first half comes again, and PostHog drops it by its uuids.
	assert.Equal(t, uuidsOf(numbers(1, 8)...), up.uuids())
}

func TestUnknownKeyStopsTheStart(t *testing.T) {
	posthog := newDouble(t, reply{status: 401})
	cfg := retryingConfig(posthog)
	cfg.VerifyKey = true
	e, err := NewFactory().CreateTraces(t.Context(), exportertest.NewNopSettings(metadata.Type), cfg)
	require.NoError(t, err)
	require.ErrorContains(t, e.Start(t.Context(), componenttest.NewNopHost()), "does not know the project key")
	require.NoError(t, e.Shutdown(t.Context()))
}

// authenticator is an extension that signs requests, and notes until when they may last.
type authenticator struct {
	component.StartFunc
	component.ShutdownFunc
	deadlines chan bool
}

var authenticatorID = component.MustNewID("authenticator")

func (a *authenticator) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{authenticatorID: a}
}

func (a *authenticator) RoundTripper(base http.RoundTripper) (http.RoundTripper, error) {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		_, limited := r.Context().Deadline()
		a.deadlines <- limited
		signed := r.Clone(r.Context())
		signed.Header.Set("Authorization", "signed")
		return base.RoundTrip(signed)
	}), nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestExtensionsAuthenticateAndOnlyTheClientLimitsTime(t *testing.T) {
	posthog := newDouble(t)
	a := &authenticator{deadlines: make(chan bool, 1)}
	cfg := retryingConfig(posthog)
	cfg.ClientConfig.Auth = configoptional.Some(configauth.Config{AuthenticatorID: authenticatorID})
	cfg.ClientConfig.Timeout = 0
	e, _ := startPipeline(t, cfg, a)
	require.NoError(t, e.ConsumeTraces(t.Context(), spans(1)))
	require.NoError(t, e.Shutdown(t.Context()))
	// One call may make many requests, so that the time limit of exporterhelper would cut off the last ones.
	assert.False(t, <-a.deadlines)
	assert.Equal(t, "signed", posthog.batches()[0].header.Get("Authorization"))
}
