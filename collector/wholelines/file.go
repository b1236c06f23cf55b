package wholelines

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
)

const chunkBytes = 64 * 1024

// stat returns nil for a file that is not there.
func stat(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return info, err
}

// restore cuts a file to what it was. Another file under its name came by rotation, and the failed write began it.
func (b *before) restore(path string) error {
	now, err := stat(path)
	if now == nil || !now.Mode().IsRegular() {
		return err
	}
	size := int64(0)
	if b.info != nil && os.SameFile(b.info, now) {
		size = b.info.Size()
	}
	if now.Size() <= size {
		return nil
	}
	return os.Truncate(path, size)
}

// cutLastPart cuts off what follows the last end of a line, and returns how many bytes that were.
func cutLastPart(path string) (int64, error) {
	info, err := stat(path)
	if info == nil || !info.Mode().IsRegular() {
		return 0, err
	}
	whole, err := endOfLastLine(path, info.Size())
	if err != nil || whole == info.Size() {
		return 0, err
	}
	return info.Size() - whole, os.Truncate(path, whole)
}

func endOfLastLine(path string, size int64) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	chunk := make([]byte, min(size, chunkBytes))
	for end := size; end > 0; {
		start := max(0, end-int64(len(chunk)))
		part := chunk[:end-start]
		if _, err := file.ReadAt(part, start); err != nil {
			return 0, err
		}
		if at := bytes.LastIndexByte(part, '\n'); at >= 0 {
			return start + int64(at) + 1, nil
		}
		end = start
	}
	return 0, nil
}
