package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

// A second kind, to see that kinds do not meet.
const otherKind authority.TicketKind = "other"

func (w *world) newTicket(key string, value string) authority.Ticket {
	return authority.Ticket{Kind: authority.TicketProof, Key: key, Value: []byte(value), ExpiresAt: w.now.Add(time.Minute)}
}

func (w *world) ticket(key string, value string) authority.Ticket {
	w.Helper()
	v := w.newTicket(key, value)
	w.must(w.store.CreateTicket(w.Context(), v, w.now))
	return v
}

// wantTicket looks it up; nil wants none.
func (w *world) wantTicket(what string, kind authority.TicketKind, key string, want *authority.Ticket) {
	w.Helper()
	got, err := w.store.Ticket(w.Context(), kind, key, w.now)
	if want == nil {
		w.want(what, err, authority.ErrNotFound)
		return
	}
	w.want(what, err, nil)
	w.same(what, got, *want)
}

func testTickets(w *world) {
	ctx := w.Context()
	w.wantTicket("absent", authority.TicketProof, "a", nil)
	a, empty := w.ticket("a", "first"), w.ticket("empty", "")
	w.wantTicket("created", authority.TicketProof, "a", &a)
	w.wantTicket("empty value", authority.TicketProof, "empty", &empty)
	w.wantTicket("another kind", otherKind, "a", nil)
	w.wantTicket("another case", authority.TicketProof, "A", nil)

	other := a
	other.Kind, other.Value = otherKind, []byte("\x00\xff other")
	w.must(w.store.CreateTicket(ctx, other, w.now))
	w.wantTicket("other kind", otherKind, "a", &other)

	again := w.newTicket("a", "second")
	w.want("taken key", w.store.CreateTicket(ctx, again, w.now), authority.ErrConflict)
	w.wantTicket("after a refusal", authority.TicketProof, "a", &a)

	got, err := w.store.TakeTicket(ctx, a.Kind, a.Key, w.now)
	w.must(err)
	w.same("taken", got, a)
	_, err = w.store.TakeTicket(ctx, a.Kind, a.Key, w.now)
	w.want("taken twice", err, authority.ErrNotFound)
	w.wantTicket("after it was taken", authority.TicketProof, "a", nil)
	w.wantTicket("the other kind", otherKind, "a", &other)
	_, err = w.store.TakeTicket(ctx, a.Kind, "absent", w.now)
	w.want("take of an absent one", err, authority.ErrNotFound)
	w.must(w.store.CreateTicket(ctx, again, w.now))
	w.wantTicket("made again", authority.TicketProof, "a", &again)
}

func testTicketBounds(w *world) {
	ctx := w.Context()
	full := w.newTicket(strings.Repeat("k", authority.MaxTicketKey), strings.Repeat("v", authority.MaxTicketValue))
	w.must(w.store.CreateTicket(ctx, full, w.now))
	w.wantTicket("as large as may be", full.Kind, full.Key, &full)
	for what, change := range map[string]func(*authority.Ticket){
		"no kind":    func(v *authority.Ticket) { v.Kind = "" },
		"no key":     func(v *authority.Ticket) { v.Key = "" },
		"long key":   func(v *authority.Ticket) { v.Key += "k" },
		"long value": func(v *authority.Ticket) { v.Value = append(bytes.Clone(v.Value), 'v') },
	} {
		bad := full
		change(&bad)
		if err := w.store.CreateTicket(ctx, bad, w.now); err == nil {
			w.Errorf("%s: created", what)
		}
		if err := w.store.SwapTicket(ctx, bad, full.Value, w.now); err == nil {
			w.Errorf("%s: swapped", what)
		}
	}
}

