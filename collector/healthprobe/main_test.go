package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProbe(t *testing.T) {
	for status, healthy := range map[int]bool{200: true, 204: false, 302: false, 404: false, 503: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				w.WriteHeader(http.StatusOK)
				return
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}))
		if err := probe(server.URL); (err == nil) != healthy {
			t.Errorf("%d: %v", status, err)
		}
		server.Close()
		if probe(server.URL) == nil {
			t.Error("nobody listens, and the probe is content")
		}
	}
}

func TestTheProbeUsesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if err := probe(server.URL); err == nil || err.Error() != server.URL+" answered 404 Not Found" {
		t.Errorf("%v", err)
	}
}
