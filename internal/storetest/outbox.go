package storetest

import (
	"context"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// eventLog reads the whole event log after a number, in pages.
func (w *world) eventLog(after uint64) []authority.LoggedEvent {
	w.Helper()
	var all []authority.LoggedEvent
	for {
		page, err := w.store.EventLog(w.Context(), after, 7)
		w.must(err)
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].Seq
	}
}

func (w *world) cursor() uint64 {
	w.Helper()
	at, err := w.store.OutboxCursor(w.Context())
	w.must(err)
	return at
}

// Every way to write an event writes it to the log, once, and in order.
func testEventLog(w *world) {
	ctx := w.Context()
	w.same("empty", len(w.eventLog(0)), 0)
	a := w.account("ada")
	w.client("app", true)
	s := w.session(a.ID)
	g := w.grant(s, "app", false)
	e := w.event(authority.EventForgedToken)
	e.AccountID, e.Reason, e.Data = a.ID, "because", map[string]string{"a": "1"}
	w.must(w.store.AppendEvent(ctx, e))
	w.want("same id", w.store.AppendEvent(ctx, e), errAny)
	w.revoke(authority.Revocation{Grant: g.ID})
	w.revoke(authority.Revocation{Grant: g.ID}) // nothing left to end

	log := w.eventLog(0)
	var types []authority.EventType
	for i, logged := range log {
		types = append(types, logged.Type)
		if i > 0 && logged.Seq <= log[i-1].Seq {
			w.Errorf("number %d comes after %d", logged.Seq, log[i-1].Seq)
		}
	}
	w.same("types", types, []authority.EventType{
		authority.EventAccountCreated, authority.EventClientCreated, authority.EventSignedIn, authority.EventGrantCreated,
		authority.EventForgedToken, authority.EventGrantEnded,
	})
	w.same("event", log[4].Event, e)
	w.same("from the middle", w.eventLog(log[3].Seq), log[4:])
}

func testEventLogWait(w *world) {
	ctx := w.Context()
	w.must(w.store.AppendEvent(ctx, w.event(authority.EventSignedIn)))
	w.must(w.store.WaitEvents(ctx, 0))
	last := w.eventLog(0)[0].Seq
	brief, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	w.want("nothing new", w.store.WaitEvents(brief, last), context.DeadlineExceeded)
	woken := make(chan error, 1)
	go func() { woken <- w.store.WaitEvents(ctx, last) }()
	w.must(w.store.AppendEvent(ctx, w.event(authority.EventSignedIn)))
	w.must(<-woken)
	w.same("new", len(w.eventLog(last)), 1)
}

// A reader that follows while many write meets every event, in rising order.
func testEventLogUnderLoad(w *world) {
	const writers, each = 8, 40
	ctx := w.Context()
	read := make(chan []secret.ID, 1)
	go func() {
		var ids []secret.ID
		for after := uint64(0); len(ids) < writers*each; {
			if w.store.WaitEvents(ctx, after) != nil {
				break
			}
			page, err := w.store.EventLog(ctx, after, 16)
			if err != nil {
				break
			}
			for _, e := range page {
				ids = append(ids, e.ID)
				after = e.Seq
			}
		}
		read <- ids
	}()
	written := make([][]secret.ID, writers)
	errs := race(writers, func(i int) error {
		for range each {
			e := w.event(authority.EventSignedIn)
			if err := w.store.AppendEvent(ctx, e); err != nil {
				return err
			}
			written[i] = append(written[i], e.ID)
		}
		return nil
	})
	for _, err := range errs {
		w.must(err)
	}
	got, want := <-read, slices.Concat(written...)
	place := map[secret.ID]int{}
	for i, id := range got {
		place[id] = i
	}
	w.same("events met", len(place), len(want))
	for _, ids := range written {
		if !slices.IsSortedFunc(ids, func(a, b secret.ID) int { return place[a] - place[b] }) {
			w.Error("one writer's events were read in another order")
		}
	}
}

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

