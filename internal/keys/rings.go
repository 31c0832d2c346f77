// Package keys owns the life of the authority's keys: the rings, what each key
// in them may do, and their sealed form in the store.
//
// A ring is the set of keys for one purpose. The access ring signs access
// tokens, the id ring signs ID tokens (one active key per algorithm), the
// refresh and flow rings are HMAC keys. Private keys rest in the store sealed
// by the master key, and leave this package only as *jwk.Key values, which know
// how to sign and cannot be printed.
package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
)

// ErrSealed is returned by Open when the stored keys were sealed by another
// master key. Nothing has been changed then.
var ErrSealed = errors.New("keys: the sealing key does not open the keys in the store; " +
	"start with the sealing key they were made with, or with an empty store")

// Config says where the keys rest and which to make first.
type Config struct {
	Store           authority.KeyStore
	Sealer          *secret.Sealer
	AccessAlgorithm jwk.Algorithm // default ES256
	Now             func() time.Time
	Logger          *slog.Logger
}

// Rings holds the opened keys of every ring. It is safe for concurrent use;
// lookups take no lock.
type Rings struct {
	cfg Config
	now atomic.Pointer[held]
}

// member is one opened key and its state.
type member struct {
	key   *jwk.Key
	ring  string
	state authority.KeyState
}

// held is one loaded generation of all rings; it is never changed.
type held struct {
	byID   map[string]member
	active map[string]*jwk.Key // by ring and algorithm
	rings  map[string][]member // newest first
	public *jwk.Set
}

// Open loads and opens the keys, making the first of each ring if the store
// has none. It returns ErrSealed if the sealing key is the wrong one.
func Open(ctx context.Context, cfg Config) (*Rings, error) {
	if cfg.AccessAlgorithm == "" {
		cfg.AccessAlgorithm = jwk.ES256
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Rings{cfg: cfg}
	if err := r.Reload(ctx); err != nil {
		return nil, err
	}
	if err := r.bootstrap(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// Reload reads the rings from the store again.
func (r *Rings) Reload(ctx context.Context) error {
	stored, err := r.cfg.Store.Keys(ctx)
	if err != nil {
		return fmt.Errorf("keys: load: %w", err)
	}
	h := &held{
		byID:   make(map[string]member, len(stored)),
		active: make(map[string]*jwk.Key),
		rings:  make(map[string][]member),
	}
	var public []*jwk.Key
	for _, s := range stored {
		key, err := r.open(s)
		if err != nil {
			return err
		}
		m := member{key, s.Ring, s.State}
		h.byID[s.ID] = m
		h.rings[s.Ring] = append([]member{m}, h.rings[s.Ring]...)
		if s.State == authority.KeyActive {
			h.active[slot(s.Ring, key.Algorithm())] = key
		}
		if published(s) {
			public = append(public, key.Public())
		}
	}
	if h.public, err = jwk.NewSet(public...); err != nil {
		return fmt.Errorf("keys: public set: %w", err)
	}
	r.now.Store(h)
	return nil
}

// published reports whether a key's public half is served to verifiers.
func published(k authority.Key) bool {
	if k.Ring != authority.RingAccess && k.Ring != authority.RingID {
		return false
	}
	switch k.State {
	case authority.KeyStaged, authority.KeyActive, authority.KeyRetiring:
		return true
	case authority.KeyRetired, authority.KeyCompromised:
	}
	return false
}

func slot(ring string, alg jwk.Algorithm) string { return ring + "/" + string(alg) }

// Signer returns the active key of a ring for an algorithm.
func (r *Rings) Signer(ring string, alg jwk.Algorithm) (*jwk.Key, error) {
	if key := r.now.Load().active[slot(ring, alg)]; key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("keys: ring %s has no active %s key", ring, alg)
}

// AccessSigner returns the key that signs access tokens now.
func (r *Rings) AccessSigner() (*jwk.Key, error) {
	return r.Signer(authority.RingAccess, r.cfg.AccessAlgorithm)
}

// Usable returns the keys of a ring that may still verify, newest first.
func (r *Rings) Usable(ring string) []*jwk.Key {
	var out []*jwk.Key
	for _, m := range r.now.Load().rings[ring] {
		if m.state == authority.KeyActive || m.state == authority.KeyRetiring || m.state == authority.KeyStaged {
			out = append(out, m.key)
		}
	}
	return out
}

// Find returns a key of a ring by id, unless it is retired or compromised.
func (r *Rings) Find(ring, id string) (*jwk.Key, bool) {
	m, ok := r.now.Load().byID[id]
	if !ok || m.ring != ring || m.state == authority.KeyRetired || m.state == authority.KeyCompromised {
		return nil, false
	}
	return m.key, true
}

// State returns the ring and state of a key, for people who ask what a token
// was signed with.
func (r *Rings) State(id string) (ring string, state authority.KeyState, ok bool) {
	m, ok := r.now.Load().byID[id]
	return m.ring, m.state, ok
}

// Public is the published key set: the public halves of the access and id
// rings that verifiers should hold.
func (r *Rings) Public() *jwk.Set { return r.now.Load().public }

// Source gives a verifier the keys of one ring.
func (r *Rings) Source(ring string) jwk.Source { return ringSource{r, ring} }

type ringSource struct {
	rings *Rings
	ring  string
}

// Keys implements jwk.Source. A token without a key id is never one of ours.
func (s ringSource) Keys(_ context.Context, kid string) ([]*jwk.Key, error) {
	if key, ok := s.rings.Find(s.ring, kid); ok {
		return []*jwk.Key{key}, nil
	}
	return nil, jwk.ErrUnknownKey
}

// FlowKey returns the key that signs the state of a sign-in under way. It is
// derived, so that the ring's own key leaves this package only as a signer.
func (r *Rings) FlowKey() (id string, key []byte) {
	k, err := r.Signer(authority.RingFlow, jwk.HS256)
	if err != nil {
		return "", nil
	}
	return k.ID(), subkey(k, flowLabel)
}

// FlowKeyByID returns the key that may still verify such a state.
func (r *Rings) FlowKeyByID(id string) ([]byte, bool) {
	k, ok := r.Find(authority.RingFlow, id)
	if !ok {
		return nil, false
	}
	key := subkey(k, flowLabel)
	return key, key != nil
}

// flowLabel names what the key is for.
const flowLabel = "sign-in flow state"

func subkey(k *jwk.Key, label string) []byte {
	sub, err := k.Sign([]byte(label))
	if err != nil {
		return nil
	}
	return sub
}
