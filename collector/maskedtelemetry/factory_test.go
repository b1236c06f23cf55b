package maskedtelemetry

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/service/telemetry"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestMask(t *testing.T) {
	for message, want := range map[string]string{
		"http: TLS handshake error from 203.0.113.7:50412: EOF":                   "http: TLS handshake error from [address]: EOF",
		"http: TLS handshake error from [2001:db8::7]:50412: EOF":                 "http: TLS handshake error from [address]: EOF",
		"http: TLS handshake error from [fe80::1%eth0]:5: EOF":                    "http: TLS handshake error from [address]: EOF",
		"http: TLS handshake error from [::ffff:203.0.113.7]:5: EOF":              "http: TLS handshake error from [address]: EOF",
		"http: panic serving 203.0.113.7:1: boom\ngoroutine 7 [running]:\nmain.f": "http: panic serving [address]: boom\ngoroutine 7 [running]:\nmain.f",
		"from 203.0.113.7 and 203.0.113.8:9":                                      "from [address] and [address]",
		"Everything is ready. Begin running and processing data.":                 "Everything is ready. Begin running and processing data.",
		"otelcol 0.161.0 took 1.5 s at 12:30:01":                                  "otelcol 0.161.0 took 1.5 s at 12:30:01",
	} {
		assert.Equal(t, want, mask(message))
	}
}

// newLogger returns a logger of the factory as the Collector makes it, and the file that it writes to.
func newLogger(t *testing.T, factory telemetry.Factory) (*zap.Logger, func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	cfg := factory.CreateDefaultConfig().(*otelconftelemetry.Config)
	cfg.Logs.OutputPaths = []string{path}
	resource := pcommon.NewResource()
	resource.Attributes().PutStr("service.name", "collector")
	settings := telemetry.LoggerSettings{Settings: telemetry.Settings{Resource: &resource}}
	logger, shutdown, err := factory.CreateLogger(context.Background(), settings, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, shutdown.Shutdown(context.Background())) })
	return logger, func() string {
		written, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(written)
	}
}

// failHandshake has a real server of net/http log a client's address, through the very adapter that confighttp uses.
func failHandshake(t *testing.T, logger *zap.Logger) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	errorLog, err := zap.NewStdLogAt(logger, zapcore.ErrorLevel)
	require.NoError(t, err)
	server := &http.Server{ErrorLog: errorLog, TLSConfig: &tls.Config{}, ReadHeaderTimeout: time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{{}}}))
	}()
	client, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	_, err = client.Write([]byte("no handshake\r\n"))
	require.NoError(t, err)
	_, _ = io.ReadAll(client)
	from := client.LocalAddr().String()
	require.NoError(t, client.Close())
	require.NoError(t, server.Close())
	<-ended
	return from
}

func TestAFailedHandshakeIsLoggedWithoutItsClient(t *testing.T) {
	logger, written := newLogger(t, NewFactory())
	from := failHandshake(t, logger)
	assert.Contains(t, written(), "http: TLS handshake error from [address]")
	assert.NotContains(t, written(), from)
	assert.NotContains(t, written(), "127.0.0.1")
}

// The day this fails, the Collector masks by itself and this package can go.
func TestTheStockLoggerNamesTheClient(t *testing.T) {
	logger, written := newLogger(t, otelconftelemetry.NewFactory())
	assert.Contains(t, failHandshake(t, logger)+written(), "TLS handshake error from 127.0.0.1")
}

func TestEverythingElseIsLoggedAsBefore(t *testing.T) {
	logger, written := newLogger(t, NewFactory())
	logger.With(zap.String("kind", "exporter")).Warn("Exporting failed", zap.String("error", "dial tcp 192.0.2.1:443: refused"))
	logger.Debug("not at this level")
	assert.Contains(t, written(), "dial tcp 192.0.2.1:443: refused")
	assert.Contains(t, written(), `"kind": "exporter"`)
	assert.Equal(t, 1, strings.Count(written(), "\n"))
}

func TestAFloodOfHandshakesIsNotAFloodOfLines(t *testing.T) {
	logger, written := newLogger(t, NewFactory())
	for range 5000 {
		logger.Error("http: TLS handshake error from 203.0.113.7:" + time.Now().Format("05000") + ": EOF")
	}
	lines := strings.Count(written(), "TLS handshake error")
	assert.GreaterOrEqual(t, lines, masksFirst)
	assert.Less(t, lines, 50)
}
