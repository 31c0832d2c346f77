package storetest

import (
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// delivery is a new one that is due now.
func (w *world) delivery(lane, target string) authority.Delivery {
	made := w.made.Add(1) // ids in the order in which they are made, all in one millisecond
	return authority.Delivery{
		ID: secret.NewID(w.now.Add(time.Duration(made) * time.Microsecond)), Channel: "webhook", Target: target, Lane: lane, EventID: w.id(), EventType: authority.EventSignedIn,
		Body: []byte(`{"a":1}`), State: authority.DeliveryPending, NextAt: w.now, GiveUpAt: w.now.Add(72 * time.Hour), CreatedAt: w.now,
	}
}

func (w *world) enqueue(ds ...authority.Delivery) {
	w.Helper()
	at := w.cursor()
	w.must(w.store.Enqueue(w.Context(), at, at+1, ds))
}

func (w *world) claim(lane string, limit int) (secret.ID, []authority.Delivery) {
	w.Helper()
	claim := w.id()
	ds, err := w.store.ClaimDeliveries(w.Context(), lane, claim, w.now, w.now.Add(30*time.Second), limit)
	w.must(err)
	return claim, ds
}

func deliveryIDs(ds []authority.Delivery) []secret.ID {
	var ids []secret.ID
	for _, d := range ds {
		ids = append(ids, d.ID)
	}
	return ids
}

// A claim holds until its lease ends; then the delivery is due again.
func testClaimDeliveries(w *world) {
	ctx := w.Context()
	first, second, other := w.delivery("a", "a"), w.delivery("a", "a"), w.delivery("b", "b")
	later := w.delivery("a", "a")
	later.NextAt = w.now.Add(time.Minute)
	w.enqueue(first, second, other, later)
	w.now = w.now.Add(time.Second)

	lanes, err := w.store.Lanes(ctx, 10)
	w.must(err)
	w.same("lanes", lanes, []authority.Lane{{Name: "a", Due: epoch}, {Name: "b", Due: epoch}})
	claim, got := w.claim("a", 1)
	w.same("the longest due", deliveryIDs(got), []secret.ID{first.ID})
	w.same("as claimed", []any{got[0].Claim, got[0].Attempts, got[0].NextAt}, []any{claim, 1, w.now.Add(30 * time.Second)})
	_, got = w.claim("a", 10)
	w.same("what is left of the lane", deliveryIDs(got), []secret.ID{second.ID})
	_, got = w.claim("a", 10)
	w.same("all are claimed or not due", len(got), 0)
	lanes, err = w.store.Lanes(ctx, 10)
	w.must(err)
	w.same("lanes by what is due", lanes, []authority.Lane{{Name: "b", Due: epoch}, {Name: "a", Due: w.now.Add(30 * time.Second)}})
	lanes, err = w.store.Lanes(ctx, 1)
	w.must(err)
	w.same("one lane", len(lanes), 1)

	w.now = w.now.Add(30 * time.Second)
	again, got := w.claim("a", 10)
	w.same("claims that ran out", deliveryIDs(got), []secret.ID{first.ID, second.ID})
	w.same("attempts", got[0].Attempts, 2)
	done := authority.Attempt{ID: first.ID, Claim: claim, State: authority.DeliveryDelivered, DoneAt: w.now, Keep: w.now.Add(day)}
	w.want("finish a claim that ran out", w.store.FinishDelivery(ctx, done, nil), authority.ErrConflict)
	done.Claim = again
	w.must(w.store.FinishDelivery(ctx, done, nil))
	w.want("finish twice", w.store.FinishDelivery(ctx, done, nil), authority.ErrConflict)
}

func testClaimRace(w *world) {
	const n = 40
	var ds []authority.Delivery
	for range n {
		ds = append(ds, w.delivery("a", "a"))
	}
	w.enqueue(ds...)
	claimed := make([][]secret.ID, 10)
	for _, err := range race(len(claimed), func(i int) error {
		for range n { // enough for one caller to get all
			got, err := w.store.ClaimDeliveries(w.Context(), "a", w.id(), w.now, w.now.Add(time.Minute), 3)
			if err != nil || len(got) == 0 {
				return err
			}
			claimed[i] = append(claimed[i], deliveryIDs(got)...)
		}
		return nil
	}) {
		w.must(err)
	}
	all := slices.Concat(claimed...)
	slices.SortFunc(all, secret.ID.Compare)
	w.same("claims", len(all), n)
	w.same("deliveries", len(slices.Compact(all)), n)
}

func testFinishDelivery(w *world) {
	ctx := w.Context()
	retried, sealed, failed := w.delivery("a", "x"), w.delivery("b", "y"), w.delivery("c", "x")
	sealed.Body, sealed.Sealed, failed.Channel = nil, []byte{1, 2, 3}, "mail"
	w.enqueue(retried, sealed, failed)
	w.now = w.now.Add(time.Second)

	claim, _ := w.claim("a", 1)
	next := w.now.Add(time.Minute)
	w.must(w.store.FinishDelivery(ctx, authority.Attempt{
		ID: retried.ID, Claim: claim, State: authority.DeliveryPending, NextAt: next, Error: "refused",
	}, nil))
	retried.Attempts, retried.NextAt, retried.LastError = 1, next, "refused"
	w.wantDelivery("to be tried again", retried)

	claim, _ = w.claim("b", 1)
	w.must(w.store.FinishDelivery(ctx, authority.Attempt{
		ID: sealed.ID, Claim: claim, State: authority.DeliveryDelivered, DoneAt: w.now, Keep: w.now.Add(time.Hour),
	}, nil))
	sealed.Attempts, sealed.NextAt, sealed.State, sealed.DoneAt, sealed.Sealed = 1, w.now, authority.DeliveryDelivered, w.now, nil
	w.wantDelivery("delivered: what was sealed is gone", sealed)

	claim, _ = w.claim("c", 1)
	giveUp := authority.Attempt{
		ID: failed.ID, Claim: claim, State: authority.DeliveryFailed, DoneAt: w.now, Keep: w.now.Add(time.Hour), Error: "gone",
	}
	used := w.event(authority.EventDeliveryFailed)
	w.must(w.store.AppendEvent(ctx, used))
	w.want("with an event that cannot be written", w.store.FinishDelivery(ctx, giveUp, &used), errAny)
	e := w.event(authority.EventDeliveryFailed)
	w.must(w.store.FinishDelivery(ctx, giveUp, &e))
	failed.Attempts, failed.NextAt, failed.State, failed.DoneAt, failed.LastError = 1, w.now, authority.DeliveryFailed, w.now, "gone"
	w.wantDelivery("given up", failed)
	w.same("events", w.events(authority.EventDeliveryFailed), 2)
	lanes, err := w.store.Lanes(ctx, 10)
	w.must(err)
	w.same("lanes left", lanes, []authority.Lane{{Name: "a", Due: next}})

	for what, test := range map[string]struct {
		f    authority.DeliveryFilter
		want []authority.Delivery
	}{
		"all":              {want: []authority.Delivery{failed, sealed, retried}},
		"channel":          {authority.DeliveryFilter{Channel: "webhook"}, []authority.Delivery{sealed, retried}},
		"target":           {authority.DeliveryFilter{Channel: "webhook", Target: "x"}, []authority.Delivery{retried}},
		"failed":           {authority.DeliveryFilter{State: authority.DeliveryFailed}, []authority.Delivery{failed}},
		"pending":          {authority.DeliveryFilter{State: authority.DeliveryPending}, []authority.Delivery{retried}},
		"target and state": {authority.DeliveryFilter{Channel: "webhook", Target: "y", State: authority.DeliveryDelivered}, []authority.Delivery{sealed}},
		"failed elsewhere": {authority.DeliveryFilter{Channel: "webhook", State: authority.DeliveryFailed}, nil},
	} {
		var got []authority.Delivery
		for after := ""; ; {
			page, err := w.store.Deliveries(ctx, test.f, authority.Page{After: after, Limit: 1})
			w.must(err)
			if got = append(got, page...); len(page) == 0 {
				break
			}
			after = page[0].ID.String()
		}
		w.same(what, got, test.want)
	}

	w.want("retry what was delivered", w.store.RetryDelivery(ctx, sealed.ID, w.now, w.now.Add(day), w.event(authority.EventDeliveryRetried)), authority.ErrConflict)
	w.want("retry nothing", w.store.RetryDelivery(ctx, w.id(), w.now, w.now.Add(day), w.event(authority.EventDeliveryRetried)), authority.ErrNotFound)
	for _, d := range []*authority.Delivery{&failed, &retried} {
		w.must(w.store.RetryDelivery(ctx, d.ID, w.now, w.now.Add(day), w.event(authority.EventDeliveryRetried)))
		d.State, d.NextAt, d.GiveUpAt, d.DoneAt = authority.DeliveryPending, w.now, w.now.Add(day), time.Time{}
		w.wantDelivery("retried", *d)
	}
	w.same("events", w.events(authority.EventDeliveryRetried), 2)
	_, got := w.claim("c", 1)
	w.same("claimed again", deliveryIDs(got), []secret.ID{failed.ID})
}

func (w *world) wantDelivery(what string, want authority.Delivery) {
	w.Helper()
	got, err := w.store.Delivery(w.Context(), want.ID)
	w.must(err)
	w.same(what, got, want)
}

func testSweepDeliveries(w *world) {
	ctx := w.Context()
	var ds []authority.Delivery
	for range 6 {
		ds = append(ds, w.delivery("a", "a"))
	}
	w.enqueue(ds...)
	claim, _ := w.claim("a", 5)
	for i, d := range ds[:5] {
		state := authority.DeliveryDelivered
		if i == 4 {
			state = authority.DeliveryFailed
		}
		w.must(w.store.FinishDelivery(ctx, authority.Attempt{
			ID: d.ID, Claim: claim, State: state, DoneAt: w.now, Keep: w.now.Add(time.Duration(i) * time.Hour),
		}, nil))
	}
	w.now = w.now.Add(time.Hour)
	w.same("one is over", w.sweepAll(0, 10).Deliveries, 1)
	w.must(w.store.RetryDelivery(ctx, ds[4].ID, w.now, w.now.Add(day), w.event(authority.EventDeliveryRetried)))
	w.now = w.now.Add(1000 * time.Hour)
	w.same("all that were done with", w.sweepAll(0, 2).Deliveries, 3)
	left, err := w.store.Deliveries(ctx, authority.DeliveryFilter{}, authority.Page{})
	w.must(err)
	w.same("what is pending stays", deliveryIDs(left), []secret.ID{ds[5].ID, ds[4].ID})
}
