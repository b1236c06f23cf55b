package queuereserve

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

var errFull = errors.New("no space left on device")

// tight is a disk on which the storage can write only while there is no reserve.
type tight struct {
	storage.Client
	reserve string
	isFull  bool
	batches int
}

func (c *tight) Batch(ctx context.Context, ops ...*storage.Operation) error {
	c.batches++
	if _, err := os.Stat(c.reserve); c.isFull && err == nil {
		return errFull
	}
	return c.Client.Batch(ctx, ops...)
}

func newStorage(t *testing.T, directory string) *reservingStorage {
	t.Helper()
	factory := NewFactory()
	cfg := factory.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory = directory
	cfg.Compaction.Directory = directory
	created, err := factory.Create(context.Background(), extensiontest.NewNopSettings(factory.Type()), cfg)
	require.NoError(t, err)
	s := created.(*reservingStorage)
	s.reserve.most, s.reserve.least = 64<<10, 16<<10
	require.NoError(t, s.Start(context.Background(), componenttest.NewNopHost()))
	t.Cleanup(func() { assert.NoError(t, s.Shutdown(context.Background())) })
	return s
}

func newClient(t *testing.T, s *reservingStorage) (*client, *tight) {
	t.Helper()
	got, err := s.GetClient(context.Background(), component.KindExporter, component.MustNewID("posthog"), "traces")
	require.NoError(t, err)
	c := got.(*client)
	disk := &tight{Client: c.Client, reserve: s.reserve.path}
	c.Client = disk
	t.Cleanup(func() { assert.NoError(t, c.Close(context.Background())) })
	return c, disk
}

func add(c storage.Client, key string) error {
	return c.Batch(context.Background(), storage.SetOperation("state", []byte("1")), storage.SetOperation(key, []byte(key)))
}

func take(c storage.Client, key string) (string, error) {
	get := storage.GetOperation(key)
	err := c.Batch(context.Background(), storage.SetOperation("state", []byte("2")), get)
	return string(get.Value), err
}

func done(c storage.Client, key string) error {
	return c.Batch(context.Background(), storage.SetOperation("state", []byte("3")), storage.DeleteOperation(key))
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Size()
}

// obstruct lets no file be made at a path.
func obstruct(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(path, "folder"), 0o700))
}

func TestItIsTheStockStorage(t *testing.T) {
	stock := filestorage.NewFactory()
	assert.Equal(t, stock.Type(), NewFactory().Type())
	assert.Equal(t, stock.CreateDefaultConfig(), NewFactory().CreateDefaultConfig())
	assert.Equal(t, stock.Stability(), NewFactory().Stability())
}

func TestTheReserveIsThereFromTheStart(t *testing.T) {
	s := newStorage(t, t.TempDir())
	c, _ := newClient(t, s)
	require.NoError(t, add(c, "a"))
	assert.Equal(t, s.reserve.most, size(t, s.reserve.path))
	value, err := take(c, "a")
	require.NoError(t, err)
	assert.Equal(t, "a", value)
	require.NoError(t, done(c, "a"))
	value, err = take(c, "a")
	require.NoError(t, err)
	assert.Empty(t, value)
	assert.Equal(t, s.reserve.most, size(t, s.reserve.path))
}

func TestOnAFullDiskWhatWasKeptComesOutAndNothingIsAdded(t *testing.T) {
	s := newStorage(t, t.TempDir())
	c, disk := newClient(t, s)
	require.NoError(t, add(c, "a"))
	_, err := take(c, "a")
	require.NoError(t, err)
	disk.isFull = true
	require.ErrorIs(t, add(c, "b"), errFull)
	assert.FileExists(t, s.reserve.path, "an addition has no right to it")

	value, err := take(c, "a")
	require.NoError(t, err)
	assert.Equal(t, "a", value)
	require.NoError(t, done(c, "a"))
	assert.NoFileExists(t, s.reserve.path)

	// Nobody adds while it cannot be made anew.
	obstruct(t, s.reserve.path)
	before := disk.batches
	require.ErrorContains(t, add(c, "c"), "the disk is full")
	require.ErrorContains(t, add(c, "d"), "the disk is full")
	assert.Equal(t, before, disk.batches)

	disk.isFull = false
	require.NoError(t, os.RemoveAll(s.reserve.path))
	require.Error(t, add(c, "e"), "it was tried a moment ago")
	s.reserve.tried = time.Now().Add(-tryEvery)
	require.NoError(t, add(c, "f"))
	assert.Equal(t, s.reserve.most, size(t, s.reserve.path))
}

func TestWhatFailsForAnotherReasonFails(t *testing.T) {
	s := newStorage(t, t.TempDir())
	c, _ := newClient(t, s)
	require.NoError(t, c.Client.Close(context.Background()))
	_, err := take(c, "a")
	assert.Error(t, err)
}

func TestWhatWasUnderWayIsWrittenAnewAtTheStart(t *testing.T) {
	s := newStorage(t, t.TempDir())
	c, disk := newClient(t, s)
	disk.isFull = true
	require.NoError(t, add(c, "a"))
	assert.NoFileExists(t, s.reserve.path)
	require.NoError(t, add(c, "b"))
	value, err := take(c, "b")
	require.NoError(t, err)
	assert.Equal(t, "b", value)
}

func TestItDoesNotStartWithoutAReserve(t *testing.T) {
	s := newStorage(t, t.TempDir())
	obstruct(t, s.reserve.path)
	_, err := s.GetClient(context.Background(), component.KindExporter, component.MustNewID("posthog"), "traces")
	require.ErrorContains(t, err, "the queue needs room to start; make some, and nothing is lost")
}

func TestAReserveOfAnEarlierLifeIsTakenOver(t *testing.T) {
	for left, want := range map[int64]int64{3: 64 << 10, 16 << 10: 16 << 10, 64 << 10: 64 << 10} {
		directory := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(directory, reserveName), make([]byte, left), 0o600))
		s := newStorage(t, directory)
		newClient(t, s)
		assert.Equal(t, want, size(t, s.reserve.path))
	}
}
