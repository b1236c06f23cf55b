package requestlimitextension

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"

	// invalidArgument is the code of gRPC that OTLP has in the answer to a request that will never be taken.
	invalidArgument = 3
)

// limiter is the middleware; its zero value lets nothing through.
type limiter struct {
	component.StartFunc
	component.ShutdownFunc
	limits limits
	turns  chan struct{}
}

var (
	_ extension.Extension            = (*limiter)(nil)
	_ extensionmiddleware.HTTPServer = (*limiter)(nil)
)

func newLimiter(config *Config) *limiter {
	return &limiter{
		limits: limits{messages: config.MaxMessages, depth: config.MaxDepth},
		turns:  make(chan struct{}, config.MaxConcurrentRequests),
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
	body, err := io.ReadAll(request.Body)
	if err != nil {
		// The receiver has its own answer to a body that is too large, too slow or cut short.
		request.Body = io.NopCloser(failedReader{err})
		receiver.ServeHTTP(answer, request)
		return
	}
	mediaType, _, _ := mime.ParseMediaType(request.Header.Get("Content-Type"))
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

// refuse answers as OTLP asks: a Status in the encoding of the request.
func refuse(answer http.ResponseWriter, mediaType string, why error) {
	status := http.StatusBadRequest
	if errors.Is(why, errTooMany) {
		// A client that can say less in one request may halve it.
		status = http.StatusRequestEntityTooLarge
	}
	var message []byte
	if mediaType == protobufType {
		message = protowire.AppendTag(nil, 1, protowire.VarintType)
		message = protowire.AppendVarint(message, invalidArgument)
		message = protowire.AppendTag(message, 2, protowire.BytesType)
		message = protowire.AppendString(message, why.Error())
	} else {
		mediaType = jsonType
		message, _ = json.Marshal(map[string]any{"code": invalidArgument, "message": why.Error()})
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
