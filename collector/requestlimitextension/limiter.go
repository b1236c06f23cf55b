package requestlimitextension

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"sync/atomic"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"

	// The codes of gRPC that OTLP has in its answers: never again, and again later.
	invalidArgument = 3
	unavailable     = 14

	// A body up to smallBytes is always read: requests of a handful of spans are not shut out by those of thousands.
	smallBytes = 16 << 10
	firstBytes = 4 << 10
)

var errNoRoom = errors.New("too many requests are being read")

// limiter is the middleware; its zero value lets nothing through.
type limiter struct {
	component.StartFunc
	component.ShutdownFunc
	limits limits
	turns  chan struct{}
	// buffered is how many bytes the bodies have that are in memory now, all but the small ones.
	buffered    atomic.Int64
	maxBuffered int64
}

var (
	_ extension.Extension            = (*limiter)(nil)
	_ extensionmiddleware.HTTPServer = (*limiter)(nil)
)

func newLimiter(config *Config) *limiter {
	return &limiter{
		limits:      limits{messages: config.MaxMessages, depth: config.MaxDepth},
		turns:       make(chan struct{}, config.MaxConcurrentRequests),
		maxBuffered: config.MaxBufferedBytes,
	}
}

// GetHTTPHandler returns what wraps the receiver's handler; it sees bodies after decompression.
func (l *limiter) GetHTTPHandler(context.Context) (extensionmiddleware.WrapHTTPHandlerFunc, error) {
	return func(_ context.Context, receiver http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
			l.serve(receiver, answer, request)
		}), nil
	}, nil
}

func (l *limiter) serve(receiver http.Handler, answer http.ResponseWriter, request *http.Request) {
	mediaType, _, _ := mime.ParseMediaType(request.Header.Get("Content-Type"))
	body, err := l.read(request.Body)
	defer l.release(body)
	if errors.Is(err, errNoRoom) {
		refuse(answer, mediaType, err)
		return
	}
	if err != nil {
		// The receiver has its own answer to a body that is too large, too slow or cut short.
		request.Body = io.NopCloser(failedReader{err})
		receiver.ServeHTTP(answer, request)
		return
	}
	check := l.limits.checkText
	if mediaType == protobufType {
		check = l.limits.checkProtobuf
	}
	if err := check(body); err != nil {
		refuse(answer, mediaType, err)
		return
	}
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	case <-request.Context().Done():
		return
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	receiver.ServeHTTP(answer, request)
}

// read returns the whole body, or what it has read of it; either way release takes it back.
func (l *limiter) read(from io.Reader) ([]byte, error) {
	body := make([]byte, 0, firstBytes)
	for {
		if len(body) == cap(body) {
			larger := make([]byte, len(body), 2*cap(body))
			if more := roomFor(larger) - roomFor(body); l.buffered.Add(more) > l.maxBuffered && more > 0 {
				l.buffered.Add(-more)
				return body, errNoRoom
			}
			copy(larger, body)
			body = larger
		}
		size, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+size]
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return body, err
		}
	}
}

func (l *limiter) release(body []byte) {
	l.buffered.Add(-roomFor(body))
}

func roomFor(body []byte) int64 {
	if cap(body) <= smallBytes {
		return 0
	}
	return int64(cap(body))
}

// refuse answers as OTLP asks: a Status in the encoding of the request.
func refuse(answer http.ResponseWriter, mediaType string, why error) {
	status, code := http.StatusBadRequest, uint64(invalidArgument)
	switch {
	case errors.Is(why, errTooMany):
		// A client that can say less in one request may halve it.
		status = http.StatusRequestEntityTooLarge
	case errors.Is(why, errNoRoom):
		status, code = http.StatusServiceUnavailable, unavailable
	}
	var message []byte
	if mediaType == protobufType {
		message = protowire.AppendTag(nil, 1, protowire.VarintType)
		message = protowire.AppendVarint(message, code)
		message = protowire.AppendTag(message, 2, protowire.BytesType)
		message = protowire.AppendString(message, why.Error())
	} else {
		mediaType = jsonType
		message, _ = json.Marshal(map[string]any{"code": code, "message": why.Error()})
	}
	answer.Header().Set("Content-Type", mediaType)
	answer.WriteHeader(status)
	_, _ = answer.Write(message)
}

type failedReader struct {
	err error
}

func (f failedReader) Read([]byte) (int, error) {
	return 0, f.err
}
