package queuereserve

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// NewFactory returns the stock factory, of the same type and configured in the same way.
func NewFactory() extension.Factory {
	stock := filestorage.NewFactory()
	return extension.NewFactory(
		stock.Type(),
		stock.CreateDefaultConfig,
		func(ctx context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
			inner, err := stock.Create(ctx, set, cfg)
			if err != nil {
				return nil, err
			}
			directory := cfg.(*filestorage.Config).Directory
			return &reservingStorage{
				Extension: inner.(storage.Extension),
				reserve:   &reserve{path: filepath.Join(directory, reserveName), most: mostBytes, least: leastBytes},
			}, nil
		},
		stock.Stability(),
	)
}

// reservingStorage hands out clients that share one reserve, because they share one disk.
type reservingStorage struct {
	storage.Extension
	reserve *reserve
}

// GetClient fails without a reserve: what was under way when a Collector was killed is written anew at the start.
func (s *reservingStorage) GetClient(
	ctx context.Context, kind component.Kind, id component.ID, name string,
) (storage.Client, error) {
	if err := s.reserve.hold(); err != nil {
		return nil, fmt.Errorf("the queue needs room to start; make some, and nothing is lost: %w", err)
	}
	inner, err := s.Extension.GetClient(ctx, kind, id, name)
	if err != nil {
		return nil, err
	}
	c := &client{Client: inner, reserve: s.reserve}
	c.isStarting.Store(true)
	return c, nil
}
