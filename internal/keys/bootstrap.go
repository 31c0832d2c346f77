package keys

import (
	"context"
	"errors"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
)

// wanted lists the first key of every ring.
func (r *Rings) wanted() []struct {
	ring string
	alg  jwk.Algorithm
} {
	return []struct {
		ring string
		alg  jwk.Algorithm
	}{
		{authority.RingAccess, r.cfg.AccessAlgorithm},
		{authority.RingID, jwk.RS256},
		{authority.RingID, jwk.ES256},
		{authority.RingID, jwk.Ed25519},
		{authority.RingRefresh, jwk.HS256},
		{authority.RingFlow, jwk.HS256},
	}
}

// bootstrap makes the keys that are missing. When two nodes start at once on
// an empty store one of them wins and the other loads the winner's keys.
func (r *Rings) bootstrap(ctx context.Context) error {
	var missing []authority.Key
	for _, w := range r.wanted() {
		if _, err := r.Signer(w.ring, w.alg); err == nil {
			continue
		}
		key, err := jwk.Generate(w.alg)
		if err != nil {
			return fmt.Errorf("keys: generate %s key for ring %s: %w", w.alg, w.ring, err)
		}
		sealed, err := r.seal(w.ring, key)
		if err != nil {
			return err
		}
		now := r.cfg.Now()
		missing = append(missing, authority.Key{
			ID: key.ID(), Ring: w.ring, Slot: slotOf(w.ring, w.alg), Algorithm: string(w.alg), State: authority.KeyActive,
			Sealed: sealed, CreatedAt: now, ChangedAt: now,
		})
	}
	if len(missing) == 0 {
		return nil
	}
	err := r.cfg.Store.CreateKeys(ctx, missing, authority.Event{
		ID: secret.NewID(r.cfg.Now()), Type: authority.EventKeyCreated, Actor: authority.System,
		Reason: "first start", Data: map[string]string{"keys": fmt.Sprint(len(missing))},
	})
	switch {
	case errors.Is(err, authority.ErrConflict):
		r.cfg.Logger.InfoContext(ctx, "another node made the first keys; using those")
	case err != nil:
		return fmt.Errorf("keys: store first keys: %w", err)
	}
	if err := r.Reload(ctx); err != nil {
		return err
	}
	for _, w := range r.wanted() {
		if _, err := r.Signer(w.ring, w.alg); err != nil {
			return err
		}
	}
	return nil
}

// slotOf is the place in a ring of which there is one active key.
func slotOf(ring string, alg jwk.Algorithm) string {
	if ring == authority.RingID {
		return string(alg)
	}
	return ""
}

func place(ring, id string) string { return "key/" + ring + "/" + id }

func (r *Rings) seal(ring string, key *jwk.Key) ([]byte, error) {
	plain, err := key.MarshalPrivate()
	if err != nil {
		return nil, fmt.Errorf("keys: encode key for ring %s: %w", ring, err)
	}
	return r.cfg.Sealer.Seal(plain, place(ring, key.ID())), nil
}

// open unseals a stored key and checks that it is the key its id names.
func (r *Rings) open(s authority.Key) (*jwk.Key, error) {
	plain, err := r.cfg.Sealer.Open(s.Sealed, place(s.Ring, s.ID))
	if errors.Is(err, secret.ErrSeal) {
		return nil, ErrSealed
	}
	if err != nil {
		return nil, fmt.Errorf("keys: open key of ring %s: %w", s.Ring, err)
	}
	key, err := jwk.ParsePrivate(plain)
	if err != nil {
		return nil, fmt.Errorf("keys: stored key of ring %s: %w", s.Ring, err)
	}
	if key.Thumbprint() != s.ID || string(key.Algorithm()) != s.Algorithm {
		return nil, fmt.Errorf("keys: stored key of ring %s is not the key its id names", s.Ring)
	}
	return key, nil
}
