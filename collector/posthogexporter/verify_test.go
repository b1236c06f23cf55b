package posthogexporter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.uber.org/zap"
)

func TestKeyIsVerifiedAtStart(t *testing.T) {
	asJSON := map[string]string{"Content-Type": "application/json"}
	for name, c := range map[string]struct {
		reply   reply
		fails   bool
		warning string
	}{
		"known":        {reply: reply{status: 200, header: asJSON, body: `{"flags":{}}`}},
		"unknown":      {reply: reply{status: 401, header: asJSON, body: `{"code":"invalid_api_key"}`}, fails: true},
		"unreachable":  {reply: reply{}, warning: "no answer from 127.0.0.1:"},
		"out of order": {reply: reply{status: 503}, warning: "answered 503"},
		"portal":       {reply: reply{status: 200, body: "<html>log in</html>"}, warning: "but not as PostHog does"},
		"elsewhere":    {reply: reply{status: 404}, warning: "answered 404"},
		"redirect":     {reply: reply{status: 302, header: map[string]string{"Location": "/"}}, warning: "answered 302"},
	} {
		t.Run(name, func(t *testing.T) {
			posthog := newDouble(t, c.reply)
			cfg := testConfig()
			cfg.ClientConfig.Endpoint = posthog.URL
			e := newWatched(t, cfg)

			err := e.start(t.Context(), componenttest.NewNopHost())

			require.NotEmpty(t, posthog.batches())
			assert.Equal(t, "/flags/?v=2", posthog.batches()[0].path)
			assert.Equal(t, `{"api_key":"phc_surprise","distinct_id":"franklinwh-telemetry-key-check"}`,
				string(posthog.batches()[0].body))
			assert.Equal(t, c.fails, err != nil)
			if c.fails {
				require.ErrorContains(t, err, "does not know the project key: check api_key and the endpoint")
				assert.NotContains(t, err.Error(), "surprise")
			}
			if c.warning == "" {
				assert.Zero(t, e.log.Len())
				return
			}
			require.Equal(t, 1, e.log.Len())
			assert.Equal(t, zap.WarnLevel, e.log.All()[0].Level)
			warning, _ := e.log.All()[0].ContextMap()["error"].(string)
			assert.Contains(t, warning, c.warning)
			assert.NotContains(t, warning, "surprise")
		})
	}
}

func TestStartFailsOnUnusableTLS(t *testing.T) {
	cfg := testConfig()
	cfg.ClientConfig.TLS.CAFile = "testdata/none.pem"
	assert.Error(t, newWatched(t, cfg).start(t.Context(), componenttest.NewNopHost()))
}