// Of all who plan the same events one does, and all of it or nothing is stored.
func testEnqueue(w *world) {
	ctx := w.Context()
	w.same("start", w.cursor(), uint64(0))
	d := w.delivery("a", "a")
	w.enqueue(d)
	w.same("moved", w.cursor(), uint64(1))
	got, err := w.store.Delivery(ctx, d.ID)
	w.must(err)
	w.same("stored", got, d)

	late := w.delivery("a", "a")
	w.want("behind", w.store.Enqueue(ctx, 0, 5, []authority.Delivery{late}), authority.ErrConflict)
	w.want("one that is there already", w.store.Enqueue(ctx, 1, 2, []authority.Delivery{late, d}), errAny)
	w.same("still", w.cursor(), uint64(1))
	_, err = w.store.Delivery(ctx, late.ID)
	w.want("of a refused call", err, authority.ErrNotFound)

	w.oneWins(race(16, func(int) error {
		return w.store.Enqueue(ctx, 1, 9, []authority.Delivery{w.delivery("b", "b")})
	}), authority.ErrConflict)
	stats, err := w.store.DeliveryStats(ctx)
	w.must(err)
	w.same("stored by one", stats, authority.DeliveryStats{Pending: 2, Oldest: w.now})
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

// The log behind the cursor goes, and its numbers are not given out again.
func testSweepEventLog(w *world) {
	ctx := w.Context()
	for range 5 {
		w.must(w.store.AppendEvent(ctx, w.event(authority.EventSignedIn)))
	}
	log := w.eventLog(0)
	w.must(w.store.Enqueue(ctx, 0, log[2].Seq, nil))
	w.sweepAll(0, 2)
	w.same("in front of the cursor", w.eventLog(0), log[3:])
	w.must(w.store.Enqueue(ctx, log[2].Seq, log[4].Seq, nil))
	w.sweepAll(0, 2)
	w.same("nothing left", len(w.eventLog(0)), 0)
	w.must(w.store.AppendEvent(ctx, w.event(authority.EventSignedIn)))
	next := w.eventLog(log[4].Seq)
	w.same("the next is met", len(next), 1)
	w.same("events stay", w.events(authority.EventSignedIn), 6)
}

func testWebhooks(w *world) {
	ctx := w.Context()
	set := w.event(authority.EventWebhookSet)
	hook := authority.Webhook{
		Name: "b", URL: "https://example.com/hook", Events: []string{"signed_in", "grant_*"}, AllowPrivate: true,
		Secrets: []authority.WebhookSecret{
			{ID: w.id(), Sealed: []byte{1, 2}, CreatedAt: w.now}, {ID: secret.NewID(w.now.Add(-time.Hour)), Sealed: []byte{3}, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)},
		},
		CreatedAt: w.now, UpdatedAt: w.now,
	}
	w.must(w.store.PutWebhook(ctx, hook, set))
	w.want("taken", w.store.PutWebhook(ctx, hook, w.event(authority.EventWebhookSet)), authority.ErrConflict)
	hook.Version = 1
	got, err := w.store.Webhook(ctx, "b")
	w.must(err)
	w.same("created", got, hook)

	w.now = w.now.Add(time.Minute)
	hook.URL, hook.Events, hook.AllowPrivate, hook.Secrets, hook.Disabled, hook.UpdatedAt =
		"https://example.org/", []string{"*"}, false, hook.Secrets[:1], true, w.now
	w.must(w.store.PutWebhook(ctx, hook, w.event(authority.EventWebhookSet)))
	w.want("changed meanwhile", w.store.PutWebhook(ctx, hook, w.event(authority.EventWebhookSet)), authority.ErrConflict)
	hook.Version = 2
	other := authority.Webhook{Name: "a", URL: "https://example.com/", CreatedAt: w.now, UpdatedAt: w.now}
	w.must(w.store.PutWebhook(ctx, other, w.event(authority.EventWebhookSet)))
	other.Version = 1
	all, err := w.store.Webhooks(ctx)
	w.must(err)
	w.same("by name", all, []authority.Webhook{other, hook})

	unwritable := other
	unwritable.URL = "https://example.net/"
	w.want("with an event that cannot be written", w.store.PutWebhook(ctx, unwritable, set), errAny)
	w.want("likewise", w.store.DeleteWebhook(ctx, "a", set), errAny)
	got, err = w.store.Webhook(ctx, "a")
	w.must(err)
	w.same("unchanged", got, other)

	w.must(w.store.DeleteWebhook(ctx, "a", w.event(authority.EventWebhookDeleted)))
	w.want("delete again", w.store.DeleteWebhook(ctx, "a", w.event(authority.EventWebhookDeleted)), authority.ErrNotFound)
	_, err = w.store.Webhook(ctx, "a")
	w.want("deleted", err, authority.ErrNotFound)
	w.same("events", w.events(authority.EventWebhookSet), 3)
}

