package keys_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
)

var errDisk = errors.New("disk failed")

// node is one node of the authority, as far as keys go: with a clock of its own,
// and a store that it may not reach.
type node struct {
	*keys.Rings
	skew time.Duration
	cut  atomic.Bool
	hang atomic.Bool // reads do not come back
}

// world is several nodes over one store. Time passes when the test says so.
type world struct {
	t      testing.TB
	now    time.Time
	store  authority.Store
	nodes  []*node
	sealer *secret.Sealer
}

type reachable struct {
	authority.KeyStore
	node *node
}

func (r reachable) Keys(ctx context.Context) ([]authority.Key, error) {
	if r.node.cut.Load() {
		return nil, errDisk
	}
	if r.node.hang.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return r.KeyStore.Keys(ctx)
}

func (r reachable) StepKeys(ctx context.Context, s authority.KeyStep) ([]authority.LogEntry, error) {
	if r.node.cut.Load() {
		return nil, errDisk
	}
	return r.KeyStore.StepKeys(ctx, s)
}

// quick avoids RSA, which takes longer to make than the rest of a test.
var quick = []jwk.Algorithm{jwk.Ed25519}

var why = keys.Why{Actor: authority.Actor{Kind: "admin", ID: "test"}, Reason: "test"}

func newWorld(t testing.TB, edit func(*keys.Config), skews ...time.Duration) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), store: openStore(t)}
	w.sealer = newSealer(t)
	for _, skew := range skews {
		n := &node{skew: skew}
		cfg := keys.Config{
			Store: reachable{w.store, n}, Sealer: w.sealer, IDAlgorithms: quick, Now: func() time.Time { return w.now.Add(n.skew) },
		}
		if edit != nil {
			edit(&cfg)
		}
		var err error
		if n.Rings, err = keys.Open(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		w.nodes = append(w.nodes, n)
	}
	return w
}

// look is what a node does all the time: read, and make the steps that are due.
func (n *node) look(t testing.TB) {
	t.Helper()
	if err := n.Reload(context.Background()); err != nil {
		return
	}
	if err := n.Step(context.Background()); err != nil {
		t.Errorf("step: %v", err)
	}
}

func (w *world) pass(d time.Duration) { w.now = w.now.Add(d) }

