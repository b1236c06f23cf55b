package queuereserve

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

const (
	reserveName = "reserve"

	// A transaction rewrites pages that hold several items, of a request each. A queue that has filled a disk by itself
	// leaves less than there was before, and must still be able to go on.
	mostBytes  = 8 << 20
	leastBytes = 2 << 20

	// tryEvery bounds how often it is tried to make a lost reserve anew, however many clients ask.
	tryEvery = time.Second
)

// reserve is a file that is there for its size alone.
type reserve struct {
	path        string
	most, least int64

	mutex  sync.Mutex
	isHeld bool
	// tried is when the reserve could not be made, and why.
	tried time.Time
	err   error
}

// hold returns an error where there is no reserve and none can be made.
func (r *reserve) hold() error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.isHeld {
		return nil
	}
	if time.Since(r.tried) < tryEvery {
		return r.err
	}
	if err := r.make(); err != nil {
		r.tried, r.err = time.Now(), fmt.Errorf("the disk is full: %w", err)
		return r.err
	}
	return nil
}

// release gives the room back, and tells whether there was any.
func (r *reserve) release() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if !r.isHeld {
		return false
	}
	r.isHeld = false
	return os.Remove(r.path) == nil
}

// make writes the file, as large as it can be, unless an earlier life has left it.
func (r *reserve) make() error {
	if info, err := os.Stat(r.path); err == nil && info.Mode().IsRegular() && info.Size() >= r.least {
		r.isHeld = true
		return nil
	}
	var err error
	for size := r.most; size >= r.least; size /= 2 {
		if err = write(r.path, size); err == nil {
			r.isHeld = true
			return nil
		}
		err = errors.Join(err, remove(r.path))
	}
	return err
}

// write fills a file with noise, because zeros take no room where a file system compresses.
func write(path string, size int64) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	noise := rand.NewChaCha8([32]byte{})
	block := make([]byte, 1<<20)
	for size > 0 && err == nil {
		block = block[:min(size, int64(len(block)))]
		_, _ = noise.Read(block)
		_, err = file.Write(block)
		size -= int64(len(block))
	}
	return errors.Join(err, file.Close())
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