func testTicketExpiry(w *world) {
	ctx := w.Context()
	a := w.ticket("a", "first")
	w.now = a.ExpiresAt.Add(-time.Millisecond)
	w.wantTicket("just before", a.Kind, a.Key, &a)
	w.want("just before", w.store.CreateTicket(ctx, w.newTicket("a", "second"), w.now), authority.ErrConflict)

	w.now = a.ExpiresAt
	w.wantTicket("expired", a.Kind, a.Key, nil)
	_, err := w.store.TakeTicket(ctx, a.Kind, a.Key, w.now)
	w.want("take", err, authority.ErrNotFound)
	w.want("swap", w.store.SwapTicket(ctx, w.newTicket("a", "x"), a.Value, w.now), authority.ErrNotFound)
	second := w.ticket("a", "second") // as if it had never been there
	w.wantTicket("in its place", a.Kind, a.Key, &second)
}

func testTicketSwap(w *world) {
	ctx := w.Context()
	a := w.ticket("a", "first")
	w.want("absent", w.store.SwapTicket(ctx, w.newTicket("b", "x"), nil, w.now), authority.ErrNotFound)
	next := w.newTicket("a", "second")
	next.ExpiresAt = next.ExpiresAt.Add(time.Hour)
	w.want("another value", w.store.SwapTicket(ctx, next, []byte("firs"), w.now), authority.ErrConflict)
	w.want("no value", w.store.SwapTicket(ctx, next, nil, w.now), authority.ErrConflict)
	w.wantTicket("after refusals", a.Kind, a.Key, &a)
	w.want("swap", w.store.SwapTicket(ctx, next, a.Value, w.now), nil)
	w.wantTicket("swapped", a.Kind, a.Key, &next)
	w.want("the value before", w.store.SwapTicket(ctx, a, a.Value, w.now), authority.ErrConflict)
	empty := w.newTicket("a", "")
	w.want("to nothing", w.store.SwapTicket(ctx, empty, next.Value, w.now), nil)
	w.want("from nothing", w.store.SwapTicket(ctx, next, nil, w.now), nil)
	w.wantTicket("and back", a.Kind, a.Key, &next)
}

func testTicketRaces(w *world) {
	ctx := w.Context()
	w.ticket("neighbour", "stays")
	values := func(i int) string { return fmt.Sprint("of caller ", i) }
	winner := w.oneWins(race(100, func(i int) error {
		return w.store.CreateTicket(ctx, w.newTicket("a", values(i)), w.now)
	}), authority.ErrConflict)
	a := w.newTicket("a", values(winner))
	w.wantTicket("created", a.Kind, a.Key, &a)

	winner = w.oneWins(race(100, func(i int) error {
		return w.store.SwapTicket(ctx, w.newTicket("a", "swap "+values(i)), a.Value, w.now)
	}), authority.ErrConflict)
	swapped := w.newTicket("a", "swap "+values(winner))
	w.wantTicket("swapped", a.Kind, a.Key, &swapped)

	w.oneWins(race(100, func(int) error {
		got, err := w.store.TakeTicket(ctx, a.Kind, a.Key, w.now)
		if err == nil {
			w.same("taken", got, swapped)
		}
		return err
	}), authority.ErrNotFound)
	w.wantTicket("neighbour", a.Kind, "neighbour", &authority.Ticket{
		Kind: a.Kind, Key: "neighbour", Value: []byte("stays"), ExpiresAt: a.ExpiresAt,
	})
}

func testTicketsSwept(w *world) {
	for i := range 25 {
		w.ticket(fmt.Sprint("early ", i), "")
	}
	w.now = w.now.Add(time.Second)
	late := w.ticket("late", "")
	w.now = late.ExpiresAt.Add(-time.Second)
	w.same("not yet", w.sweepAll(0, 10).Tickets, 0)
	w.now = w.now.Add(time.Millisecond)
	w.same("in slices", w.sweepAll(0, 10).Tickets, w.swept(25))
	w.wantTicket("late", late.Kind, late.Key, &late)
	w.now = late.ExpiresAt.Add(time.Millisecond)
	w.same("the rest", w.sweepAll(0, 10).Tickets, w.swept(1))
}
