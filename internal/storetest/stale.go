package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

// A change of claims marks every live grant of the account, no other one, and
// the log tells of each what version of the account it needs.
func testChangeClaims(w *world) {
	ctx := w.Context()
	ada, bob := w.account("ada"), w.account("bob")
	s := w.session(ada.ID)
	in, offline, ended := w.grant(s, "app", false), w.grant(s, "app", true), w.grant(s, "other", false)
	w.revoke(authority.Revocation{Grant: ended.ID})
	foreign := w.grant(w.session(bob.ID), "app", false)
	_, before, err := w.store.Head(ctx)
	w.must(err)

	changed := ada
	changed.Name, changed.UpdatedAt = "Ada, Countess", w.now
	keep := w.now.Add(time.Hour)
	w.must(w.store.ChangeClaims(ctx, changed, keep, w.event(authority.EventAccountUpdated)))
	changed.Version++
	got, err := w.store.Account(ctx, ada.ID)
	w.must(err)
	w.same("account", got, changed)
	log, err := w.store.Log(ctx, before, 100)
	w.must(err)
	var told []string
	for _, e := range log {
		told = append(told, fmt.Sprint(e.Kind, " ", e.ID, " ", string(e.Data), " ", e.Until.Equal(keep)))
	}
	want := []string{
		fmt.Sprint("grant_stale ", in.ID, ` {"ver":2} true`), fmt.Sprint("grant_stale ", offline.ID, ` {"ver":2} true`),
	}
	slices.Sort(told)
	slices.Sort(want)
	w.same("log", told, want)
	for _, test := range []struct {
		what  string
		grant authority.Grant
		stale bool
	}{{"of the session", in, true}, {"offline", offline, true}, {"ended", ended, false}, {"of another person", foreign, false}} {
		g, err := w.store.Grant(ctx, test.grant.ID)
		w.must(err)
		if g.Stale != test.stale {
			w.Errorf("grant %s: stale %v, want %v", test.what, g.Stale, test.stale)
		}
		w.wantEnded(test.what, test.grant.ID, test.what == "ended")
	}

	// Nothing is marked by a change that is refused.
	w.want("version moved", w.store.ChangeClaims(ctx, ada, keep, w.event(authority.EventAccountUpdated)), authority.ErrConflict)
	taken := changed
	taken.Login = bob.Login
	w.want("login taken", w.store.ChangeClaims(ctx, taken, keep, w.event(authority.EventAccountUpdated)), authority.ErrConflict)
	if _, seq, err := w.store.Head(ctx); err != nil || seq != before+2 {
		w.Errorf("after refusals: head %d, %v, want %d", seq, err, before+2)
	}
	if n := w.events(authority.EventAccountUpdated); n != 1 {
		w.Errorf("%d events, want 1", n)
	}

	// A refresh clears the mark.
	w.must(w.store.Rotate(ctx, authority.Rotation{
		Grant: in.ID, From: in.Generation, RefreshKey: "k", Token: w.newToken(in.ID), Now: w.now, IdleUntil: w.now.Add(time.Hour),
	}))
	g, err := w.store.Grant(ctx, in.ID)
	w.must(err)
	if g.Stale {
		w.Error("the grant is stale after a refresh")
	}
}
