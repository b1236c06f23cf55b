package posthogexporter

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryStatusHasAMeaning(t *testing.T) {
	expected := func(status int) (outcome, string) {
		switch status {
		case 400, 413, 422:
			return refused, ""
		case 401:
			return kept, "the project key is not known there"
		case 403:
			return kept, "it does not let this exporter in"
		case 404:
			return kept, "nothing takes events under this address"
		case 407:
			return kept, "a proxy asks for credentials"
		case 408, 429:
			return kept, fmt.Sprintf("host answered %d", status)
		}
		switch status / 100 {
		case 2:
			return accepted, ""
		case 3:
			return kept, "a redirect, which is never followed"
		case 5:
			return kept, fmt.Sprintf("host answered %d", status)
		default:
			return kept, "which no receiver of events should"
		}
	}
	for status := 100; status < 1000; status++ {
		is, err := judge(answer{status: status, mediaType: jsonMediaType, body: []byte(`{"status":1}`), isWhole: true}, "host")
		means, message := expected(status)
		require.Equal(t, means, is, status)
		if message == "" {
			require.NoError(t, err, status)
		} else {
			require.ErrorContains(t, err, message, status)
		}
	}
}

func TestAnswersOfABatch(t *testing.T) {
	for body, means := range map[string]outcome{
		`{"status":"Ok"}`:                                           accepted,
		`{"status":"ok"}`:                                           accepted,
		` {"status" : 1 } `:                                         accepted,
		`{"status":"Ok","quota_limited":[]}`:                        accepted,
		`{"status":"Ok","quota_limited":null}`:                      accepted,
		`{"status":"Ok","quota_limited":"events"}`:                  accepted,
		`{"status":"Ok","quota_limited":["recordings",1]}`:          accepted,
		`{"status":"Ok","quota_limited":["recordings","events"]}`:   quotaLimited,
		`{"status":1,"quota_limited":["events"],"more":{"a":[{}]}}`: quotaLimited,
		`{"status":"error"}`:                                        kept,
		`{"status":0}`:                                              kept,
		`{"status":true}`:                                           kept,
		`{"status":null}`:                                           kept,
		`{"Status":"Ok"}`:                                           kept,
		`{"quota_limited":["events"]}`:                              kept,
		`{}`:                                                        kept,
		`[]`:                                                        kept,
		`null`:                                                      kept,
		`"Ok"`:                                                      kept,
		``:                                                          kept,
		`{"status":"Ok"`:                                            kept,
		`{"status":"Ok"} {"status":"Ok"}`:                           kept,
		`<html>log in</html>`:                                       kept,
	} {
		assert.Equal(t, means, parseBatchAnswer(answer{mediaType: jsonMediaType, body: []byte(body), isWhole: true}), body)
	}
}

func TestAnswersThatAreNotPostHogs(t *testing.T) {
	whole := answer{status: 200, mediaType: jsonMediaType, body: []byte(`{"status":"Ok"}`), isWhole: true}
	foreign := whole
	foreign.mediaType = "text/html"
	cut := whole
	cut.isWhole = false
	for _, a := range []answer{foreign, cut, {status: 204}} {
		is, err := judge(a, "host")
		assert.Equal(t, kept, is)
		assert.ErrorContains(t, err, "but not as PostHog does: check the endpoint")
	}
}

func TestMediaTypes(t *testing.T) {
	for header, mediaType := range map[string]string{
		"application/json":                "application/json",
		"Application/JSON; charset=utf-8": "application/json",
		" application/json ;charset":      "application/json",
		"application/json-patch":          "application/json-patch",
		"":                                "",
		"; charset=utf-8":                 "",
		"text/html, application/json":     "",
		"application/ json":               "",
	} {
		assert.Equal(t, mediaType, parseMediaType(header), "%q", header)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for header, wait := range map[string]time.Duration{
		"":                                0,
		"0":                               0,
		"7":                               7 * time.Second,
		" 7 ":                             7 * time.Second,
		"-7":                              0,
		"+7":                              0,
		"7.5":                             0,
		"soon":                            0,
		"86401":                           24 * time.Hour,
		"18446744073709551615":            24 * time.Hour,
		"99999999999999999999":            0,
		"Tue, 24 Nov 2026 12:00:09 GMT":   9 * time.Second,
		"Tue, 24 Nov 2026 11:59:59 GMT":   0,
		"Sat, 24 Nov 2126 12:00:00 GMT":   24 * time.Hour,
		"Tuesday, 24-Nov-26 12:00:09 GMT": 9 * time.Second,
		"24.11.2026":                      0,
	} {
		assert.Equal(t, wait, parseRetryAfter(header, now), "%q", header)
	}
	assert.Equal(t, 5*time.Second, parseRetryAfter(now.Add(5*time.Second).Format(http.TimeFormat), now))
}
