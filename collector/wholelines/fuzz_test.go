package wholelines

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzCutLastPart: of whatever lies in a file, exactly the whole lines are left, and a second look finds nothing to do.
func FuzzCutLastPart(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add([]byte("{}\n{}\n"), 0)
	f.Add([]byte("{}\n{\"resourceSp"), 0)
	f.Add([]byte("no end"), chunkBytes)
	f.Add([]byte("one\nno end"), chunkBytes-4)
	f.Add([]byte("\n"), 2*chunkBytes)
	f.Fuzz(func(t *testing.T, content []byte, more int) {
		// So that the end of the last line comes to lie on every side of a chunk's.
		content = append(content, bytes.Repeat([]byte{'x'}, max(0, min(more, 3*chunkBytes)))...)
		whole := content[:bytes.LastIndexByte(content, '\n')+1]
		path := filepath.Join(t.TempDir(), "telemetry.jsonl")
		require.NoError(t, os.WriteFile(path, content, 0o600))

		cut, err := cutLastPart(path)
		require.NoError(t, err)
		require.EqualValues(t, len(content)-len(whole), cut)
		left, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(whole, left))

		cut, err = cutLastPart(path)
		require.NoError(t, err)
		require.Zero(t, cut)
	})
}
