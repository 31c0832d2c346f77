package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
)

// ErrNotYet is returned when a step would make a verifier refuse what is good:
// a key that was not published for long enough, or one whose tokens are alive.
var ErrNotYet = errors.New("keys: too early")

// ErrState is returned when a key is in a state from which the step does not lead.
var ErrState = errors.New("keys: the key is not in a state for this")

// ErrRing is returned when a ring, or an algorithm for it, does not exist.
var ErrRing = errors.New("keys: no such ring or algorithm")

// Why is who asks for a step, and what for.
type Why struct {
	Actor  authority.Actor
	Reason string
}

// scheduled is why the schedule makes a step.
var scheduled = Why{authority.System, "schedule"}

// attempts bounds how often an operator's step is decided again because another
// node was faster.
const attempts = 5

// List returns every key as it is in the store, by ring, oldest first.
func (r *Rings) List(ctx context.Context) ([]authority.Key, error) { return r.cfg.Store.Keys(ctx) }

// Next is when a step will be due for the key by the schedule, and what becomes of
// it; zero for a key that nothing will happen to.
func (r *Rings) Next(ring string, keys []authority.Key, id string) (at time.Time, to authority.KeyState) {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k authority.Key) bool { return k.Ring != ring })
	for _, t := range r.cfg.Schedule.tasks(ring, r.slots(ring, keys), keys) {
		switch {
		case t.key.ID != id:
		case t.do == activate:
			return t.at, authority.KeyActive
		case t.do == retire:
			return t.at, authority.KeyRetired
		case t.do == stage: // its successor will be staged then, and take over later
			return t.at.Add(r.cfg.Schedule.Staging), authority.KeyRetiring
		}
	}
	return time.Time{}, ""
}

// Stage makes the next key of a slot and publishes it. The empty algorithm is the
// ring's own. A key that is staged already is returned as it is.
func (r *Rings) Stage(ctx context.Context, ring string, alg jwk.Algorithm, why Why) (authority.Key, error) {
	return r.decide(ctx, func(all []authority.Key) (authority.KeyStep, string, error) {
		keys := ofRing(all, ring)
		s, err := r.slotFor(ring, alg, keys)
		if err != nil {
			return authority.KeyStep{}, "", err
		}
		if staged, ok := newest(keys, s.name, authority.KeyStaged); ok {
			return authority.KeyStep{}, staged.ID, nil
		}
		return r.stageStep(ring, s.alg, keys, why)
	})
}

// NewRing makes a ring of shared secrets with its first key, unless there is one of
// this name.
func (r *Rings) NewRing(ctx context.Context, ring string, why Why) error {
	_, err := r.decide(ctx, func(all []authority.Key) (authority.KeyStep, string, error) {
		if len(ofRing(all, ring)) > 0 {
			return authority.KeyStep{}, "", nil
		}
		return r.restoreStep(ring, jwk.HS256, nil, why)
	})
	return err
}

// restoreStep gives a slot an active key, without having staged it.
func (r *Rings) restoreStep(ring string, alg jwk.Algorithm, keys []authority.Key, why Why) (authority.KeyStep, string, error) {
	key, err := r.generate(ring, alg, authority.KeyActive, r.cfg.Now())
	if err != nil {
		return authority.KeyStep{}, "", err
	}
	step := r.newStep(ring, keys, authority.EventKeyCreated, key.ID, why)
	step.Create = []authority.Key{key}
	return step, key.ID, nil
}

func (r *Rings) stageStep(ring string, alg jwk.Algorithm, keys []authority.Key, why Why) (authority.KeyStep, string, error) {
	key, err := r.generate(ring, alg, authority.KeyStaged, r.cfg.Now())
	if err != nil {
		return authority.KeyStep{}, "", err
	}
	step := r.newStep(ring, keys, authority.EventKeyStaged, key.ID, why)
	step.Create = []authority.Key{key}
	return step, key.ID, nil
}

