package posthogexporter // import "github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter"

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"
)

const (
	// verifyTimeout bounds how long a start may wait for a PostHog that cannot be reached.
	verifyTimeout = 10 * time.Second

	// verifyDistinctID is nobody, and the same for everybody: `/flags/` wants somebody to ask for.
	verifyDistinctID = "franklinwh-telemetry-key-check"
)

// verifyKey fails only if PostHog says that it does not know the key. A start must not depend on the network.
func (e *posthogExporter) verifyKey(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()

	body := appendString([]byte(`{"api_key":`), string(e.cfg.APIKey))
	body = appendString(append(body, `,"distinct_id":`...), verifyDistinctID)
	a, err := e.client.post(ctx, "/flags/?v=2", new(lease), append(body, '}'))
	switch {
	case err != nil:
		err = fmt.Errorf("no answer from %s: %w", e.client.host, err)
	case a.status == http.StatusUnauthorized:
		return fmt.Errorf("%s does not know the project key: check api_key and the endpoint (each region has its own keys)",
			e.client.host)
	case a.status == http.StatusOK && parseObject(a) != nil:
		return nil
	default:
		err = fmt.Errorf("%s answered %d, but not as PostHog does: check the endpoint", e.client.host, a.status)
	}
	e.settings.Logger.Warn("The project key could not be verified. Events of an unknown key are lost without an error",
		zap.Error(err))
	return nil
}
