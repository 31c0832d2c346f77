package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func (w *world) newKey(ring, id, algorithm string, state authority.KeyState) authority.Key {
	k := authority.Key{
		ID: id, Ring: ring, Algorithm: algorithm, State: state, Sealed: []byte{1, 0, 2, 255}, CreatedAt: w.now, ChangedAt: w.now,
		RingVersion: 1,
	}
	if ring == authority.RingID {
		k.Slot = algorithm
	}
	if algorithm != "HS256" {
		k.Public = []byte(`{"kid":"` + id + `"}`)
	}
	return k
}

func testKeys(w *world) {
	ctx := w.Context()
	none, err := w.store.Keys(ctx)
	if err != nil || len(none) != 0 {
		w.Errorf("got %d keys of a new store, %v", len(none), err)
	}
	first := []authority.Key{
		w.newKey(authority.RingAccess, "a1", "ES256", authority.KeyActive),
		w.newKey(authority.RingAccess, "a2", "ES256", authority.KeyStaged),
		w.newKey(authority.RingID, "i1", "RS256", authority.KeyActive),
	}
	w.must(w.store.CreateKeys(ctx, first, w.event(authority.EventKeyCreated)))
	got, err := w.store.Keys(ctx)
	w.must(err)
	w.same("stored", got, first)

	second := []authority.Key{
		w.newKey(authority.RingID, "i2", "ES256", authority.KeyActive), // would be fine alone
		w.newKey(authority.RingAccess, "a3", "ES256", authority.KeyActive),
	}
	w.want("ring has an active key", w.store.CreateKeys(ctx, second, w.event(authority.EventKeyCreated)), authority.ErrConflict)
	twice := []authority.Key{
		w.newKey(authority.RingFlow, "f1", "HS256", authority.KeyActive), w.newKey(authority.RingFlow, "f2", "HS256", authority.KeyActive),
	}
	w.want("two active keys at once", w.store.CreateKeys(ctx, twice, w.event(authority.EventKeyCreated)), authority.ErrConflict)
	got, err = w.store.Keys(ctx)
	w.must(err)
	w.same("none of a refused call is stored", got, first)
	if n := w.events(authority.EventKeyCreated); n != 1 {
		w.Errorf("got %d events, want 1", n)
	}
	w.must(w.store.CreateKeys(ctx, second[:1], w.event(authority.EventKeyCreated)))
	if got := w.keys()["i1"].RingVersion; got != 2 {
		w.Errorf("the id ring is at version %d after two changes", got)
	}
}

// keys is what the store has, by id.
func (w *world) keys() map[string]authority.Key {
	w.Helper()
	all, err := w.store.Keys(w.Context())
	w.must(err)
	byID := make(map[string]authority.Key, len(all))
	for _, k := range all {
		byID[k.ID] = k
	}
	return byID
}

// step is a step of the access ring with what every step has.
func (w *world) step(version int64, edit func(*authority.KeyStep)) authority.KeyStep {
	s := authority.KeyStep{
		Ring: authority.RingAccess, Version: version, Now: w.now, Data: []byte(`{"version":2}`), Reason: "test",
		Until: w.now.Add(time.Hour), Event: w.event(authority.EventKeyActivated),
	}
	edit(&s)
	return s
}

// states are the states of the keys, by id.
func (w *world) states() map[string]authority.KeyState {
	w.Helper()
	states := map[string]authority.KeyState{}
	for id, k := range w.keys() {
		states[id] = k.State
	}
	return states
}

