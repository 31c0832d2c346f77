package storetest

import (
	"errors"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func testCodes(w *world) {
	ctx := w.Context()
	s := w.session(w.account("ada").ID)
	c := w.code(s, "app")
	got, err := w.store.Code(ctx, c.ID)
	w.must(err)
	w.same("created", got, c)
	_, err = w.store.Code(ctx, w.id())
	w.want("absent", err, authority.ErrNotFound)
	again := w.newCode(s, "other")
	again.ID = c.ID
	w.want("id taken", w.store.CreateCode(ctx, again, nil, nil), authority.ErrConflict)

	w.now = c.ExpiresAt.Add(time.Hour)
	got, err = w.store.Code(ctx, c.ID)
	w.must(err)
	w.same("expired codes are found", got, c)
}

func testCodeNeedsLiveSession(w *world) {
	account := w.account("ada").ID
	ended := w.session(account)
	w.revoke(authority.Revocation{Session: ended.ID})
	live := w.session(account)
	for what, at := range map[string]struct {
		session authority.Session
		now     time.Time
	}{
		"ended":    {ended, w.now},
		"unknown":  {w.newSession(account), w.now},
		"idle out": {live, live.IdleUntil},
		"expired":  {live, live.ExpiresAt},
	} {
		c := w.newCode(at.session, "app")
		c.CreatedAt, c.ExpiresAt = at.now, at.now.Add(time.Minute)
		consent := authority.Consent{AccountID: account, ClientID: "app", CreatedAt: w.now, UpdatedAt: w.now}
		e := w.event(authority.EventConsentGranted)
		w.want(what, w.store.CreateCode(w.Context(), c, &consent, &e), authority.ErrEnded)
		_, err := w.store.Code(w.Context(), c.ID)
		w.want(what+": code", err, authority.ErrNotFound)
		_, err = w.store.Consent(w.Context(), account, "app")
		w.want(what+": consent", err, authority.ErrNotFound)
	}
	if n := w.events(authority.EventConsentGranted); n != 0 {
		w.Errorf("got %d events of refused codes, want 0", n)
	}
	c := w.newCode(live, "app")
	c.CreatedAt = live.IdleUntil.Add(-time.Millisecond)
	w.must(w.store.CreateCode(w.Context(), c, nil, nil))
}

func testCodeConsent(w *world) {
	ctx := w.Context()
	s := w.session(w.account("ada").ID)
	put := func(client string, scope ...string) authority.Consent {
		w.Helper()
		consent := authority.Consent{AccountID: s.AccountID, ClientID: client, Scope: scope, CreatedAt: w.now, UpdatedAt: w.now}
		e := w.event(authority.EventConsentGranted)
		w.must(w.store.CreateCode(ctx, w.newCode(s, client), &consent, &e))
		return consent
	}
	_, err := w.store.Consent(ctx, s.AccountID, "a")
	w.want("absent", err, authority.ErrNotFound)
	b := put("b", "openid")
	put("a", "openid")
	w.now = w.now.Add(time.Second)
	a := put("a", "openid", "reports:read")
	got, err := w.store.Consent(ctx, s.AccountID, "a")
	w.must(err)
	w.same("replaced", got, a)
	all, err := w.store.Consents(ctx, s.AccountID)
	w.must(err)
	w.same("one per pair", all, []authority.Consent{a, b})
	if n := w.events(authority.EventConsentGranted); n != 3 {
		w.Errorf("got %d events, want 3", n)
	}
}

func testRedeem(w *world) {
	ctx := w.Context()
	s := w.session(w.account("ada").ID)
	for _, offline := range []bool{false, true} {
		c := w.code(s, "app")
		r := w.redemption(c, offline)
		r.Now = c.ExpiresAt.Add(-time.Millisecond)
		w.must(w.store.Redeem(ctx, r))
		g, err := w.store.Grant(ctx, r.Grant.ID)
		w.must(err)
		w.same("grant", g, r.Grant)
		c.GrantID = r.Grant.ID
		used, err := w.store.Code(ctx, c.ID)
		w.must(err)
		w.same("code knows its grant", used, c)
		found, err := w.store.Tokens(ctx, []secret.ID{r.Token.ID})
		w.must(err)
		w.same("token", found, map[secret.ID]authority.TokenState{r.Token.ID: {Token: r.Token}})

		again := w.redemption(c, offline)
		w.want("replay", w.store.Redeem(ctx, again), authority.ErrUsed)
		again.Now = c.ExpiresAt.Add(time.Hour)
		w.want("late replay", w.store.Redeem(ctx, again), authority.ErrUsed)
		w.nothingOf("replay", again)
	}
	if n := w.events(authority.EventGrantCreated); n != 2 {
		w.Errorf("got %d events, want 2", n)
	}
}

// nothingOf wants no trace of a redemption that was refused.
func (w *world) nothingOf(what string, r authority.Redemption) {
	w.Helper()
	_, err := w.store.Grant(w.Context(), r.Grant.ID)
	w.want(what+": grant", err, authority.ErrNotFound)
	w.wantRegistered(what, false, r.Token)
}

func testRedeemRefused(w *world) {
	ctx := w.Context()
	refused := func(what string, r authority.Redemption, want error) {
		w.Helper()
		w.want(what, w.store.Redeem(ctx, r), want)
		w.nothingOf(what, r)
	}
	ada := w.account("ada")
	s := w.session(ada.ID)
	refused("unknown code", w.redemption(w.newCode(s, "app"), false), authority.ErrNotFound)

	c := w.code(s, "app")
	late := w.redemption(c, false)
	late.Now = c.ExpiresAt
	refused("expired code", late, authority.ErrNotFound)

	idle := w.newSession(ada.ID)
	idle.IdleUntil = w.now.Add(time.Second)
	w.must(w.store.CreateSession(ctx, idle, secret.ID{}, w.event(authority.EventSignedIn)))
	r := w.redemption(w.code(idle, "app"), true)
	r.Now = idle.IdleUntil
	refused("session idle out", r, authority.ErrEnded)

	foreign := w.redemption(c, false)
	foreign.Grant.SessionID = w.session(ada.ID).ID
	refused("grant of another session", foreign, authority.ErrEnded)

	w.revoke(authority.Revocation{Session: s.ID})
	refused("session ended", w.redemption(c, false), authority.ErrEnded)
	refused("session ended, offline grant", w.redemption(c, true), authority.ErrEnded)

	// A disabled account that kept one session cannot use it for new apps.
	kept := w.session(ada.ID)
	c = w.code(kept, "app")
	ada.Disabled = true
	w.revoke(authority.Revocation{Account: ada.ID, Update: &ada, ExceptSession: kept.ID})
	refused("account disabled", w.redemption(c, false), authority.ErrEnded)

	for what, r := range map[string]authority.Revocation{
		"client":  {Client: "revoked"},
		"consent": {Consent: &authority.Consent{ClientID: "revoked"}},
	} {
		s := w.session(w.account("bob of " + what).ID)
		c, other := w.code(s, "revoked"), w.code(s, "other")
		if r.Consent != nil {
			r.Consent.AccountID = s.AccountID
		}
		w.revoke(r)
		refusal := w.redemption(c, false)
		if err := w.store.Redeem(ctx, refusal); !errors.Is(err, authority.ErrNotFound) && !errors.Is(err, authority.ErrEnded) {
			w.Errorf("code of a revoked %s: got %v, want ErrNotFound or ErrEnded", what, err)
		}
		w.nothingOf("revoked "+what, refusal)
		w.must(w.store.Redeem(ctx, w.redemption(other, false)))
	}
	if n := w.events(authority.EventGrantCreated); n != 2 {
		w.Errorf("got %d events, want 2", n)
	}
}

func testRedeemRace(w *world) {
	ctx := w.Context()
	s := w.session(w.account("ada").ID)
	c := w.code(s, "app")
	tries := make([]authority.Redemption, 100)
	for i := range tries {
		tries[i] = w.redemption(c, false)
	}
	winner := w.oneWins(race(len(tries), func(i int) error { return w.store.Redeem(ctx, tries[i]) }), authority.ErrUsed)
	for i, r := range tries {
		if i != winner {
			w.nothingOf("loser", r)
		}
	}
	used, err := w.store.Code(ctx, c.ID)
	w.must(err)
	if used.GrantID != tries[winner].Grant.ID {
		w.Error("the code names another grant than the winner's")
	}
	if n := w.events(authority.EventGrantCreated); n != 1 {
		w.Errorf("got %d events, want 1", n)
	}
}

// Whoever comes first, no live grant of an ended session is left.
func testRedeemRacesRevoke(w *world) {
	ctx := w.Context()
	account := w.account("ada").ID
	for range 30 {
		s := w.session(account)
		tries := make([]authority.Redemption, 8)
		for i := range tries {
			tries[i] = w.redemption(w.code(s, "app"), false)
		}
		ends := w.revocation(authority.Revocation{Session: s.ID})
		errs := race(len(tries)+1, func(i int) error {
			if i == len(tries)/2 {
				_, err := w.store.Revoke(ctx, ends)
				return err
			}
			if i > len(tries)/2 {
				i--
			}
			return w.store.Redeem(ctx, tries[i])
		})
		w.must(errs[len(tries)/2])
		for i, r := range tries {
			at := i
			if i >= len(tries)/2 {
				at++
			}
			if errs[at] == nil {
				w.wantEnded("redeemed before the end", r.Grant.ID, true)
				continue
			}
			w.want("redeemed after the end", errs[at], authority.ErrEnded)
			w.nothingOf("redeemed after the end", r)
		}
	}
}
