package posthogexporter // import "github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter"

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// userAgent says what sends and nothing about whose; `headers` in the configuration replaces it.
const userAgent = "franklinwh-telemetry"

// client makes the exporter's requests. It holds the configured HTTP client, and follows no redirects.
type client struct {
	http *http.Client
	base string
	host string
	// named is the host that the endpoint names; PostHog's own are replaced by those that take events.
	named string
}

func newClient(configured *http.Client, endpoint string) (*client, error) {
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return nil, errors.New("endpoint: must be a URL")
	}
	named := parsed.Host
	if ingestion := ingestionHost(parsed); ingestion != "" {
		parsed.Host = strings.Replace(strings.ToLower(parsed.Host), strings.ToLower(parsed.Hostname()), ingestion, 1)
	}
	// A redirect is followed by a GET without the events, whose answer would look like one to them.
	configured.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{http: configured, base: strings.TrimSuffix(parsed.String(), "/"), host: parsed.Host, named: named}, nil
}

// lease counts the bodies that the transport has not closed. Where a server answers before it has read the whole body,
// the transport may read on after the answer, and what it reads must not change.
type lease struct {
	open atomic.Int32
}

type leasedBody struct {
	io.Reader
	lease    *lease
	isClosed atomic.Bool
}

func (l *lease) body(pieces [][]byte) io.ReadCloser {
	readers := make([]io.Reader, len(pieces))
	for i, piece := range pieces {
		readers[i] = bytes.NewReader(piece)
	}
	l.open.Add(1)
	return &leasedBody{Reader: io.MultiReader(readers...), lease: l}
}

func (b *leasedBody) Close() error {
	if !b.isClosed.Swap(true) {
		b.lease.open.Add(-1)
	}
	return nil
}

// post sends the pieces as one body, uncopied, and reads the answer. An error means that there was none.
// The pieces must stay as they are while the lease has an open body.
func (c *client) post(ctx context.Context, path string, l *lease, pieces ...[]byte) (answer, error) {
	length := 0
	for _, piece := range pieces {
		length += len(piece)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, nil)
	if err != nil {
		return answer{}, err
	}
	request.ContentLength = int64(length)
	// With it, the transport can repeat a request by itself when an idle connection turns out to be closed.
	request.GetBody = func() (io.ReadCloser, error) { return l.body(pieces), nil }
	request.Body = l.body(pieces)
	request.Header.Set("Content-Type", jsonMediaType)
	request.Header.Set("User-Agent", userAgent)
	// Answers are a few bytes, and a compressed one could unfold to more than what is read.
	request.Header.Set("Accept-Encoding", "identity")

	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	if err != nil {
		return answer{}, err
	}
	return answer{
		status:     response.StatusCode,
		mediaType:  parseMediaType(response.Header.Get("Content-Type")),
		body:       body,
		isWhole:    len(body) <= maxAnswerBytes,
		retryAfter: parseRetryAfter(response.Header.Get("Retry-After"), time.Now()),
	}, nil
}
