package requestlimitextension

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func wrapped(t *testing.T, config *Config, receiver http.HandlerFunc) http.Handler {
	t.Helper()
	wrap, err := newLimiter(config).GetHTTPHandler(context.Background())
	require.NoError(t, err)
	handler, err := wrap(context.Background(), receiver)
	require.NoError(t, err)
	return handler
}

func ask(handler http.Handler, contentType string, body io.Reader) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, "/v1/traces", body)
	request.Header.Set("Content-Type", contentType)
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer
}

func TestWhatPassesIsUnchanged(t *testing.T) {
	body := everything(t)
	handler := wrapped(t, createDefaultConfig().(*Config), func(answer http.ResponseWriter, request *http.Request) {
		received, err := io.ReadAll(request.Body)
		assert.NoError(t, err)
		assert.Equal(t, body, received)
		answer.WriteHeader(http.StatusTeapot)
	})
	assert.Equal(t, http.StatusTeapot, ask(handler, "application/x-protobuf; x=y", strings.NewReader(string(body))).Code)
}

func TestRefusals(t *testing.T) {
	handler := wrapped(t, &Config{MaxMessages: 4, MaxDepth: 2, MaxConcurrentRequests: 1}, func(http.ResponseWriter, *http.Request) {
		assert.Fail(t, "the receiver was asked")
	})
	const tooMany = "the request holds too many messages"
	for name, test := range map[string]struct {
		contentType string
		body        string
		status      int
		answered    string
		message     string
	}{
		"too many":  {protobufType, strings.Repeat("\x0a\x00", 5), 413, protobufType, "\x08\x03\x12\x23" + tooMany},
		"too deep":  {protobufType, string(inside(nil, 2, 2, 1)), 400, protobufType, "\x08\x03\x12\x32" + errTooDeep.Error()},
		"malformed": {protobufType, "\x0a", 400, protobufType, "\x08\x03\x12\x23" + errMalformed.Error()},
		"JSON":      {jsonType, "[1,2,3,4,5]", 413, jsonType, `{"code":3,"message":"` + tooMany + `"}`},
		"no OTLP":   {"text/html;", "[1,2,3,4,5]", 413, jsonType, `{"code":3,"message":"` + tooMany + `"}`},
		"nothing":   {"", "[1,2,3,4,5]", 413, jsonType, `{"code":3,"message":"` + tooMany + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			answer := ask(handler, test.contentType, strings.NewReader(test.body))
			assert.Equal(t, test.status, answer.Code)
			assert.Equal(t, test.answered, answer.Header().Get("Content-Type"))
			assert.Equal(t, test.message, answer.Body.String())
		})
	}
}

func TestBodiesShareARoomThatOnlySmallOnesNeedNot(t *testing.T) {
	var inside func()
	config := createDefaultConfig().(*Config)
	config.MaxBufferedBytes = 3 * smallBytes
	handler := wrapped(t, config, func(_ http.ResponseWriter, request *http.Request) {
		received, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		if len(received) > smallBytes {
			inside()
		}
	})
	large, small := strings.Repeat(" ", smallBytes+1), strings.Repeat(" ", smallBytes-1)
	for range 3 {
		entered := false
		inside = func() {
			entered = true
			answer := ask(handler, jsonType, strings.NewReader(large))
			assert.Equal(t, 503, answer.Code)
			assert.Equal(t, `{"code":14,"message":"too many requests are being read"}`, answer.Body.String())
			assert.Equal(t, 200, ask(handler, jsonType, strings.NewReader(small)).Code)
		}
		// Each time, what it took is given back.
		assert.Equal(t, 200, ask(handler, jsonType, strings.NewReader(large)).Code)
		assert.True(t, entered)
	}
	assert.Equal(t, 503, ask(handler, jsonType, strings.NewReader(large+large)).Code)
	ask(handler, jsonType, io.MultiReader(strings.NewReader(large), broken{}))
	assert.Equal(t, 200, ask(handler, jsonType, strings.NewReader(large)).Code)
}

type broken struct{}

var errBroken = errors.New("surprise")

func (broken) Read([]byte) (int, error) { return 0, errBroken }

func TestABodyThatCannotBeReadIsTheReceiversToAnswer(t *testing.T) {
	asked := false
	handler := wrapped(t, createDefaultConfig().(*Config), func(_ http.ResponseWriter, request *http.Request) {
		asked = true
		_, err := io.ReadAll(request.Body)
		assert.ErrorIs(t, err, errBroken)
	})
	ask(handler, protobufType, broken{})
	assert.True(t, asked)
}

func TestOnlySomeAreDecodedAtATime(t *testing.T) {
	const turns = 2
	var now, most atomic.Int32
	entered, leave := make(chan struct{}), make(chan struct{})
	handler := wrapped(t, &Config{MaxMessages: 1, MaxDepth: 1, MaxConcurrentRequests: turns}, func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		entered <- struct{}{}
		<-leave
		now.Add(-1)
	})
	done := make(chan struct{})
	for range 5 {
		go func() {
			ask(handler, protobufType, strings.NewReader(""))
			done <- struct{}{}
		}()
	}
	for range turns {
		<-entered
	}
	select {
	case <-entered:
		assert.Fail(t, "one more was decoded")
	case <-time.After(50 * time.Millisecond):
	}

	// Whoever gives up while it waits is not decoded at all.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader("")))

	for range 5 - turns {
		leave <- struct{}{}
		<-entered
	}
	for range turns {
		leave <- struct{}{}
	}
	for range 5 {
		<-done
	}
	assert.EqualValues(t, turns, most.Load())
}
