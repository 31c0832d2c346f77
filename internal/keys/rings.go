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
	"sync"
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

// ErrStale is returned when this node has not been able to read the rings for so
// long that a key it knows as active may have retired: it does not sign then.
var ErrStale = errors.New("keys: the rings have not been read for too long")

// Config says where the keys rest, which to make, and when.
type Config struct {
	Store           authority.KeyStore
	Sealer          *secret.Sealer
	AccessAlgorithm jwk.Algorithm   // default ES256
	IDAlgorithms    []jwk.Algorithm // default RS256, ES256, Ed25519
	Schedule        Schedule
	Now             func() time.Time
	Logger          *slog.Logger

	// EndGrants says what a compromised refresh key takes along: the grants whose
	// refresh token it made, with their access tokens. Otherwise only the refresh
	// tokens are refused.
	EndGrants bool

	// Applied waits until this node's view holds the log up to seq; nil does not wait.
	Applied func(ctx context.Context, seq uint64) error
}

// Rings holds the opened keys of every ring. It is safe for concurrent use;
// lookups take no lock.
type Rings struct {
	cfg  Config
	now  atomic.Pointer[held]
	asOf atomic.Pointer[time.Time] // when the store was asked for what now holds

	reading sync.Mutex    // one read of the store at a time
	failed  atomic.Uint64 // reads that were overdue and failed
	stir    chan struct{}

	mu      sync.Mutex
	changed chan struct{} // guarded by mu: closed and replaced when now changes

	stepping sync.Mutex           // one round of the schedule's steps at a time
	used     map[string]time.Time // guarded by stepping: when a refresh key was last found in use
}

// member is one key and its state. The key is private while it verifies, public
// in a retired or compromised member, and nil if there is no public part.
type member struct {
	key *jwk.Key
	authority.Key
}

// held is one loaded generation of all rings; it is never changed.
type held struct {
	byID   map[string]member
	active map[string]*signer         // by ring and slot
	rings  map[string][]member        // newest first
	stored map[string][]authority.Key // as read, oldest first
	public *jwk.Set
}

// signer is an active key. One that took over without having been staged is not
// used before notBefore: the news of it travels to the verifiers meanwhile.
type signer struct {
	key       *jwk.Key
	notBefore time.Time // on this process's own clock
}

// headStart is what the news of a key has before the first token that it signs.
const headStart = 250 * time.Millisecond

// readPatience is how long a caller waits for an overdue read of the rings.
const readPatience = 2 * time.Second

