package seal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// Check reports whether every secret in a store opens with the master keys that
// are configured. It only reads. values is how many secrets there are.
func Check(ctx context.Context, store authority.SealStore, list []Master) (values int, err error) {
	if len(list) == 0 {
		return 0, errors.New("seal: there is no master key")
	}
	s := &Service{cfg: Config{Store: store, Masters: list, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}}
	for _, m := range list {
		if d, ok := m.(interface{ Direct() *secret.Sealer }); ok {
			s.direct = append(s.direct, d.Direct())
		}
	}
	s.sealer = secret.NewDataSealer(s.direct, func(secret.ID) {})
	if err := s.load(ctx); err != nil {
		return 0, fmt.Errorf("sealing: %w", err)
	}
	err = s.walk(ctx, func(page []authority.SealedValue) error {
		for _, v := range page {
			if _, err := s.sealer.Open(v.Sealed, v.Place); err != nil {
				return fmt.Errorf("sealing: the sealing key does not open %s: %w", v.Place, err)
			}
		}
		values += len(page)
		return nil
	})
	return values, err
}

// Unwraps reports whether the master keys of c, which needs no Store, unwrap every
// one of the data keys. It waits for a master key as Open does.
func Unwraps(ctx context.Context, c Config, keys []authority.DataKey) error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&c.Patience, defaultPatience)
	s := &Service{cfg: c}
	err := s.patiently(ctx, func(ctx context.Context) error {
		for _, k := range keys {
			if _, err := masters(c.Masters).unwrap(ctx, k.ID, Wrapped{k.Master, k.Wrapped}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sealing: %w", err)
	}
	return nil
}
