package storetest

import (
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func (w *world) newDataKey(master string) authority.DataKey {
	w.now = w.now.Add(time.Second)
	return authority.DataKey{ID: w.id(), Master: master, Wrapped: []byte{1, 0, 255}, CreatedAt: w.now, WrappedAt: w.now}
}

func testDataKeys(w *world) {
	ctx := w.Context()
	none, err := w.store.DataKeys(ctx)
	w.must(err)
	w.same("a new store", none, []authority.DataKey{})
	a, b := w.newDataKey("key:a"), w.newDataKey("key:a")
	add := func(k authority.DataKey, after secret.ID) error {
		return w.store.AddDataKey(ctx, k, after, w.event(authority.EventDataKeyCreated))
	}
	w.want("after one that is not there", add(a, b.ID), authority.ErrConflict)
	w.must(add(a, secret.ID{}))
	w.want("a second first one", add(b, secret.ID{}), authority.ErrConflict)
	w.must(add(b, a.ID))
	w.want("after one that is not the newest", add(w.newDataKey("key:a"), a.ID), authority.ErrConflict)
	older := a
	older.ID[0]--
	w.want("one that would sort before the newest", add(older, b.ID), authority.ErrConflict)

	was := a.Wrapped
	a.Master, a.Wrapped, a.WrappedAt = "key:b", []byte{9}, w.now.Add(time.Hour)
	w.must(w.store.RewrapDataKey(ctx, a, was, w.event(authority.EventDataKeyRewrapped)))
	w.want("wrapped by somebody else meanwhile", w.store.RewrapDataKey(ctx, a, was, w.event(authority.EventDataKeyRewrapped)), authority.ErrConflict)
	w.want("rewrap an absent one", w.store.RewrapDataKey(ctx, w.newDataKey("x"), was, w.event(authority.EventDataKeyRewrapped)), authority.ErrNotFound)
	got, err := w.store.DataKeys(ctx)
	w.must(err)
	w.same("both, the older first", got, []authority.DataKey{a, b})

	remove := func(id secret.ID) error {
		return w.store.RemoveDataKey(ctx, id, w.event(authority.EventDataKeyRemoved))
	}
	w.want("remove the newest", remove(b.ID), authority.ErrConflict)
	w.must(remove(a.ID))
	w.want("remove it again", remove(a.ID), authority.ErrNotFound)
	for kind, want := range map[authority.EventType]int{
		authority.EventDataKeyCreated: 2, authority.EventDataKeyRewrapped: 1, authority.EventDataKeyRemoved: 1,
	} {
		if n := w.events(kind); n != want {
			w.Errorf("got %d events %s, want %d", n, kind, want)
		}
	}
}

// Many nodes start at once on a new store: one makes the data key.
func testDataKeysRace(w *world) {
	keys := make([]authority.DataKey, 20)
	for i := range keys {
		keys[i] = w.newDataKey("key:a")
	}
	winner := w.oneWins(race(len(keys), func(i int) error {
		return w.store.AddDataKey(w.Context(), keys[i], secret.ID{}, authority.Event{ID: keys[i].ID, Type: authority.EventDataKeyCreated, Actor: authority.System})
	}), authority.ErrConflict)
	got, err := w.store.DataKeys(w.Context())
	w.must(err)
	w.same("the winner's", got, keys[winner:winner+1])
}

// sealKeys stores n keys of several rings and returns what is sealed, by place.
func (w *world) sealKeys(n int, sealed func(i int) []byte) map[string][]byte {
	w.Helper()
	want := map[string][]byte{}
	var keys []authority.Key
	for i := range n {
		k := w.newKey(fmt.Sprintf("ring%d", i%3), fmt.Sprintf("key%03d", i), "HS256", authority.KeyStaged)
		k.Sealed = sealed(i)
		want["key/"+k.Ring+"/"+k.ID] = k.Sealed
		keys = append(keys, k)
	}
	w.must(w.store.CreateKeys(w.Context(), keys, w.event(authority.EventKeyCreated)))
	return want
}

// walk reads every sealed value in slices.
func (w *world) walk(limit int) []authority.SealedValue {
	w.Helper()
	var all []authority.SealedValue
	after := ""
	for {
		values, next, err := w.store.Sealed(w.Context(), after, limit)
		w.must(err)
		if len(values) > limit {
			w.Fatalf("a slice of %d, want at most %d", len(values), limit)
		}
		if all = append(all, values...); next == "" {
			return all
		}
		after = next
	}
}

func testSealed(w *world) {
	if got := w.walk(10); len(got) != 0 {
		w.Errorf("%d sealed values in a new store", len(got))
	}
	want := w.sealKeys(25, func(i int) []byte { return fmt.Appendf([]byte{1}, "%d", i) })
	for _, limit := range []int{1, 5, 25, 100} {
		got := map[string][]byte{}
		for _, v := range w.walk(limit) {
			if got[v.Place] != nil {
				w.Errorf("slices of %d: %s comes twice", limit, v.Place)
			}
			got[v.Place] = v.Sealed
		}
		w.same(fmt.Sprintf("slices of %d", limit), got, want)
	}
	if _, _, err := w.store.Sealed(w.Context(), "nonsense", 1); err == nil {
		w.Error("a row that is none was accepted")
	}
}

func testReseal(w *world) {
	ctx := w.Context()
	old, current := w.newDataKey("key:a"), w.newDataKey("key:a")
	w.must(w.store.AddDataKey(ctx, old, secret.ID{}, w.event(authority.EventDataKeyCreated)))
	w.must(w.store.AddDataKey(ctx, current, old.ID, w.event(authority.EventDataKeyCreated)))
	under := func(k authority.DataKey, i int) []byte { return fmt.Appendf(append([]byte{2}, k.ID[:]...), "%d", i) }
	w.sealKeys(6, func(i int) []byte { return under(old, i) })
	remove := func() error {
		return w.store.RemoveDataKey(ctx, old.ID, w.event(authority.EventDataKeyRemoved))
	}
	w.want("remove a data key in use", remove(), authority.ErrConflict)

	values := w.walk(100)
	var changes []authority.Reseal
	for i, v := range values {
		changes = append(changes, authority.Reseal{Row: v.Row, Was: v.Sealed, New: under(current, i)})
	}
	changes[2].Was = []byte{2, 3} // somebody else was faster
	n, err := w.store.Reseal(ctx, changes)
	w.must(err)
	if n != 5 {
		w.Errorf("%d replaced, want 5", n)
	}
	w.want("remove a data key with one value left", remove(), authority.ErrConflict)
	for i, v := range w.walk(2) {
		want := under(current, i)
		if i == 2 {
			want = values[2].Sealed
		}
		w.same(v.Place, v.Sealed, want)
	}
	changes[2].Was = values[2].Sealed
	n, err = w.store.Reseal(ctx, changes)
	w.must(err)
	if n != 1 {
		w.Errorf("%d replaced the second time, want 1", n)
	}
	w.must(remove())
	if _, err := w.store.Reseal(ctx, []authority.Reseal{{Row: "nonsense"}}); err == nil {
		w.Error("a row that is none was accepted")
	}
}