func testStepKeys(w *world) {
	ctx := w.Context()
	w.must(w.store.CreateKeys(ctx, []authority.Key{w.newKey(authority.RingAccess, "a1", "ES256", authority.KeyActive)}, w.event(authority.EventKeyCreated)))
	began := w.now

	// A key is staged, planned, and takes over; the one before it retires and is forgotten.
	w.now = w.now.Add(time.Hour)
	entries, err := w.store.StepKeys(ctx, w.step(1, func(s *authority.KeyStep) {
		s.Create = []authority.Key{w.newKey(authority.RingAccess, "a2", "Ed25519", authority.KeyStaged)}
	}))
	w.must(err)
	if len(entries) != 1 || entries[0].Kind != authority.KindKeyRing || entries[0].Name != authority.RingAccess || string(entries[0].Data) != `{"version":2}` {
		w.Errorf("entries of a step: %+v", entries)
	}
	due := w.now.Add(time.Minute)
	_, err = w.store.StepKeys(ctx, w.step(2, func(s *authority.KeyStep) { s.Due = map[string]time.Time{"a2": due} }))
	w.must(err)
	if got := w.keys()["a2"]; !got.DueAt.Equal(due) || got.RingVersion != 3 || got.Slot != "" || got.State != authority.KeyStaged {
		w.Errorf("planned: %+v", got)
	}
	w.now = w.now.Add(time.Hour)
	activate := func(s *authority.KeyStep) {
		s.Move = []authority.KeyMove{{ID: "a2", From: authority.KeyStaged, To: authority.KeyActive}, {ID: "a1", From: authority.KeyActive, To: authority.KeyRetiring}}
	}
	_, err = w.store.StepKeys(ctx, w.step(3, activate))
	w.must(err)
	now := w.keys()
	if a1, a2 := now["a1"], now["a2"]; a1.State != authority.KeyRetiring || !a1.ChangedAt.Equal(w.now) || !a1.CreatedAt.Equal(began) || len(a1.Sealed) == 0 ||
		a2.State != authority.KeyActive || !a2.ChangedAt.Equal(w.now) || !a2.DueAt.IsZero() || a2.RingVersion != 4 {
		w.Errorf("activated: %+v, %+v", a1, a2)
	}
	_, err = w.store.StepKeys(ctx, w.step(4, func(s *authority.KeyStep) {
		s.Move = []authority.KeyMove{{ID: "a1", From: authority.KeyRetiring, To: authority.KeyRetired}}
	}))
	w.must(err)
	if a1 := w.keys()["a1"]; a1.State != authority.KeyRetired || a1.Sealed != nil || len(a1.Public) == 0 {
		w.Errorf("retired: %+v, want the private key erased and the public one kept", a1)
	}
	if sealed := w.walk(10); len(sealed) != 1 || sealed[0].Place != "key/access/a2" {
		w.Errorf("sealed values after a key has retired: %v", sealed)
	}
	_, err = w.store.StepKeys(ctx, w.step(5, func(s *authority.KeyStep) { s.Forget = []string{"a1"} }))
	w.must(err)
	w.same("at the end", w.states(), map[string]authority.KeyState{"a2": authority.KeyActive})
	if n := w.events(authority.EventKeyActivated); n != 5 {
		w.Errorf("%d events, want one for each of 5 steps", n)
	}
	// A ring that is new begins at version 0.
	_, err = w.store.StepKeys(ctx, w.step(0, func(s *authority.KeyStep) {
		s.Ring, s.Create = "fleet", []authority.Key{w.newKey("fleet", "h1", "HS256", authority.KeyActive)}
	}))
	w.must(err)
	if got := w.keys()["h1"]; got.RingVersion != 1 || got.Public != nil {
		w.Errorf("first key of a new ring: %+v", got)
	}
}

// A step that does not fit what is stored changes nothing.
func testStepKeysRefused(w *world) {
	ctx := w.Context()
	first := []authority.Key{
		w.newKey(authority.RingAccess, "a1", "ES256", authority.KeyActive), w.newKey(authority.RingAccess, "a2", "ES256", authority.KeyStaged),
		w.newKey(authority.RingID, "i1", "RS256", authority.KeyActive),
	}
	w.must(w.store.CreateKeys(ctx, first, w.event(authority.EventKeyCreated)))
	_, head, err := w.store.Head(ctx)
	w.must(err)
	move := func(id string, from, to authority.KeyState) func(*authority.KeyStep) {
		return func(s *authority.KeyStep) {
			// The first move alone would be fine.
			s.Move = []authority.KeyMove{{ID: "a1", From: authority.KeyActive, To: authority.KeyRetiring}, {ID: id, From: from, To: to}}
		}
	}
	for name, s := range map[string]authority.KeyStep{
		"older version":     w.step(0, move("a2", authority.KeyStaged, authority.KeyActive)),
		"newer version":     w.step(2, move("a2", authority.KeyStaged, authority.KeyActive)),
		"another state":     w.step(1, move("a2", authority.KeyRetiring, authority.KeyRetired)),
		"unknown key":       w.step(1, move("a9", authority.KeyStaged, authority.KeyActive)),
		"key of other ring": w.step(1, move("i1", authority.KeyActive, authority.KeyRetiring)),
		"two active": w.step(1, func(s *authority.KeyStep) {
			s.Move = []authority.KeyMove{{ID: "a2", From: authority.KeyStaged, To: authority.KeyActive}}
		}),
		"created twice": w.step(1, func(s *authority.KeyStep) { s.Create = first[1:2] }),
		"second active": w.step(1, func(s *authority.KeyStep) {
			s.Create = []authority.Key{w.newKey(authority.RingAccess, "a3", "ES256", authority.KeyActive)}
		}),
		"planned though active": w.step(1, func(s *authority.KeyStep) { s.Due = map[string]time.Time{"a1": w.now} }),
		"forgotten alive":       w.step(1, func(s *authority.KeyStep) { s.Forget = []string{"a1"} }),
		"new ring at a version": w.step(1, func(s *authority.KeyStep) { s.Ring = "fleet" }),
	} {
		_, err := w.store.StepKeys(ctx, s)
		w.want(name, err, authority.ErrConflict)
	}
	got, err := w.store.Keys(ctx)
	w.must(err)
	w.same("after refusals", got, first)
	if _, seq, err := w.store.Head(ctx); err != nil || seq != head {
		w.Errorf("the log went from %d to %d, %v", head, seq, err)
	}
	if n := w.events(authority.EventKeyActivated); n != 0 {
		w.Errorf("%d events of refused steps", n)
	}
}

