package wholelines

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// fullDisk lets the stock exporter write, then adds what a write leaves that ran out of room, and fails.
type fullDisk struct {
	exporter.Traces
	path string
	part string
}

var errFull = errors.New("no space left on device")

func (d *fullDisk) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	if d.part == "" {
		return d.Traces.ConsumeTraces(ctx, td)
	}
	file, err := os.OpenFile(d.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(d.part)
	return errors.Join(errFull, err, file.Close())
}

func span(name string) ptrace.Traces {
	td := ptrace.NewTraces()
	td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName(name)
	return td
}

func newExporter(t *testing.T, path string, factory exporter.Factory) exporter.Traces {
	t.Helper()
	cfg := factory.CreateDefaultConfig().(*fileexporter.Config)
	cfg.Path = path
	cfg.Rotation = &fileexporter.Rotation{MaxMegabytes: 1, MaxBackups: 3}
	e, err := factory.CreateTraces(context.Background(), exportertest.NewNopSettings(factory.Type()), cfg)
	require.NoError(t, err)
	return e
}

func start(t *testing.T, e component.Component) {
	t.Helper()
	require.NoError(t, e.Start(context.Background(), componenttest.NewNopHost()))
	t.Cleanup(func() { assert.NoError(t, e.Shutdown(context.Background())) })
}

func write(t *testing.T, e exporter.Traces, names ...string) {
	t.Helper()
	for _, name := range names {
		require.NoError(t, e.ConsumeTraces(context.Background(), span(name)))
	}
}

// names reads the file as anyone would, a line at a time; a line that cannot be read fails the test.
func names(t *testing.T, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	found := []string{}
	for line := range bytes.Lines(content) {
		assert.True(t, bytes.HasSuffix(line, []byte("\n")))
		assert.True(t, json.Valid(line), "%q", line)
		td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(line)
		require.NoError(t, err)
		found = append(found, td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Name())
	}
	return found
}

func TestItIsTheStockExporterButForWhatItLeaves(t *testing.T) {
	stock := fileexporter.NewFactory()
	assert.Equal(t, stock.Type(), NewFactory().Type())
	assert.Equal(t, stock.CreateDefaultConfig(), NewFactory().CreateDefaultConfig())
	assert.Equal(t, stock.TracesStability(), NewFactory().TracesStability())
	first, second := filepath.Join(t.TempDir(), "stock"), filepath.Join(t.TempDir(), "ours")
	for path, factory := range map[string]exporter.Factory{first: stock, second: NewFactory()} {
		e := newExporter(t, path, factory)
		start(t, e)
		write(t, e, "a", "b")
	}
	want, err := os.ReadFile(first)
	require.NoError(t, err)
	got, err := os.ReadFile(second)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

func TestAFailedWriteLeavesNothing(t *testing.T) {
	for name, part := range map[string]string{
		"a part":             `{"resourceSpans":[{"res`,
		"all but its end":    `{"resourceSpans":[]}`,
		"more than a chunk":  strings.Repeat("x", chunkBytes+1),
		"a part with an end": "{\n",
	} {
		for _, earlier := range [][]string{{}, {"a"}, {"a", "b"}} {
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "spans.jsonl")
				e := newExporter(t, path, NewFactory()).(*lineExporter)
				disk := &fullDisk{Traces: e.Traces, path: path}
				e.Traces = disk
				start(t, e)
				write(t, e, earlier...)

				disk.part = part
				for range 3 {
					require.ErrorIs(t, e.ConsumeTraces(context.Background(), span("refused")), errFull)
					assert.Equal(t, earlier, names(t, path))
				}
				disk.part = ""
				write(t, e, "c", "d")

				assert.Equal(t, append(earlier, "c", "d"), names(t, path))
			})
		}
	}
}

// stuck cannot be shut down at first.
type stuck struct {
	exporter.Traces
	failures int
}

var errStuck = errors.New("stuck")

func (s *stuck) Shutdown(ctx context.Context) error {
	if s.failures--; s.failures >= 0 {
		return errors.Join(errStuck, s.Traces.Shutdown(ctx))
	}
	return s.Traces.Shutdown(ctx)
}

func TestWhatCannotBeMendedAtOnceIsMendedBeforeTheNextWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spans.jsonl")
	e := newExporter(t, path, NewFactory()).(*lineExporter)
	disk := &fullDisk{Traces: e.Traces, path: path}
	e.Traces = &stuck{Traces: disk, failures: 1}
	start(t, e)
	write(t, e, "a")

	disk.part = "{"
	err := e.ConsumeTraces(context.Background(), span("refused"))
	require.ErrorIs(t, err, errFull)
	require.ErrorIs(t, err, errStuck)
	disk.part = ""
	write(t, e, "b")

	assert.Equal(t, []string{"a", "b"}, names(t, path))
}

func TestAFileThatARotationBeganIsCutToNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spans.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("{}\n"), 0o600))
	old, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Rename(path, path+".1"))
	require.NoError(t, os.WriteFile(path, []byte(`{"resource`), 0o600))

	require.NoError(t, (&before{old}).restore(path))

	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Empty(t, content)
}

func TestTheStartCutsOffWhatAKillHasLeft(t *testing.T) {
	for content, want := range map[string]string{
		"":             "",
		"{}\n":         "{}\n",
		"{}\n{}\n":     "{}\n{}\n",
		"{}\n{":        "{}\n",
		"{}\n{}":       "{}\n",
		`{"resource`:   "",
		"{}\n\x00\x00": "{}\n",
		"{}\n" + strings.Repeat("x", 3*chunkBytes): "{}\n",
	} {
		path := filepath.Join(t.TempDir(), "spans.jsonl")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		start(t, newExporter(t, path, NewFactory()))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
}

func TestWhatHasNoLinesIsTheStockExporter(t *testing.T) {
	factory := NewFactory()
	for name, change := range map[string]func(*fileexporter.Config){
		"no rotation": func(cfg *fileexporter.Config) { cfg.Rotation = nil },
		"proto":       func(cfg *fileexporter.Config) { cfg.FormatType = "proto" },
		"compression": func(cfg *fileexporter.Config) { cfg.Compression = "zstd" },
		"grouped":     func(cfg *fileexporter.Config) { cfg.GroupBy.Enabled = true },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := factory.CreateDefaultConfig().(*fileexporter.Config)
			cfg.Path = filepath.Join(t.TempDir(), "spans")
			change(cfg)
			e, err := factory.CreateTraces(context.Background(), exportertest.NewNopSettings(factory.Type()), cfg)
			require.NoError(t, err)
			_, isOurs := e.(*lineExporter)
			assert.False(t, isOurs)
		})
	}
}

// The day this fails, the stock exporter leaves whole lines by itself, and this package can go.
func TestTheStockExporterContinuesAPartOfALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spans.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(`{"resource`), 0o600))
	e := newExporter(t, path, fileexporter.NewFactory())
	start(t, e)
	write(t, e, "a")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, bytes.HasPrefix(content, []byte(`{"resource{"resourceSpans"`)))
}
