package storetest

import (
	"bytes"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func testSessionMove(w *world) {
	ctx := w.Context()
	s := w.session(w.account("ada").ID)
	moved := s
	moved.LastSeen = w.now.Add(time.Minute)
	moved.Last = authority.Context{Network: "203.0.113.0/24", UserAgent: "other"}
	var won int
	for _, err := range race(20, func(int) error {
		return w.store.MoveSession(ctx, moved, s.Last, w.event(authority.EventContextChanged))
	}) {
		if err == nil {
			won++
			continue
		}
		w.want("moved by another", err, authority.ErrConflict)
	}
	w.same("one of all moves is made", won, 1)
	got, err := w.store.Session(ctx, s.ID)
	w.must(err)
	w.same("moved", got, moved)
	w.same("events", w.events(authority.EventContextChanged), 1)

	w.revoke(authority.Revocation{Session: s.ID})
	w.want("ended", w.store.MoveSession(ctx, s, moved.Last, w.event(authority.EventContextChanged)), authority.ErrEnded)
	w.want("absent", w.store.MoveSession(ctx, w.newSession(s.AccountID), s.Last, w.event(authority.EventContextChanged)), authority.ErrEnded)
	w.same("events of what was not moved", w.events(authority.EventContextChanged), 1)
}

// testGrantMove: the event of a use from elsewhere is written with the use, and only then.
func testGrantMove(w *world) {
	ctx := w.Context()
	g := w.grant(w.session(w.account("ada").ID), "app", true)
	event := func() *authority.Event {
		e := w.event(authority.EventContextChanged)
		e.GrantID = g.ID
		return &e
	}
	r := w.rotation(g)
	r.Event = event()
	w.must(w.store.Rotate(ctx, r))
	w.same("rotated", w.events(authority.EventContextChanged), 1)
	again := w.rotation(g)
	again.Event = event()
	w.want("another generation", w.store.Rotate(ctx, again), authority.ErrConflict)
	w.same("not rotated", w.events(authority.EventContextChanged), 1)

	touch := &authority.GrantTouch{IdleUntil: g.IdleUntil, Last: authority.Context{Network: "192.0.2.0/24", UserAgent: "x"}, Event: event()}
	issue := authority.Issue{Token: w.newToken(g.ID), Now: w.now, Touch: touch}
	w.must(w.store.Issue(ctx, issue))
	w.same("issued", w.events(authority.EventContextChanged), 2)
	got, err := w.store.Grant(ctx, g.ID)
	w.must(err)
	w.same("last use", got.Last, touch.Last)

	// The event fails (its id is taken), and with it the call.
	stuck := w.rotation(got)
	stuck.Event = r.Event
	if err := w.store.Rotate(ctx, stuck); err == nil {
		w.Error("rotated without its event")
	}
	touch.Event, issue.Token = r.Event, w.newToken(g.ID)
	if err := w.store.Issue(ctx, issue); err == nil {
		w.Error("issued without its event")
	}
	after, err := w.store.Grant(ctx, g.ID)
	w.must(err)
	w.same("left alone", after, got)
}

func testNetworkKey(w *world) {
	key, err := w.store.NetworkKey(w.Context())
	w.must(err)
	again, err := w.store.NetworkKey(w.Context())
	w.must(err)
	w.same("the same again", again, key)
	if len(key.Clear) != 32 || bytes.Equal(key.Clear, make([]byte, 32)) || len(key.Sealed) != 0 {
		w.Errorf("the network key of a new store has %d bytes in clear, %d sealed", len(key.Clear), len(key.Sealed))
	}
	sealed := []byte{2, 0, 255}
	w.oneWins(race(8, func(int) error { return w.store.SealNetworkKey(w.Context(), sealed) }), authority.ErrConflict)
	key, err = w.store.NetworkKey(w.Context())
	w.must(err)
	w.same("sealed", key, authority.NetworkKey{Clear: []byte{}, Sealed: sealed})
	values := w.walk(10)
	w.same("met by the walk over everything sealed", values, []authority.SealedValue{{Row: values[0].Row, Place: authority.NetworkKeyPlace, Sealed: sealed}})
	n, err := w.store.Reseal(w.Context(), []authority.Reseal{{Row: values[0].Row, Was: sealed, New: []byte{2, 9}}, {Row: values[0].Row, Was: sealed, New: []byte{3}}})
	w.must(err)
	w.same("sealed again", n, 1)
	w.same("by the first", w.walk(1)[0].Sealed, []byte{2, 9})
}

func testMarks(w *world) {
	ctx := w.Context()
	ada, bob := w.account("ada").ID, w.account("bob").ID
	mark := func(name string) authority.Mark {
		digest := secret.Digest(name)
		return authority.Mark(digest[:16])
	}
	want := func(what string, account secret.ID, before bool, names ...string) {
		w.Helper()
		marks, had, err := w.store.Marks(ctx, account, w.now)
		w.must(err)
		w.same(what+": before", had, before)
		w.same(what+": number", len(marks), len(names))
		for _, name := range names {
			if marks[mark(name)].IsZero() {
				w.Errorf("%s: %s is missing", what, name)
			}
		}
	}
	want("fresh", ada, false)
	event := w.event(authority.EventNewDevice)
	w.must(w.store.KeepMarks(ctx, ada, []authority.Mark{mark("a"), mark("b")}, w.now.Add(day), 3, &event))
	want("kept", ada, true, "a", "b")
	want("another's", bob, false)
	w.same("event", w.events(authority.EventNewDevice), 1)

	// Whoever lasts longest stays.
	w.must(w.store.KeepMarks(ctx, ada, []authority.Mark{mark("a")}, w.now.Add(3*day), 3, nil))
	w.must(w.store.KeepMarks(ctx, ada, []authority.Mark{mark("c"), mark("d")}, w.now.Add(2*day), 3, nil))
	want("bounded", ada, true, "a", "c", "d")
	w.must(w.store.KeepMarks(ctx, ada, []authority.Mark{mark("a")}, w.now.Add(day), 3, nil))
	marks, _, err := w.store.Marks(ctx, ada, w.now)
	w.must(err)
	w.same("never shortened", marks[mark("a")], w.now.Add(3*day))

	if err := w.store.KeepMarks(ctx, bob, []authority.Mark{mark("x")}, w.now.Add(day), 3, &event); err == nil {
		w.Error("kept without the event")
	}
	want("nothing without the event", bob, false)

	w.now = w.now.Add(2*day + time.Millisecond)
	want("expired", ada, true, "a")
	w.same("swept", w.sweepAll(0, 1).Marks, 2)
	w.now = w.now.Add(10000 * day)
	w.same("swept too", w.sweepAll(0, 10).Marks, 1)
	want("it has signed in, for ever", ada, true)
	for i := range 30 {
		w.must(w.store.KeepMarks(ctx, bob, []authority.Mark{mark(fmt.Sprint(i))}, w.now.Add(day), 3, nil))
	}
	marks, _, err = w.store.Marks(ctx, bob, w.now)
	w.must(err)
	w.same("of many", len(marks), 3)
}