// Of nodes that decide the same at the same time one wins.
func testStepKeysRace(w *world) {
	w.must(w.store.CreateKeys(w.Context(), []authority.Key{w.newKey(authority.RingAccess, "a1", "ES256", authority.KeyActive)}, w.event(authority.EventKeyCreated)))
	for version := int64(1); version <= 3; version++ {
		w.oneWins(race(20, func(i int) error {
			_, err := w.store.StepKeys(w.Context(), w.step(version, func(s *authority.KeyStep) {
				s.Create = []authority.Key{w.newKey(authority.RingAccess, fmt.Sprint("key ", version, " of ", i), "ES256", authority.KeyStaged)}
			}))
			return err
		}), authority.ErrConflict)
	}
	if n := len(w.keys()); n != 4 {
		w.Errorf("%d keys after 3 steps, want 4", n)
	}
}

// A compromised key is in the log, before the ring's entry, and can take the
// grants that depend on it along.
func testStepKeysCompromise(w *world) {
	ctx := w.Context()
	w.client("app", false)
	ada := w.account("ada")
	s := w.session(ada.ID)
	grants := []authority.Grant{w.grant(s, "app", false), w.grant(s, "app", true)}
	rotated := w.grant(s, "app", false)
	w.must(w.store.Rotate(ctx, authority.Rotation{
		Grant: rotated.ID, RefreshKey: "refresh-2", Token: w.newToken(rotated.ID), Now: w.now, IdleUntil: rotated.IdleUntil,
	}))
	machine := w.standing("robot")
	first := w.newKey(authority.RingRefresh, "refresh-1", "HS256", authority.KeyActive)
	w.must(w.store.CreateKeys(ctx, []authority.Key{first}, w.event(authority.EventKeyCreated)))

	use := func(what, key string, now time.Time, want bool) {
		w.Helper()
		got, err := w.store.RefreshKeyInUse(ctx, key, now)
		w.must(err)
		if got != want {
			w.Errorf("%s: in use %v, want %v", what, got, want)
		}
	}
	use("of live grants", "refresh-1", w.now, true)
	use("of one that was rotated", "refresh-2", w.now, true)
	use("of expired grants", "refresh-1", w.now.Add(31*day), false)
	use("unknown", "refresh-3", w.now, false)

	step := w.step(1, func(s *authority.KeyStep) {
		s.Ring, s.EndGrants, s.Reason = authority.RingRefresh, true, "key_compromised"
		s.Move = []authority.KeyMove{{ID: "refresh-1", From: authority.KeyActive, To: authority.KeyCompromised}}
		s.Create = []authority.Key{w.newKey(authority.RingRefresh, "refresh-2", "HS256", authority.KeyActive)}
	})
	if !step.Compromises("refresh-1") || step.Compromises("refresh-2") {
		w.Error("which key a step compromises")
	}
	entries, err := w.store.StepKeys(ctx, step)
	w.must(err)
	var got []string
	for _, e := range entries {
		if e.Kind != authority.KindKeyRing && e.Reason != "key_compromised" {
			w.Errorf("entry %+v has another reason", e)
		}
		got = append(got, fmt.Sprint(e.Kind, e.KeyID, e.Name, e.ID))
	}
	var none secret.ID
	slices.SortFunc(grants, func(a, b authority.Grant) int { return a.ID.Compare(b.ID) })
	want := []string{fmt.Sprint(authority.KindKey, "refresh-1", none)}
	for _, g := range grants {
		want = append(want, fmt.Sprint(authority.KindGrant, g.ID))
	}
	w.same("entries", got, append(want, fmt.Sprint(authority.KindKeyRing, authority.RingRefresh, none)))
	for _, g := range grants {
		w.wantEnded("made with the key", g.ID, true)
	}
	w.wantEnded("rotated to another key", rotated.ID, false)
	w.wantEnded("without a refresh token", machine.ID, false)
	w.same("keys", w.states(), map[string]authority.KeyState{"refresh-1": authority.KeyCompromised, "refresh-2": authority.KeyActive})
	if w.keys()["refresh-1"].Sealed != nil {
		w.Error("the compromised key is still there")
	}
	use("of grants that have ended", "refresh-1", w.now, false)
	live, _, err := w.store.Live(ctx, w.now)
	w.must(err)
	if n := len(live); n != 4 {
		w.Errorf("%d live entries, want 4", n)
	}
}

// Many nodes start at once on a new store: one wins, with all of its keys.
func testKeysRace(w *world) {
	rings := []string{authority.RingAccess, authority.RingRefresh}
	winner := w.oneWins(race(20, func(i int) error {
		var keys []authority.Key
		for _, ring := range rings {
			keys = append(keys, w.newKey(ring, fmt.Sprint(ring, " of ", i), "HS256", authority.KeyActive))
		}
		return w.store.CreateKeys(w.Context(), keys, w.event(authority.EventKeyCreated))
	}), authority.ErrConflict)
	got, err := w.store.Keys(w.Context())
	w.must(err)
	if len(got) != len(rings) {
		w.Fatalf("got %d keys, want %d", len(got), len(rings))
	}
	for _, k := range got {
		if want := fmt.Sprint(k.Ring, " of ", winner); k.ID != want {
			w.Errorf("got key %s, want %s", k.ID, want)
		}
	}
}
