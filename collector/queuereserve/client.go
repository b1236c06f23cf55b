package queuereserve

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// client refuses to add while there is no reserve, and gives it up for what else must be written.
type client struct {
	storage.Client
	reserve *reserve
	// isStarting is true until the first item is taken out: what is added before was in the queue already.
	isStarting atomic.Bool
}

func (c *client) Set(ctx context.Context, key string, value []byte) error {
	return c.Batch(ctx, storage.SetOperation(key, value))
}

func (c *client) Delete(ctx context.Context, key string) error {
	return c.Batch(ctx, storage.DeleteOperation(key))
}

func (c *client) Batch(ctx context.Context, ops ...*storage.Operation) error {
	sets, gets := count(ops)
	if sets == 1 && gets == 1 {
		c.isStarting.Store(false)
	}
	if sets > 1 && !c.isStarting.Load() {
		if err := c.reserve.hold(); err != nil {
			return err
		}
		return c.Client.Batch(ctx, ops...)
	}
	err := c.Client.Batch(ctx, ops...)
	if err == nil || !c.reserve.release() {
		return err
	}
	return c.Client.Batch(ctx, ops...)
}

// count tells the queue's batches apart: a new item is set together with the queue's own state, one that is taken out is
// got, and one that is done with is deleted.
func count(ops []*storage.Operation) (sets, gets int) {
	for _, op := range ops {
		switch op.Type {
		case storage.Set:
			sets++
		case storage.Get:
			gets++
		}
	}
	return sets, gets
}
