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