// Import adds a private key that was made elsewhere as a staged key. Its id is its
// thumbprint, whatever it was called before.
func (r *Rings) Import(ctx context.Context, ring string, key *jwk.Key, why Why) (authority.Key, error) {
	if !key.Private() {
		return authority.Key{}, fmt.Errorf("%w: it has no private part", jwk.ErrNoPrivateKey)
	}
	key, err := key.WithID(key.Thumbprint())
	if err != nil {
		return authority.Key{}, err
	}
	return r.decide(ctx, func(all []authority.Key) (authority.KeyStep, string, error) {
		keys := ofRing(all, ring)
		s, err := r.slotFor(ring, key.Algorithm(), keys)
		if err != nil {
			return authority.KeyStep{}, "", err
		}
		if _, ok := find(all, key.ID()); ok {
			return authority.KeyStep{}, "", fmt.Errorf("%w: the authority has this key already", authority.ErrConflict)
		}
		step := r.newStep(ring, keys, authority.EventKeyImported, key.ID(), why)
		stored, err := r.storedForm(ring, key, authority.KeyStaged, step.Now)
		if err != nil {
			return step, "", err
		}
		if old, ok := newest(keys, s.name, authority.KeyStaged); ok { // it has signed nothing
			step.Move = []authority.KeyMove{{ID: old.ID, From: old.State, To: authority.KeyRetired}}
		}
		step.Create = []authority.Key{stored}
		return step, stored.ID, nil
	})
}

// Rotate lets the next key of a slot take over as soon as every verifier can know
// it: one is staged if none is, and Run makes it active when its time has come.
func (r *Rings) Rotate(ctx context.Context, ring string, alg jwk.Algorithm, why Why) (authority.Key, error) {
	return r.decide(ctx, func(all []authority.Key) (authority.KeyStep, string, error) {
		keys := ofRing(all, ring)
		s, err := r.slotFor(ring, alg, keys)
		if err != nil {
			return authority.KeyStep{}, "", err
		}
		staged, ok := newest(keys, s.name, authority.KeyStaged)
		if !ok {
			step, id, err := r.stageStep(ring, s.alg, keys, why)
			if err == nil {
				step.Create[0].DueAt = step.Now
				step.Event.Type = authority.EventKeyRotationAsked
			}
			return step, id, err
		}
		step := r.newStep(ring, keys, authority.EventKeyRotationAsked, staged.ID, why)
		step.Due = map[string]time.Time{staged.ID: step.Now}
		return step, staged.ID, nil
	})
}

// Activate lets a staged key take over now. ErrNotYet: it has not been staged for
// long enough, unless forced. A key that is active already is left as it is.
func (r *Rings) Activate(ctx context.Context, id string, force bool, why Why) (authority.Key, error) {
	return r.decide(ctx, func(all []authority.Key) (authority.KeyStep, string, error) {
		key, err := inState(all, id, authority.KeyStaged, authority.KeyActive)
		if err != nil || key.State == authority.KeyActive {
			return authority.KeyStep{}, id, err
		}
		if until := r.cfg.Schedule.StagedUntil(key); !force && r.cfg.Now().Before(until) {
			return authority.KeyStep{}, "", fmt.Errorf("%w: verifiers may not know the key before %s", ErrNotYet, until.UTC().Format(time.RFC3339))
		}
		return r.activateStep(key, ofRing(all, key.Ring), why)
	})
}

func (r *Rings) activateStep(key authority.Key, keys []authority.Key, why Why) (authority.KeyStep, string, error) {
	step := r.newStep(key.Ring, keys, authority.EventKeyActivated, key.ID, why)
	step.Move = []authority.KeyMove{{ID: key.ID, From: authority.KeyStaged, To: authority.KeyActive}}
	if active, ok := newest(keys, key.Slot, authority.KeyActive); ok {
		step.Move = append(step.Move, authority.KeyMove{ID: active.ID, From: authority.KeyActive, To: authority.KeyRetiring})
	}
	return step, key.ID, nil
}

// Retire takes a key out of use for good: one that is staged, or one that is
// retiring. ErrNotYet: what it signed may be alive, unless forced.
func (r *Rings) Retire(ctx context.Context, id string, force bool, why Why) (authority.Key, error) {
	return r.decide(ctx, func(all []authority.Key) (authority.KeyStep, string, error) {
		key, err := inState(all, id, authority.KeyStaged, authority.KeyRetiring)
		if err != nil {
			return authority.KeyStep{}, "", err
		}
		until := key.ChangedAt.Add(r.cfg.Schedule.Retiring(key.Ring))
		if key.State == authority.KeyRetiring && !force && r.cfg.Now().Before(until) {
			return authority.KeyStep{}, "", fmt.Errorf("%w: what the key signed may be alive until %s", ErrNotYet, until.UTC().Format(time.RFC3339))
		}
		return r.retireStep(key, ofRing(all, key.Ring), why)
	})
}