// Each client that wants to know is named once a session ends, however it ends,
// with the session that it was told of.
func testSessionsEndedBy(w *world) {
	ctx := w.Context()
	tell := func(s authority.Session, client string) {
		w.Helper()
		r := w.redemption(w.code(s, client), false)
		r.TellLogout = client != "quiet"
		w.must(w.store.Redeem(ctx, r))
	}
	end := func(r authority.Revocation) []authority.ClientSession {
		w.Helper()
		r = w.revocation(r)
		_, err := w.store.Revoke(ctx, r)
		w.must(err)
		ended, err := w.store.SessionsEndedBy(ctx, r.Event.ID)
		w.must(err)
		return ended
	}
	ada, ben := w.account("ada"), w.account("ben")
	one, two := w.session(ada.ID), w.session(ada.ID)
	tell(one, "app")
	tell(one, "app") // again, with another code
	tell(one, "quiet")
	tell(one, "shop")
	tell(two, "app")
	tell(w.session(ben.ID), "app")

	w.same("a grant alone", len(end(authority.Revocation{Grant: w.standing("robot").ID})), 0)
	w.same("one session", end(authority.Revocation{Session: one.ID}),
		[]authority.ClientSession{{ClientID: "app", AccountID: ada.ID, SessionID: one.ID}, {ClientID: "shop", AccountID: ada.ID, SessionID: one.ID}})
	w.same("again", len(end(authority.Revocation{Session: one.ID})), 0)

	// The browser signs in again: the app knows the old id.
	next := w.newSession(ada.ID)
	w.must(w.store.CreateSession(ctx, next, two.ID, w.event(authority.EventSignedIn)))
	tell(next, "shop")
	three := w.session(ada.ID)
	tell(three, "app")
	w.same("everywhere but one", end(authority.Revocation{Account: ada.ID, ExceptSession: three.ID}),
		[]authority.ClientSession{{ClientID: "app", AccountID: ada.ID, SessionID: two.ID}, {ClientID: "shop", AccountID: ada.ID, SessionID: next.ID}})
	w.same("everywhere", end(authority.Revocation{Account: ada.ID}), []authority.ClientSession{{ClientID: "app", AccountID: ada.ID, SessionID: three.ID}})

	left := w.session(ben.ID)
	r := w.redemption(w.code(left, "app"), false)
	r.TellLogout = true
	w.must(w.store.Redeem(ctx, r))
	revocation := w.revocation(authority.Revocation{Session: left.ID})
	_, err := w.store.Revoke(ctx, revocation)
	w.must(err)
	w.now = w.now.Add(day - time.Second)
	w.sweepAll(0, 10)
	ended, err := w.store.SessionsEndedBy(ctx, revocation.Event.ID)
	w.must(err)
	w.same("as long as the session is kept", len(ended), 1)
	w.now = w.now.Add(2 * time.Second)
	w.sweepAll(0, 10)
	ended, err = w.store.SessionsEndedBy(ctx, revocation.Event.ID)
	w.must(err)
	w.same("and no longer", len(ended), 0)
}

// What is sealed here is found by the walk over everything sealed, under the
// place that it was sealed for.
func testSealedOutbox(w *world) {
	ctx := w.Context()
	hook := authority.Webhook{
		Name: "a", URL: "https://example.com/", Events: []string{"*"}, CreatedAt: w.now, UpdatedAt: w.now,
		Secrets: []authority.WebhookSecret{{ID: w.id(), Sealed: []byte{2, 1}, CreatedAt: w.now}},
	}
	w.must(w.store.PutWebhook(ctx, hook, w.event(authority.EventWebhookSet)))
	plain, sealed := w.delivery("a", "a"), w.delivery("a", "a")
	sealed.Body, sealed.Sealed = nil, []byte{2, 2}
	w.enqueue(plain, sealed)

	got := map[string]string{}
	for after := ""; ; {
		values, next, err := w.store.Sealed(ctx, after, 1)
		w.must(err)
		for _, v := range values {
			got[v.Place] = string(v.Sealed)
			n, err := w.store.Reseal(ctx, []authority.Reseal{{Row: v.Row, Was: v.Sealed, New: append(v.Sealed, 9)}})
			w.must(err)
			w.same("resealed", n, 1)
		}
		if after = next; next == "" {
			break
		}
	}
	w.same("places", got, map[string]string{
		authority.WebhookSecretPlace(hook.Secrets[0].ID): "\x02\x01", authority.DeliveryPlace(sealed.ID): "\x02\x02",
	})
	now, err := w.store.Webhook(ctx, "a")
	w.must(err)
	w.same("secret", now.Secrets[0].Sealed, []byte{2, 1, 9})
	sealed.Sealed = []byte{2, 2, 9}
	w.wantDelivery("delivery", sealed)
}
