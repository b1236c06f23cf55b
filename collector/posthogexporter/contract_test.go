package posthogexporter

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// contractCase is the part of a case that concerns the way from OTLP to PostHog; see tests/contract/README.md.
type contractCase struct {
	About   string          `json:"about"`
	OTLP    json.RawMessage `json:"otlp"`
	Key     string          `json:"posthog_api_key"`
	Event   string          `json:"posthog_event"`
	PostHog string          `json:"posthog"`
}

func contractCases(t testing.TB) map[string]contractCase {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "tests", "contract", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	cases := map[string]contractCase{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		var c contractCase
		require.NoError(t, json.Unmarshal(text, &c), path)
		cases[filepath.Base(path)] = c
	}
	return cases
}

func (c contractCase) traces(t testing.TB) ptrace.Traces {
	t.Helper()
	td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(c.OTLP)
	require.NoError(t, err)
	return td
}

func TestBodyIsThatOfTheContract(t *testing.T) {
	for name, c := range contractCases(t) {
		t.Run(name, func(t *testing.T) {
			posthog := newDouble(t)
			cfg := loadConfig(t, "franklinwh")
			require.Equal(t, c.Event, cfg.EventName)
			cfg.APIKey = configopaque.String(c.Key)
			e := startExporter(t, cfg, posthog)

			require.NoError(t, e.consumeTraces(t.Context(), c.traces(t)))

			require.Len(t, posthog.batches(), 1)
			assert.Equal(t, c.PostHog, string(posthog.batches()[0].body), c.About)
		})
	}
}

func TestBatchOfTheContractIsInTheOrderOfItsSpans(t *testing.T) {
	td := ptrace.NewTraces()
	events := []string{}
	for _, c := range contractCases(t) {
		c.traces(t).ResourceSpans().MoveAndAppendTo(td.ResourceSpans())
		event, _ := strings.CutPrefix(c.PostHog, `{"api_key":"phc_contract","batch":[`)
		events = append(events, strings.TrimSuffix(event, "]}"))
	}
	posthog := newDouble(t)
	e := startExporter(t, loadConfig(t, "franklinwh"), posthog)

	require.NoError(t, e.consumeTraces(t.Context(), td))

	require.Len(t, posthog.batches(), 1)
	assert.Equal(t, `{"api_key":"phc_contract","batch":[`+strings.Join(events, ",")+"]}", string(posthog.batches()[0].body))
}