func (r *Rings) retireStep(key authority.Key, keys []authority.Key, why Why) (authority.KeyStep, string, error) {
	step := r.newStep(key.Ring, keys, authority.EventKeyRetired, key.ID, why)
	step.Move = []authority.KeyMove{{ID: key.ID, From: key.State, To: authority.KeyRetired}}
	return step, key.ID, nil
}

// Compromise refuses a key, and all it has signed, everywhere and at once. If it
// was active, a new one signs from the same commit on; a staged one goes with it,
// since it lay beside the key that was stolen. It returns what is active now, the
// compromised key itself if it was not active.
func (r *Rings) Compromise(ctx context.Context, id string, why Why) (authority.Key, error) {
	return r.decide(ctx, func(all []authority.Key) (authority.KeyStep, string, error) {
		key, err := inState(all, id, authority.KeyStaged, authority.KeyActive, authority.KeyRetiring, authority.KeyRetired)
		if err != nil {
			return authority.KeyStep{}, "", err
		}
		keys := ofRing(all, key.Ring)
		step := r.newStep(key.Ring, keys, authority.EventKeyCompromised, key.ID, why)
		step.Reason, step.EndGrants = "key_compromised", r.cfg.EndGrants && key.Ring == authority.RingRefresh
		step.Move = []authority.KeyMove{{ID: key.ID, From: key.State, To: authority.KeyCompromised}}
		if key.State != authority.KeyActive {
			return step, key.ID, nil
		}
		if staged, ok := newest(keys, key.Slot, authority.KeyStaged); ok {
			step.Move = append(step.Move, authority.KeyMove{ID: staged.ID, From: staged.State, To: authority.KeyCompromised})
		}
		next, err := r.generate(key.Ring, r.algorithmOf(key), authority.KeyActive, step.Now)
		if err != nil {
			return step, "", err
		}
		step.Create = []authority.Key{next}
		step.Event.Data["successor"] = next.ID
		return step, next.ID, nil
	})
}

// algorithmOf is the algorithm that the slot of a key should have.
func (r *Rings) algorithmOf(k authority.Key) jwk.Algorithm {
	if k.Ring == authority.RingAccess {
		return r.cfg.AccessAlgorithm
	}
	return jwk.Algorithm(k.Algorithm)
}

// slotFor finds the slot that a key of the algorithm belongs to.
func (r *Rings) slotFor(ring string, alg jwk.Algorithm, keys []authority.Key) (slot, error) {
	if len(keys) == 0 {
		return slot{}, fmt.Errorf("%w: ring %q", ErrRing, ring)
	}
	slots := r.slots(ring, keys)
	if alg == "" && len(slots) > 1 {
		return slot{}, fmt.Errorf("%w: ring %s has a key for each algorithm: say which", ErrRing, ring)
	}
	for _, s := range slots {
		if alg == "" || s.alg == alg {
			return s, nil
		}
	}
	return slot{}, fmt.Errorf("%w: the configuration has no %s keys in ring %s", ErrRing, alg, ring)
}

// newStep is a step of a ring as it was read, without what it changes.
func (r *Rings) newStep(ring string, keys []authority.Key, event authority.EventType, id string, why Why) authority.KeyStep {
	now := r.cfg.Now()
	var version int64
	if len(keys) > 0 {
		version = keys[0].RingVersion
	}
	return authority.KeyStep{
		Ring: ring, Version: version, Now: now,
		// An entry must be there for as long as a token that it refuses lives.
		Until: now.Add(r.cfg.Schedule.Retiring(authority.RingAccess)),
		Event: authority.Event{
			ID: secret.NewID(now), Type: event, Actor: why.Actor, Reason: why.Reason, Data: map[string]string{"ring": ring, "kid": id},
		},
	}
}

