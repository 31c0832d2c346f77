package storetest

import (
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func testSessions(w *world) {
	ctx := w.Context()
	s := w.session(w.account("ada").ID)
	got, err := w.store.Session(ctx, s.ID)
	w.must(err)
	w.same("created", got, s)
	_, err = w.store.Session(ctx, w.id())
	w.want("absent", err, authority.ErrNotFound)
	again := w.newSession(s.AccountID)
	again.ID = s.ID
	w.want("id taken", w.store.CreateSession(ctx, again, secret.ID{}, w.event(authority.EventSignedIn)), authority.ErrConflict)

	w.revoke(authority.Revocation{Session: s.ID})
	got, err = w.store.Session(ctx, s.ID)
	w.must(err)
	s.EndedAt, s.EndReason = w.now, "test"
	w.same("an ended session is found", got, s)
}

func testSessionTouch(w *world) {
	ctx := w.Context()
	account := w.account("ada").ID
	touched := func(s authority.Session, at time.Time) authority.Session {
		s.LastSeen, s.IdleUntil = at, at.Add(time.Hour)
		s.Last = authority.Context{Network: "203.0.113.0/24", UserAgent: "touched"}
		return s
	}
	s := w.session(account)
	moved := touched(s, s.IdleUntil.Add(-time.Millisecond))
	w.must(w.store.TouchSession(ctx, moved))
	got, err := w.store.Session(ctx, s.ID)
	w.must(err)
	w.same("touched", got, moved)

	w.want("idle too long", w.store.TouchSession(ctx, touched(moved, moved.IdleUntil)), authority.ErrEnded)
	w.want("expired", w.store.TouchSession(ctx, touched(moved, moved.ExpiresAt)), authority.ErrEnded)
	w.want("absent", w.store.TouchSession(ctx, touched(w.newSession(account), w.now)), authority.ErrEnded)
	w.revoke(authority.Revocation{Session: s.ID})
	w.want("ended", w.store.TouchSession(ctx, touched(moved, moved.LastSeen)), authority.ErrEnded)
	got, err = w.store.Session(ctx, s.ID)
	w.must(err)
	moved.EndedAt, moved.EndReason = w.now, "test"
	w.same("left alone", got, moved)
}

func testSessionReplaced(w *world) {
	ctx := w.Context()
	account := w.account("ada").ID
	w.client("app", true)
	old := w.session(account)
	bound, offline := w.grant(old, "app", false), w.grant(old, "app", true)
	elsewhere := w.grant(w.session(account), "app", false)

	for _, g := range []authority.Grant{bound, offline} { // a store may remember what was read
		w.wantEnded("before", g.ID, false)
	}

	s := w.newSession(account)
	w.must(w.store.CreateSession(ctx, s, old.ID, w.event(authority.EventSignedIn)))
	_, err := w.store.Session(ctx, old.ID)
	w.want("replaced session", err, authority.ErrNotFound)
	w.want("replaced cookie", w.store.TouchSession(ctx, old), authority.ErrEnded)

	for _, g := range []struct {
		what    string
		grant   authority.Grant
		session secret.ID
	}{
		{"its grant moved", bound, s.ID},
		{"its offline grant has no session", offline, secret.ID{}},
		{"another session's grant stayed", elsewhere, elsewhere.SessionID},
	} {
		got, err := w.store.Grant(ctx, g.grant.ID)
		w.must(err)
		g.grant.SessionID = g.session
		w.same(g.what, got, g.grant)
		w.token(g.grant.ID)
	}
	if log, err := w.store.Log(ctx, 0, 10); err != nil || len(log) != 0 {
		w.Errorf("got log %v, %v: no app is signed out", log, err)
	}

	// Ending the new session reaches what was made in the old one.
	ended := w.revoke(authority.Revocation{Session: s.ID, BrowserAll: true})
	w.same("ended", len(ended), 3)
	w.wantEnded("moved", bound.ID, true)
	w.wantEnded("offline", offline.ID, true)
	w.wantEnded("elsewhere", elsewhere.ID, false)

	w.must(w.store.CreateSession(ctx, w.newSession(account), w.id(), w.event(authority.EventSignedIn)))
}

func testSessionOfDisabledAccount(w *world) {
	a := w.account("ada")
	a.Disabled = true
	w.revoke(authority.Revocation{Account: a.ID, Update: &a})
	s := w.newSession(a.ID)
	w.want("disabled", w.store.CreateSession(w.Context(), s, secret.ID{}, w.event(authority.EventSignedIn)), authority.ErrEnded)
	_, err := w.store.Session(w.Context(), s.ID)
	w.want("not stored", err, authority.ErrNotFound)
}

func testSessionPages(w *world) {
	ada, bob := w.account("ada").ID, w.account("bob").ID
	var ofAda, all []string
	for i := range 9 {
		w.now = w.now.Add(time.Millisecond)
		account := ada
		if i%3 == 2 {
			account = bob
		}
		s := w.session(account)
		all = append(all, s.ID.String())
		if account == ada {
			ofAda = append(ofAda, s.ID.String())
		}
	}
	for _, test := range []struct {
		what    string
		account secret.ID
		want    []string
	}{{"of an account", ada, ofAda}, {"of all", secret.ID{}, all}} {
		var got []string
		for after := ""; ; {
			page, err := w.store.Sessions(w.Context(), test.account, authority.Page{After: after, Limit: 2})
			w.must(err)
			for _, s := range page {
				got = append(got, s.ID.String())
			}
			if len(page) < 2 {
				break
			}
			after = got[len(got)-1]
		}
		w.same(test.what, got, test.want)
	}
	none, err := w.store.Sessions(w.Context(), w.id(), authority.Page{})
	if err != nil || len(none) != 0 {
		w.Errorf("got %d sessions of nobody, %v", len(none), err)
	}
	if slices.Equal(ofAda, all) {
		w.Fatal("the test has no power")
	}
	_, err = w.store.Sessions(w.Context(), ada, authority.Page{After: "not an id"})
	if err == nil {
		w.Error("a page key that is no id was accepted")
	}
}
