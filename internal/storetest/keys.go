package storetest

import (
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
)

func (w *world) newKey(ring, id, algorithm string, state authority.KeyState) authority.Key {
	return authority.Key{
		ID: id, Ring: ring, Algorithm: algorithm, State: state, Sealed: []byte{1, 0, 2, 255}, CreatedAt: w.now, ChangedAt: w.now,
	}
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