// decide lets decision make a step of what is stored, until it is made or refused.
// An id without a step is an answer as it is. It returns the key of that id.
func (r *Rings) decide(ctx context.Context, decision func(all []authority.Key) (authority.KeyStep, string, error)) (authority.Key, error) {
	for range attempts {
		all, err := r.cfg.Store.Keys(ctx)
		if err != nil {
			return authority.Key{}, fmt.Errorf("keys: load: %w", err)
		}
		step, id, err := decision(all)
		if err != nil {
			return authority.Key{}, err
		}
		if step.Ring == "" {
			key, _ := find(all, id)
			return key, nil
		}
		err = r.make(ctx, step, ofRing(all, step.Ring))
		if errors.Is(err, authority.ErrConflict) {
			continue
		}
		if err != nil {
			return authority.Key{}, err
		}
		return r.now.Load().byID[id].Key, nil
	}
	return authority.Key{}, fmt.Errorf("keys: other nodes keep changing the ring: %w", authority.ErrConflict)
}

// make commits a step and returns once this node works by it.
func (r *Rings) make(ctx context.Context, step authority.KeyStep, keys []authority.Key) error {
	var err error
	if step.Data, err = announcement(step, keys); err != nil {
		return err
	}
	entries, err := r.cfg.Store.StepKeys(ctx, step)
	if err != nil {
		return fmt.Errorf("keys: step of ring %s: %w", step.Ring, err)
	}
	r.cfg.Logger.InfoContext(ctx, "key ring changed", "event", step.Event.Type, "ring", step.Ring, "kid", step.Event.Data["kid"], "version", step.Version+1)
	// The change is durable whatever happens to the caller now.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyPatience)
	defer cancel()
	if err := r.Reload(ctx); err != nil {
		return fmt.Errorf("keys: the step is stored, but this node has not read it yet: %w", err)
	}
	if n := len(entries); n > 0 && r.cfg.Applied != nil {
		if err := r.cfg.Applied(ctx, entries[n-1].Seq); err != nil {
			return fmt.Errorf("keys: the step is stored, but this node's view has not applied it yet: %w", err)
		}
	}
	return nil
}

// applyPatience is how long an operator's step waits until this node works by it.
const applyPatience = 5 * time.Second

// announcement is what the log entry of a step says: the ring's version and, for a
// published ring, its keys, as a JWK set. A verifier that has it needs no fetch.
func announcement(step authority.KeyStep, keys []authority.Key) ([]byte, error) {
	a := struct {
		Version int64             `json:"version"`
		Keys    []json.RawMessage `json:"keys,omitempty"`
	}{Version: step.Version + 1}
	if published(step.Ring) {
		for _, k := range slices.Backward(after(keys, step)) {
			if k.State.Verifies() && len(k.Public) > 0 {
				a.Keys = append(a.Keys, k.Public)
			}
		}
	}
	b, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("keys: announce ring %s: %w", step.Ring, err)
	}
	return b, nil
}

// after is what the keys of a ring are once a step was made.
func after(keys []authority.Key, step authority.KeyStep) []authority.Key {
	out := slices.DeleteFunc(slices.Clone(keys), func(k authority.Key) bool { return slices.Contains(step.Forget, k.ID) })
	for i := range out {
		for _, m := range step.Move {
			if m.ID == out[i].ID {
				out[i].State = m.To
			}
		}
	}
	return append(out, step.Create...)
}

func ofRing(all []authority.Key, ring string) []authority.Key {
	return slices.DeleteFunc(slices.Clone(all), func(k authority.Key) bool { return k.Ring != ring })
}

func find(all []authority.Key, id string) (authority.Key, bool) {
	i := slices.IndexFunc(all, func(k authority.Key) bool { return k.ID == id })
	if i < 0 {
		return authority.Key{}, false
	}
	return all[i], true
}

// inState finds a key that must be in one of the states.
func inState(all []authority.Key, id string, states ...authority.KeyState) (authority.Key, error) {
	key, ok := find(all, id)
	if !ok {
		return key, fmt.Errorf("keys: no key %q: %w", id, authority.ErrNotFound)
	}
	if !slices.Contains(states, key.State) {
		return key, fmt.Errorf("%w: it is %s", ErrState, key.State)
	}
	return key, nil
}
