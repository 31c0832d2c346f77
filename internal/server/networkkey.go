package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/network"
	"github.com/jetonhq/jeton/internal/secret"
)

// openNetworkKey reads the key of the digests of networks. The first node that
// meets it in clear, as it is made with the database, seals it.
func openNetworkKey(ctx context.Context, store authority.ContextStore, sealer *secret.Sealer) (key network.Key, err error) {
	stored, err := store.NetworkKey(ctx)
	if err != nil {
		return key, err
	}
	clear := stored.Clear
	if len(stored.Sealed) > 0 {
		if clear, err = sealer.Open(stored.Sealed, authority.NetworkKeyPlace); err != nil {
			return key, fmt.Errorf("the key of the digests of networks: %w", err)
		}
	}
	if copy(key[:], clear) != len(key) || len(clear) != len(key) {
		return key, fmt.Errorf("the key of the digests of networks has %d bytes", len(clear))
	}
	if len(stored.Sealed) > 0 {
		return key, nil
	}
	err = store.SealNetworkKey(ctx, sealer.Seal(clear, authority.NetworkKeyPlace))
	if errors.Is(err, authority.ErrConflict) {
		err = nil // another node was faster
	}
	return key, err
}
