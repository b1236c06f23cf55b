package posthogexporter // import "github.com/franklinwh-telemetry/franklinwh-telemetry/collector/posthogexporter"

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxAnswerBytes = 64 * 1024
	maxRetryAfter  = 24 * time.Hour
	jsonMediaType  = "application/json"
)

// answer is what came back for a request, reduced to what is asked of it.
type answer struct {
	status     int
	mediaType  string
	body       []byte
	isWhole    bool // false for a body of more than 64 KiB, which is no receiver of events'
	retryAfter time.Duration
}

// outcome is what an answer means for all events of its request.
type outcome int

const (
	accepted     outcome = iota
	quotaLimited         // received and discarded; sending them again would change nothing
	refused              // not all of them together; those that are not to blame may still pass
	kept                 // to be sent again: with the error that says why, and what to mend
)

// judge reads an answer to a batch. An error is there for `kept` only.
// What looks like a wrong address, key or proxy is kept, because a person can mend it and lost events come never back.
func judge(a answer, host string) (outcome, error) {
	switch {
	case a.status >= 200 && a.status <= 299:
		if is := parseBatchAnswer(a); is != kept {
			return is, nil
		}
		return kept, fmt.Errorf("%s answered %d, but not as PostHog does: check the endpoint, and what stands in between "+
			"(a proxy, a login page)", host, a.status)
	case a.status == http.StatusBadRequest,
		a.status == http.StatusRequestEntityTooLarge,
		a.status == http.StatusUnprocessableEntity:
		return refused, nil
	case a.status == http.StatusRequestTimeout,
		a.status == http.StatusTooManyRequests,
		a.status >= 500 && a.status <= 599:
		return kept, fmt.Errorf("%s answered %d", host, a.status)
	case a.status >= 300 && a.status <= 399:
		return kept, fmt.Errorf("%s answered %d, a redirect, which is never followed: check the endpoint", host, a.status)
	}
	return kept, fmt.Errorf("%s answered %d: %s", host, a.status, remedy(a.status))
}

func remedy(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "the project key is not known there, check api_key and the endpoint"
	case http.StatusForbidden:
		return "it does not let this exporter in, check the endpoint and what stands in between"
	case http.StatusNotFound:
		return "nothing takes events under this address, check the endpoint"
	case http.StatusProxyAuthRequired:
		return "a proxy asks for credentials, check proxy_url"
	default:
		return "which no receiver of events should, check the endpoint"
	}
}

// parseBatchAnswer reads PostHog's answer of a status 2xx: accepted, quotaLimited, or kept if it is not PostHog's.
func parseBatchAnswer(a answer) outcome {
	members := parseObject(a)
	if members == nil {
		return kept
	}
	var status string
	if string(members["status"]) != "1" &&
		(json.Unmarshal(members["status"], &status) != nil || !strings.EqualFold(status, "ok")) {
		return kept
	}
	var limited []any
	if json.Unmarshal(members["quota_limited"], &limited) == nil {
		for _, resource := range limited {
			if resource == "events" {
				return quotaLimited
			}
		}
	}
	return accepted
}

// parseObject returns the members of an answer that is one whole JSON object, else nil.
// A map, because a struct's fields would match in any case of letters.
func parseObject(a answer) map[string]json.RawMessage {
	if a.mediaType != jsonMediaType || !a.isWhole {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(a.body, &members) != nil {
		return nil
	}
	return members
}

// parseMediaType returns the media type of a Content-Type header in lower case, empty for what is none.
func parseMediaType(header string) string {
	// The error may be about a parameter, which nobody asks for.
	mediaType, _, _ := mime.ParseMediaType(header)
	return mediaType
}

// parseRetryAfter reads seconds or a date; 0 for anything else and for the past, never more than a day.
func parseRetryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseUint(header, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	date, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}
