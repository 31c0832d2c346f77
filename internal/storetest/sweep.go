package storetest

import (
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// tokenOf registers a token made now that lives for a given time.
func (w *world) tokenOf(grant secret.ID, lives time.Duration) authority.Token {
	w.Helper()
	v := w.newToken(grant)
	v.ExpiresAt = w.now.Add(lives)
	w.must(w.store.Issue(w.Context(), authority.Issue{Token: v, Now: w.now}))
	return v
}

func testSweepTokens(w *world) {
	g := w.standing("robot")
	long, short := w.tokenOf(g.ID, 24*time.Hour), w.tokenOf(g.ID, time.Minute)
	w.same("nothing to do", w.sweepAll(0, 10), authority.Swept{})

	w.now = w.now.Add(time.Minute - time.Millisecond)
	w.same("not yet", w.sweepAll(0, 10), authority.Swept{})
	w.wantRegistered("not yet", true, long, short)

	w.now = w.now.Add(2 * time.Millisecond)
	w.same("one expired", w.sweepAll(0, 10), authority.Swept{Tokens: w.swept(1)})
	w.wantRegistered("long", true, long)
	w.wantSwept("short", short)

	// Shorter lives than any before are found as soon as they are over.
	brief, usual := w.tokenOf(g.ID, time.Second), w.tokenOf(g.ID, life)
	w.now = w.now.Add(time.Second + time.Millisecond)
	w.same("a brief one", w.sweepAll(0, 10), authority.Swept{Tokens: w.swept(1)})
	w.wantSwept("brief", brief)
	w.wantRegistered("others", true, long, usual)
	w.now = w.now.Add(24 * time.Hour)
	w.same("all", w.sweepAll(0, 10), authority.Swept{Tokens: w.swept(2)})
}

// Slices are bounded, come to an end, and find short-lived tokens behind any
// number of long-lived ones.
func testSweepManyTokens(w *world) {
	g := w.standing("robot")
	var live, dead []authority.Token
	for i := range 300 {
		w.now = w.now.Add(time.Millisecond)
		if i < 150 || i%3 == 0 {
			live = append(live, w.tokenOf(g.ID, 10*time.Hour))
		} else {
			dead = append(dead, w.tokenOf(g.ID, time.Minute))
		}
	}
	w.now = w.now.Add(time.Hour)
	for _, want := range []int{w.swept(len(dead)), 0} {
		w.same("removed", w.sweepAll(0, 7).Tokens, want)
	}
	w.wantRegistered("live", true, live...)
	w.wantSwept("dead", dead...)
	w.now = w.now.Add(10 * time.Hour)
	w.same("the rest", w.sweepAll(0, 7).Tokens, w.swept(len(live)))
}

func testSweepRecords(w *world) {
	ctx := w.Context()
	account := w.account("ada").ID
	used, unused, ended := w.session(account), w.session(account), w.session(account)
	usedGrant, unusedGrant, endedGrant := w.grant(used, "app", false), w.grant(used, "app", true), w.grant(ended, "app", false)
	code := w.code(used, "app")
	w.revoke(authority.Revocation{Session: ended.ID})

	sessions := func(want map[string]authority.Session, gone ...authority.Session) {
		w.Helper()
		for what, s := range want {
			_, err := w.store.Session(ctx, s.ID)
			w.want(what+" session", err, nil)
		}
		for _, s := range gone {
			_, err := w.store.Session(ctx, s.ID)
			w.want("session that had to go", err, authority.ErrNotFound)
		}
	}

	w.now = code.ExpiresAt
	w.same("codes are found up to their expiry", w.sweepAll(0, 10), authority.Swept{})
	w.now = w.now.Add(time.Millisecond)
	w.same("codes", w.sweepAll(0, 2).Codes, 4)

	// The session is used until its absolute end, the grant for 8 days.
	w.now = epoch.Add(30 * time.Minute)
	for w.now.Before(used.ExpiresAt) {
		used.LastSeen, used.IdleUntil = w.now, w.now.Add(time.Hour)
		w.must(w.store.TouchSession(ctx, used))
		w.now = w.now.Add(30 * time.Minute)
	}
	w.now = epoch.Add(day - time.Millisecond)
	w.sweepAll(0, 10)
	sessions(map[string]authority.Session{"ended": ended, "unused": unused, "used": used})
	w.wantEnded("for a day", endedGrant.ID, true)

	w.now = epoch.Add(day + time.Millisecond)
	w.same("a day after the end", w.sweepAll(0, 10), authority.Swept{Sessions: 1, Grants: 1})
	sessions(map[string]authority.Session{"unused": unused, "used": used}, ended)
	_, err := w.store.Grant(ctx, endedGrant.ID)
	w.want("ended grant", err, authority.ErrNotFound)

	w.now = unused.IdleUntil.Add(day + time.Millisecond)
	w.same("a day after it was idle", w.sweepAll(0, 10), authority.Swept{Sessions: 1})
	sessions(map[string]authority.Session{"used": used}, unused)
	w.now = used.ExpiresAt.Add(day)
	w.same("the used one stays for its day", w.sweepAll(0, 10), authority.Swept{})
	w.now = used.ExpiresAt.Add(day + time.Millisecond)
	w.same("and goes", w.sweepAll(0, 10), authority.Swept{Sessions: 1})

	for range 8 {
		r := w.rotation(usedGrant)
		w.must(w.store.Rotate(ctx, r))
		usedGrant.Generation++
		usedGrant.IdleUntil = r.IdleUntil
		w.now = w.now.Add(day)
	}
	got := w.sweepAll(0, 1)
	w.same("the unused grant", got.Grants, 1)
	_, err = w.store.Grant(ctx, unusedGrant.ID)
	w.want("unused grant", err, authority.ErrNotFound)
	w.wantEnded("used grant", usedGrant.ID, false)
	w.now = usedGrant.IdleUntil.Add(day)
	w.same("grants while they may be asked for", w.sweepAll(0, 10).Grants, 0)

	// Its row may go before a long-lived token's: the token is dead then.
	late := authority.Issue{Token: w.newToken(usedGrant.ID), Now: usedGrant.IdleUntil.Add(-time.Millisecond)}
	late.Token.ExpiresAt = w.now.Add(30 * day)
	w.must(w.store.Issue(ctx, late))
	w.now = w.now.Add(time.Millisecond)
	w.same("the used grant", w.sweepAll(0, 10).Grants, 1)
	states, err := w.store.Tokens(ctx, []secret.ID{late.Token.ID})
	w.must(err)
	if state, ok := states[late.Token.ID]; !ok || !state.GrantEnded {
		w.Errorf("got state %+v of a token whose grant is gone", state)
	}
}

func testSweepLog(w *world) {
	ctx := w.Context()
	var all []authority.LogEntry
	for i := range 5 {
		w.now = w.now.Add(time.Second)
		all = append(all, w.revoke(authority.Revocation{Grant: w.standing(fmt.Sprint("robot ", i)).ID})...)
	}
	w.now = all[2].Until
	w.same("two are over", w.sweepAll(0, 1).LogEntries, 2)
	got, err := w.store.Log(ctx, 0, 10)
	w.must(err)
	w.same("the rest", got, all[2:])
	_, err = w.store.Revoked(ctx, authority.KindGrant, all[0].ID)
	w.want("swept entry", err, authority.ErrNotFound)

	w.now = all[4].Until.Add(time.Second)
	w.same("all are over", w.sweepAll(0, 10).LogEntries, 3)
	_, seq, err := w.store.Head(ctx)
	w.must(err)
	w.same("head of a swept log", seq, uint64(5))
	next := w.revoke(authority.Revocation{Grant: w.standing("robot").ID})
	w.same("numbers go on", next[0].Seq, uint64(6))
}

func testSweepEvents(w *world) {
	ctx := w.Context()
	for range 5 {
		w.must(w.store.AppendEvent(ctx, w.event(authority.EventSignedIn)))
		w.now = w.now.Add(day)
	}
	w.same("kept forever", w.sweepAll(0, 10).Events, 0)
	w.same("older than that", w.sweepAll(4*day-time.Hour, 10).Events, 2)
	w.same("left", w.events(authority.EventSignedIn), 3)
	w.same("slices", w.sweepAll(time.Hour, 1).Events, 3)
}
