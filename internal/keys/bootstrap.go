package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
)

// firstRings are made when a store is new.
var firstRings = []string{authority.RingAccess, authority.RingID, authority.RingRefresh, authority.RingFlow}

// bootstrap makes the first keys of rings that have none, active at once: nobody
// verifies yet. When several nodes start at once on an empty store one of them
// wins and the others load the winner's keys. What a ring that has keys lacks is
// left to the schedule.
func (r *Rings) bootstrap(ctx context.Context) error {
	var missing []authority.Key
	now := r.cfg.Now()
	for _, ring := range firstRings {
		if len(r.now.Load().stored[ring]) > 0 {
			continue
		}
		for _, s := range r.slots(ring, nil) {
			key, err := r.generate(ring, s.alg, authority.KeyActive, now)
			if err != nil {
				return err
			}
			missing = append(missing, key)
		}
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
	return r.Reload(ctx)
}

// generate makes a new key for a ring, in its stored form.
func (r *Rings) generate(ring string, alg jwk.Algorithm, state authority.KeyState, now time.Time) (authority.Key, error) {
	for {
		key, err := jwk.Generate(alg)
		if err != nil {
			return authority.Key{}, fmt.Errorf("keys: generate %s key for ring %s: %w", alg, ring, err)
		}
		// An id that looks like an option would have to be quoted in a special way when a
		// key is to be refused in a hurry.
		if !strings.HasPrefix(key.ID(), "-") {
			return r.storedForm(ring, key, state, now)
		}
	}
}

// storedForm is the stored form of a private key.
func (r *Rings) storedForm(ring string, key *jwk.Key, state authority.KeyState, now time.Time) (authority.Key, error) {
	k := authority.Key{
		ID: key.Thumbprint(), Ring: ring, Slot: slotOf(ring, key.Algorithm()), Algorithm: string(key.Algorithm()), State: state,
		CreatedAt: now, ChangedAt: now,
	}
	var err error
	if k.Sealed, err = r.seal(ring, key); err != nil {
		return k, err
	}
	if public := key.Public(); public != nil {
		if k.Public, err = public.MarshalJSON(); err != nil {
			return k, fmt.Errorf("keys: encode public key for ring %s: %w", ring, err)
		}
	}
	return k, nil
}

func place(ring, id string) string { return "key/" + ring + "/" + id }

func (r *Rings) seal(ring string, key *jwk.Key) ([]byte, error) {
	plain, err := key.MarshalPrivate()
	if err != nil {
		return nil, fmt.Errorf("keys: encode key for ring %s: %w", ring, err)
	}
	return r.cfg.Sealer.Seal(plain, place(ring, key.Thumbprint())), nil
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