// Open loads and opens the keys, making the first of each ring if the store
// has none. It returns ErrSealed if the sealing key is the wrong one.
func Open(ctx context.Context, cfg Config) (*Rings, error) {
	if cfg.AccessAlgorithm == "" {
		cfg.AccessAlgorithm = jwk.ES256
	}
	if len(cfg.IDAlgorithms) == 0 {
		cfg.IDAlgorithms = []jwk.Algorithm{jwk.RS256, jwk.ES256, jwk.Ed25519}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if cfg.Schedule, err = cfg.Schedule.WithDefaults(); err != nil {
		return nil, err
	}
	r := &Rings{cfg: cfg, stir: make(chan struct{}, 1), changed: make(chan struct{}), used: make(map[string]time.Time)}
	if err := r.Reload(ctx); err != nil {
		return nil, err
	}
	if err := r.bootstrap(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// Schedule is the schedule in use.
func (r *Rings) Schedule() Schedule { return r.cfg.Schedule }

// Reload reads the rings from the store again.
func (r *Rings) Reload(ctx context.Context) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	return r.reload(ctx)
}

// reload reads the rings; the caller holds reading.
func (r *Rings) reload(ctx context.Context) error {
	asked := r.cfg.Now()
	keys, err := r.cfg.Store.Keys(ctx)
	if err != nil {
		return fmt.Errorf("keys: load: %w", err)
	}
	before := r.now.Load()
	if before == nil || !before.same(keys) {
		h, err := r.load(before, keys)
		if err != nil {
			return err
		}
		r.now.Store(h)
		r.mu.Lock()
		close(r.changed)
		r.changed = make(chan struct{})
		r.mu.Unlock()
	}
	r.asOf.Store(&asked)
	return nil
}

// same reports whether nothing has changed: every change raises a version.
func (h *held) same(keys []authority.Key) bool {
	n := 0
	for _, k := range keys {
		if m, ok := h.byID[k.ID]; !ok || m.RingVersion != k.RingVersion || m.Ring != k.Ring {
			return false
		}
		n++
	}
	return n == len(h.byID)
}

// load opens what was read. A key that was open before is not opened again.
func (r *Rings) load(before *held, keys []authority.Key) (*held, error) {
	h := &held{
		byID: make(map[string]member, len(keys)), active: make(map[string]*signer),
		rings: make(map[string][]member), stored: make(map[string][]authority.Key),
	}
	for _, s := range keys {
		m := member{Key: s}
		var err error
		if m.key, err = r.keyOf(before, s); err != nil {
			return nil, err
		}
		h.byID[s.ID] = m
		h.rings[s.Ring] = append([]member{m}, h.rings[s.Ring]...)
		h.stored[s.Ring] = append(h.stored[s.Ring], s)
		if s.State == authority.KeyActive {
			h.active[place(s.Ring, s.Slot)] = r.signer(before, m)
		}
	}
	var public []*jwk.Key
	for _, ring := range []string{authority.RingAccess, authority.RingID} {
		for _, m := range h.rings[ring] {
			if m.Key.State.Verifies() {
				public = append(public, m.key.Public())
			}
		}
	}
	var err error
	if h.public, err = jwk.NewSet(public...); err != nil {
		return nil, fmt.Errorf("keys: public set: %w", err)
	}
	return h, nil
}

func (r *Rings) keyOf(before *held, s authority.Key) (*jwk.Key, error) {
	if s.State.Verifies() {
		if before != nil {
			if m, ok := before.byID[s.ID]; ok && m.key != nil && m.key.Private() {
				return m.key, nil
			}
		}
		return r.open(s)
	}
	if len(s.Public) == 0 {
		return nil, nil
	}
	key, err := jwk.Parse(s.Public)
	if err != nil {
		return nil, fmt.Errorf("keys: public key of ring %s: %w", s.Ring, err)
	}
	return key, nil
}

// signer decides from when on an active key signs here.
func (r *Rings) signer(before *held, m member) *signer {
	at := place(m.Ring, m.Slot)
	if before == nil || before.active[at] == nil {
		return &signer{key: m.key}
	}
	if old := before.active[at]; old.key.ID() == m.ID {
		return old
	}
	if _, staged := before.byID[m.ID]; staged || !published(m.Ring) {
		return &signer{key: m.key}
	}
	return &signer{m.key, time.Now().Add(headStart)}
}

// Changed is closed when the rings change.
func (r *Rings) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// fresh returns what is held if it is young enough to sign with. It is read again
// if not: a process that was stopped, or its machine, comes back with keys that
// may have retired since.
func (r *Rings) fresh() (*held, error) {
	if r.age() <= r.cfg.Schedule.Stale {
		return r.now.Load(), nil
	}
	failed := r.failed.Load()
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.age() <= r.cfg.Schedule.Stale {
		return r.now.Load(), nil
	}
	if r.failed.Load() != failed {
		return nil, ErrStale // those who waited together fail together, and not one after the other
	}
	ctx, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	if err := r.reload(ctx); err != nil {
		r.failed.Add(1)
		return nil, fmt.Errorf("%w: %w", ErrStale, err)
	}
	return r.now.Load(), nil
}

// age is how long ago the store was asked. The wall clock counts the time that a
// machine was suspended, the monotonic one does not go back: the longer counts.
func (r *Rings) age() time.Duration {
	now, then := r.cfg.Now(), *r.asOf.Load()
	return max(now.Sub(then), now.Round(0).Sub(then.Round(0)))
}

// Signer returns the active key of a ring for an algorithm.
func (r *Rings) Signer(ring string, alg jwk.Algorithm) (*jwk.Key, error) {
	key, err := r.signerOf(ring, slotOf(ring, alg))
	if err == nil && key.Algorithm() != alg {
		err = fmt.Errorf("keys: ring %s has no active %s key", ring, alg)
	}
	return key, err
}

// AccessSigner returns the key that signs access tokens now.
func (r *Rings) AccessSigner() (*jwk.Key, error) { return r.signerOf(authority.RingAccess, "") }

func (r *Rings) signerOf(ring, slot string) (*jwk.Key, error) {
	h, err := r.fresh()
	if err != nil {
		return nil, err
	}
	s := h.active[place(ring, slot)]
	if s == nil {
		return nil, fmt.Errorf("keys: ring %s has no active key (slot %q)", ring, slot)
	}
	if !s.notBefore.IsZero() {
		if wait := time.Until(s.notBefore); wait > 0 {
			time.Sleep(wait)
		}
	}
	return s.key, nil
}

// Usable returns the keys of a ring that may still verify, newest first.
func (r *Rings) Usable(ring string) []*jwk.Key {
	var out []*jwk.Key
	for _, m := range r.now.Load().rings[ring] {
		if m.Key.State.Verifies() {
			out = append(out, m.key)
		}
	}
	return out
}

// Find returns a key of a ring by id, unless it is retired or compromised.
func (r *Rings) Find(ring, id string) (*jwk.Key, bool) {
	m, ok := r.now.Load().byID[id]
	if !ok || m.Ring != ring || !m.Key.State.Verifies() {
		return nil, false
	}
	return m.key, true
}

// State returns the ring and state of a key, for people who ask what a token
// was signed with.
func (r *Rings) State(id string) (ring string, state authority.KeyState, ok bool) {
	m, ok := r.now.Load().byID[id]
	return m.Ring, m.Key.State, ok
}

// Source gives a verifier the keys of one ring.
func (r *Rings) Source(ring string) jwk.Source { return ringSource{r, ring, false} }

// Record gives a verifier the keys of one ring, the retired ones too: for what
// may be old and gives no access, such as a hint. Compromised keys are not in it.
func (r *Rings) Record(ring string) jwk.Source { return ringSource{r, ring, true} }

type ringSource struct {
	rings   *Rings
	ring    string
	retired bool
}

// Keys implements jwk.Source. A token without a key id is never one of ours.
func (s ringSource) Keys(_ context.Context, kid string) ([]*jwk.Key, error) {
	m, ok := s.rings.now.Load().byID[kid]
	if ok && m.Ring == s.ring && m.key != nil && (m.Key.State.Verifies() || s.retired && m.Key.State == authority.KeyRetired) {
		return []*jwk.Key{m.key}, nil
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