// keys are all keys of a ring, by id.
func (w *world) keys(ring string) map[string]authority.Key {
	w.t.Helper()
	all, err := w.store.Keys(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	found := map[string]authority.Key{}
	for _, k := range all {
		if k.Ring == ring {
			found[k.ID] = k
		}
	}
	return found
}

func (w *world) state(id string, want authority.KeyState) {
	w.t.Helper()
	for _, ring := range []string{authority.RingAccess, authority.RingID, authority.RingRefresh, authority.RingFlow} {
		if k, ok := w.keys(ring)[id]; ok {
			if k.State != want {
				w.t.Errorf("key %s is %s, want %s", id, k.State, want)
			}
			return
		}
	}
	w.t.Errorf("key %s is gone, want %s", id, want)
}

// signs is the id of the key that signs access tokens at a node.
func (n *node) signs(t testing.TB) string {
	t.Helper()
	k, err := n.AccessSigner()
	if err != nil {
		t.Fatal(err)
	}
	return k.ID()
}

// One period of the access ring, at the times of the schedule.
func TestSchedule_OnePeriod(t *testing.T) {
	w := newWorld(t, nil, 0)
	n := w.nodes[0]
	first := n.signs(t)
	s := n.Schedule()

	w.pass(s.Access - s.Staging - time.Second)
	n.look(t)
	if got := len(w.keys(authority.RingAccess)); got != 1 {
		t.Fatalf("%d keys before the time, want 1", got)
	}
	w.pass(time.Second)
	n.look(t)
	var second string
	for id, k := range w.keys(authority.RingAccess) {
		if id != first {
			second = k.ID
		}
	}
	w.state(second, authority.KeyStaged)
	if got := n.signs(t); got != first {
		t.Error("a staged key signs")
	}
	if set, _, err := n.Published(); err != nil || len(set.Lookup(second)) != 1 || len(set.Lookup(first)) != 1 {
		t.Errorf("the staged key is not published: %v", err)
	}
	w.pass(s.Staging)
	n.look(t)
	if got := n.signs(t); got != second {
		t.Error("the staged key does not take over")
	}
	w.state(first, authority.KeyRetiring)
	w.pass(s.Retiring(authority.RingAccess) - time.Second)
	n.look(t)
	if set, _, err := n.Published(); err != nil || len(set.Lookup(first)) != 1 {
		t.Errorf("the key is gone while its tokens live: %v", err)
	}
	w.pass(time.Second)
	n.look(t)
	w.state(first, authority.KeyRetired)
	if set, _, err := n.Published(); err != nil || len(set.Lookup(first)) != 0 {
		t.Errorf("a retired key is published: %v", err)
	}
	if k := w.keys(authority.RingAccess)[first]; k.Sealed != nil {
		t.Error("the private key of a retired key is kept")
	}
}

// How long the set may be kept never goes beyond its next change.
func TestPublished_NotBeyondTheNextStep(t *testing.T) {
	w := newWorld(t, nil, 0)
	n := w.nodes[0]
	s := n.Schedule()
	keep := func(want time.Duration) {
		t.Helper()
		if _, got, err := n.Published(); err != nil || got != want {
			t.Errorf("to be kept for %v, %v, want %v", got, err, want)
		}
	}
	keep(s.Cache)
	w.pass(s.Access - s.Staging - 90*time.Second)
	keep(90 * time.Second)
	w.pass(90*time.Second - 300*time.Millisecond)
	keep(time.Second)
	w.pass(time.Minute) // nobody has made the step
	keep(time.Second)
	n.look(t)
	keep(s.Cache)
}

// A node that was stopped for longer than a period reads the rings before it signs;
// one that cannot does not sign. Clocks that differ by a minute change nothing.
func TestSigner_AfterAStop(t *testing.T) {
	for _, skew := range []time.Duration{0, time.Minute, -time.Minute} {
		w := newWorld(t, nil, 0, skew)
		awake, stopped := w.nodes[0], w.nodes[1]
		old := stopped.signs(t)
		s := awake.Schedule()
		for range 40 {
			w.pass(s.Access / 10)
			awake.look(t)
		}
		w.state(old, authority.KeyRetired)
		stopped.cut.Store(true)
		if _, err := stopped.AccessSigner(); !errors.Is(err, keys.ErrStale) || !errors.Is(err, errDisk) {
			t.Errorf("skew %v: signs although the store is out of reach: %v", skew, err)
		}
		if _, err := stopped.Signer(authority.RingRefresh, jwk.HS256); !errors.Is(err, keys.ErrStale) {
			t.Errorf("skew %v: makes refresh tokens although the store is out of reach: %v", skew, err)
		}
		if _, _, err := stopped.Published(); !errors.Is(err, keys.ErrStale) {
			t.Errorf("skew %v: publishes although the store is out of reach: %v", skew, err)
		}
		if id, _ := stopped.FlowKey(); id != "" {
			t.Errorf("skew %v: signs a sign-in although the store is out of reach", skew)
		}
		stopped.cut.Store(false)
		if got, want := stopped.signs(t), awake.signs(t); got != want || got == old {
			t.Errorf("skew %v: signs with %s, the others with %s, before it stopped with %s", skew, got, want, old)
		}
	}
}

// An operator's steps are made where they are safe, and refused where they are not.
func TestSteps_TooEarly(t *testing.T) {
	w := newWorld(t, nil, 0)
	n, ctx := w.nodes[0], t.Context()
	s := n.Schedule()
	first := n.signs(t)
	staged, err := n.Stage(ctx, authority.RingAccess, "", why)
	if err != nil || staged.State != authority.KeyStaged {
		t.Fatalf("%+v, %v", staged, err)
	}
	if again, err := n.Stage(ctx, authority.RingAccess, "", why); err != nil || again.ID != staged.ID {
		t.Errorf("staged twice: %v", err)
	}
	refused := func(what string, want error, step func() (authority.Key, error)) {
		t.Helper()
		if _, err := step(); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	refused("activated at once", keys.ErrNotYet, func() (authority.Key, error) { return n.Activate(ctx, staged.ID, false, why) })
	if k, err := n.Activate(ctx, first, false, why); err != nil || k.ID != first || k.RingVersion != staged.RingVersion {
		t.Errorf("activated what is active: %+v, %v", k, err)
	}
	refused("active key retired", keys.ErrState, func() (authority.Key, error) { return n.Retire(ctx, first, true, why) })
	refused("unknown key", authority.ErrNotFound, func() (authority.Key, error) { return n.Retire(ctx, "nobody", true, why) })
	refused("unknown ring", keys.ErrRing, func() (authority.Key, error) { return n.Stage(ctx, "nothing", "", why) })
	refused("other algorithm", keys.ErrRing, func() (authority.Key, error) { return n.Stage(ctx, authority.RingAccess, jwk.RS256, why) })
	w.pass(s.Staging)
	if k, err := n.Activate(ctx, staged.ID, false, why); err != nil || k.State != authority.KeyActive || n.signs(t) != staged.ID {
		t.Errorf("activated in time: %+v, %v", k, err)
	}
	refused("retired at once", keys.ErrNotYet, func() (authority.Key, error) { return n.Retire(ctx, first, false, why) })
	if k, err := n.Retire(ctx, first, true, why); err != nil || k.State != authority.KeyRetired {
		t.Errorf("retired by force: %+v, %v", k, err)
	}
	refused("retired key compromised twice", keys.ErrState, func() (authority.Key, error) {
		if _, err := n.Compromise(ctx, first, why); err != nil {
			t.Error(err)
		}
		return n.Compromise(ctx, first, why)
	})
}

// A rotation that an operator asks for takes as long as it takes to be unnoticed,
// and no longer.
func TestRotate_AsSoonAsItIsSafe(t *testing.T) {
	for _, ring := range []string{authority.RingAccess, authority.RingRefresh, authority.RingFlow} {
		w := newWorld(t, nil, 0, 0)
		n := w.nodes[0]
		next, err := n.Rotate(t.Context(), ring, "", why)
		if err != nil {
			t.Fatal(err)
		}
		w.pass(n.Schedule().Staging - time.Second)
		w.nodes[1].look(t)
		w.state(next.ID, authority.KeyStaged)
		w.pass(time.Second)
		w.nodes[1].look(t)
		w.state(next.ID, authority.KeyActive)
		if got, err := n.Signer(ring, jwk.Algorithm(next.Algorithm)); err != nil || got.ID() != next.ID {
			t.Errorf("the node that has not looked for an hour signs with %v, %v", got, err)
		}
	}
}

// A compromised key never signs again where the step is known, and its successor,
// which nobody has seen before, signs after the news of it had a head start. A key
// that lay staged beside the stolen one goes with it.
func TestCompromise_Successor(t *testing.T) {
	w := newWorld(t, nil, 0, 0)
	n, other, ctx := w.nodes[0], w.nodes[1], t.Context()
	stolen := n.signs(t)
	staged, err := n.Stage(ctx, authority.RingAccess, "", why)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	next, err := n.Compromise(ctx, stolen, why)
	if err != nil {
		t.Fatal(err)
	}
	if got := n.signs(t); got != next.ID || got == stolen || got == staged.ID {
		t.Errorf("signs with %s after %s was compromised", got, stolen)
	}
	if headStart := time.Since(before); headStart < 200*time.Millisecond || headStart > 5*time.Second {
		t.Errorf("the first signature came after %v", headStart)
	}
	w.state(stolen, authority.KeyCompromised)
	w.state(staged.ID, authority.KeyCompromised)
	for _, id := range []string{stolen, staged.ID} {
		if _, err := n.Source(authority.RingAccess).Keys(ctx, id); !errors.Is(err, jwk.ErrUnknownKey) {
			t.Errorf("a compromised key verifies: %v", err)
		}
		if _, err := n.Record(authority.RingAccess).Keys(ctx, id); !errors.Is(err, jwk.ErrUnknownKey) {
			t.Errorf("a compromised key is in the record: %v", err)
		}
		if len(n.Public().Lookup(id)) != 0 {
			t.Error("a compromised key is published")
		}
	}
	other.look(t) // as the log tells it to
	if got := other.signs(t); got != next.ID {
		t.Errorf("the other node signs with %s", got)
	}
	events, err := w.store.Events(ctx, authority.EventFilter{Type: authority.EventKeyCompromised}, authority.Page{})
	if err != nil || len(events) != 1 || events[0].Data["kid"] != stolen || events[0].Data["successor"] != next.ID || events[0].Reason != why.Reason {
		t.Errorf("events %+v, %v", events, err)
	}
}

// A refresh key retires when no grant can need it: by time, and by looking.
func TestRefresh_RetiresWhenNoGrantNeedsIt(t *testing.T) {
	w := newWorld(t, nil, 0)
	n, ctx := w.nodes[0], t.Context()
	k, err := n.Signer(authority.RingRefresh, jwk.HS256)
	if err != nil {
		t.Fatal(err)
	}
	s := n.Schedule()
	grant := authority.Grant{
		ID: secret.NewID(w.now), Type: "client_credentials", ClientID: "robot", HasRefresh: true, RefreshKey: k.ID(),
		CreatedAt: w.now, IdleUntil: w.now.Add(1000 * 24 * time.Hour), ExpiresAt: w.now.Add(1000 * 24 * time.Hour),
	}
	if _, err := w.store.OpenStanding(ctx, grant, authority.Event{ID: secret.NewID(w.now), Type: authority.EventGrantCreated, Actor: authority.System}); err != nil {
		t.Fatal(err)
	}
	step := func(d time.Duration) {
		w.pass(d)
		n.look(t)
	}
	step(s.Refresh - s.Staging)
	step(s.Staging)
	w.state(k.ID(), authority.KeyRetiring)
	step(s.Retiring(authority.RingRefresh))
	w.state(k.ID(), authority.KeyRetiring) // a grant of a patient client
	if _, err := w.store.Revoke(ctx, authority.Revocation{
		Grant: grant.ID, Reason: "test", Now: w.now, Until: w.now, Event: authority.Event{ID: secret.NewID(w.now), Type: authority.EventGrantEnded, Actor: authority.System},
	}); err != nil {
		t.Fatal(err)
	}
	step(time.Minute)
	w.state(k.ID(), authority.KeyRetiring) // looked at a while ago
	step(time.Hour)
	w.state(k.ID(), authority.KeyRetired)
}

// An imported key is staged under its thumbprint and takes over like any other.
func TestImport(t *testing.T) {
	w := newWorld(t, nil, 0)
	n, ctx := w.nodes[0], t.Context()
	own, err := jwk.Generate(jwk.ES256)
	if err != nil {
		t.Fatal(err)
	}
	named, err := own.WithID("our key of 2024")
	if err != nil {
		t.Fatal(err)
	}
	k, err := n.Import(ctx, authority.RingAccess, named, why)
	if err != nil || k.ID != own.Thumbprint() || k.State != authority.KeyStaged {
		t.Fatalf("%+v, %v", k, err)
	}
	if _, err := n.Import(ctx, authority.RingAccess, named, why); !errors.Is(err, authority.ErrConflict) {
		t.Errorf("imported twice: %v", err)
	}
	if _, err := n.Import(ctx, authority.RingAccess, own.Public(), why); !errors.Is(err, jwk.ErrNoPrivateKey) {
		t.Errorf("a public key: %v", err)
	}
	other, err := jwk.Generate(jwk.ES384)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Import(ctx, authority.RingAccess, other, why); !errors.Is(err, keys.ErrRing) {
		t.Errorf("another algorithm: %v", err)
	}
	w.pass(n.Schedule().Staging)
	if _, err := n.Activate(ctx, k.ID, false, why); err != nil || n.signs(t) != own.Thumbprint() {
		t.Errorf("does not sign: %v", err)
	}
}

// A slot that the configuration adds to ring id is published before it is used, and
// one that it no longer names goes on: clients are registered for it.
func TestIDRing_NewAlgorithm(t *testing.T) {
	w := newWorld(t, nil, 0)
	old := w.nodes[0]
	n := &node{}
	var err error
	n.Rings, err = keys.Open(t.Context(), keys.Config{
		Store: w.store, Sealer: w.sealer, IDAlgorithms: []jwk.Algorithm{jwk.ES384}, Now: func() time.Time { return w.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := n.Algorithms(); len(got) != 1 || got[0] != "Ed25519" {
		t.Errorf("algorithms %v before the new key is active", got)
	}
	n.look(t)
	w.pass(n.Schedule().Staging - time.Second)
	n.look(t)
	if _, err := n.Signer(authority.RingID, jwk.ES384); err == nil {
		t.Error("the new key signs before every verifier can know it")
	}
	w.pass(time.Second)
	n.look(t)
	if _, err := n.Signer(authority.RingID, jwk.ES384); err != nil {
		t.Error(err)
	}
	if got := n.Algorithms(); len(got) != 2 {
		t.Errorf("algorithms %v", got)
	}
	old.look(t)
	if got := old.Algorithms(); len(got) != 2 {
		t.Errorf("algorithms %v at a node with the earlier configuration", got)
	}
}

func TestSchedule_Refused(t *testing.T) {
	for name, s := range map[string]keys.Schedule{
		"staged for less than the cache time": {Staging: 11 * time.Minute},
		"period below staging":                {Access: time.Minute},
		"knowledge too old":                   {Stale: 2 * time.Hour},
	} {
		if _, err := s.WithDefaults(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	s, err := keys.Schedule{Staging: 2 * time.Second, Cache: time.Second, Skew: -1, Access: 4 * time.Second}.WithDefaults()
	if err != nil || s.Stale != time.Second {
		t.Errorf("%+v, %v", s, err)
	}
}

// The worst that may come together: a key is staged by a node whose clock is behind,
// a verifier fetches from a node that has just not heard of it, and the node that
// lets it take over has a clock that is ahead. No verifier is without the key then.
func TestSchedule_StagingHoldsTheWorst(t *testing.T) {
	w := newWorld(t, func(c *keys.Config) { c.Schedule.Staging = 13 * time.Minute }, -time.Minute, 0, time.Minute)
	behind, deaf, ahead := w.nodes[0], w.nodes[1], w.nodes[2]
	deaf.look(t)
	deaf.cut.Store(true)
	next, err := behind.Stage(t.Context(), authority.RingAccess, "", why)
	if err != nil {
		t.Fatal(err)
	}
	began, without := w.now, w.now // without: until when a verifier may lack the key
	for {
		if set, keep, err := deaf.Published(); err == nil && len(set.Lookup(next.ID)) == 0 {
			without = w.now.Add(keep)
		}
		if _, err := ahead.Activate(t.Context(), next.ID, false, why); err == nil {
			break
		} else if !errors.Is(err, keys.ErrNotYet) {
			t.Fatal(err)
		}
		w.pass(time.Second)
	}
	if w.now.Before(without) {
		t.Errorf("active %v after it was staged, while a verifier may lack the key for another %v", w.now.Sub(began), without.Sub(w.now))
	}
	if without.Sub(began) < 11*time.Minute || w.now.Sub(began) > 13*time.Minute {
		t.Errorf("the test does not reach the worst: %v, %v", without.Sub(began), w.now.Sub(began))
	}
}

// Ids are typed on command lines, where a hyphen in front means something else.
func TestGenerate_NoIDLooksLikeAnOption(t *testing.T) {
	w := newWorld(t, nil, 0)
	for i := range 300 {
		if err := w.nodes[0].NewRing(t.Context(), fmt.Sprint("ring-", i), why); err != nil {
			t.Fatal(err)
		}
	}
	all, err := w.nodes[0].List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		if strings.HasPrefix(k.ID, "-") {
			t.Errorf("key %s", k.ID)
		}
	}
}

// While the store hangs, those who want to sign fail together after a moment: they do
// not wait for each other's attempts.
func TestSigner_StoreHangs(t *testing.T) {
	w := newWorld(t, nil, 0)
	n := w.nodes[0]
	n.hang.Store(true)
	w.pass(time.Hour)
	began := time.Now()
	var work sync.WaitGroup
	for range 50 {
		work.Go(func() {
			if _, err := n.AccessSigner(); !errors.Is(err, keys.ErrStale) {
				t.Errorf("got %v, want ErrStale", err)
			}
		})
	}
	work.Wait()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("50 callers waited %v", took)
	}
	n.hang.Store(false)
	n.signs(t)
}
