package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func testOpenStanding(w *world) {
	ctx := w.Context()
	first := w.newStanding("robot")
	got, err := w.store.OpenStanding(ctx, first, w.event(authority.EventGrantCreated))
	w.must(err)
	w.same("stored", got, first)
	read, err := w.store.Grant(ctx, first.ID)
	w.must(err)
	w.same("read back", read, first)

	w.now = w.now.Add(time.Hour)
	w.same("there is one", w.standing("robot"), first)
	w.same("another client has its own", w.standing("other").ClientID, "other")

	w.now = first.ExpiresAt
	second := w.standing("robot")
	if second.ID == first.ID {
		w.Error("got the expired grant")
	}
	w.wantEnded("the expired one", first.ID, true)

	idle := w.newStanding("idle")
	idle.IdleUntil = w.now.Add(time.Minute)
	_, err = w.store.OpenStanding(ctx, idle, w.event(authority.EventGrantCreated))
	w.must(err)
	w.now = idle.IdleUntil
	if next := w.standing("idle"); next.ID == idle.ID {
		w.Error("got the grant that was idle too long")
	}

	w.revoke(authority.Revocation{Grant: second.ID})
	third := w.standing("robot")
	if third.ID == second.ID {
		w.Error("got the ended grant")
	}
	if n := w.events(authority.EventGrantCreated); n != 6 {
		w.Errorf("got %d events, want one for each grant: 6", n)
	}

	wrong := w.newStanding("robot")
	wrong.Type = "authorization_code"
	if _, err := w.store.OpenStanding(ctx, wrong, w.event(authority.EventGrantCreated)); err == nil {
		w.Error("a grant of another type was opened as a standing grant")
	}
}

func testOpenStandingRace(w *world) {
	grants := make([]authority.Grant, 50)
	for i, err := range race(len(grants), func(i int) error {
		var err error
		grants[i], err = w.store.OpenStanding(w.Context(), w.newStanding("robot"), w.event(authority.EventGrantCreated))
		return err
	}) {
		w.want(fmt.Sprint("caller ", i), err, nil)
		if grants[i].ID != grants[0].ID {
			w.Error("callers got different grants")
		}
	}
	live, err := w.store.Grants(w.Context(), secret.ID{}, "robot", authority.Page{})
	w.must(err)
	w.same("live grants", live, grants[:1])
	if n := w.events(authority.EventGrantCreated); n != 1 {
		w.Errorf("got %d events, want 1", n)
	}
}

func testGrantPages(w *world) {
	ctx := w.Context()
	ada, bob := w.session(w.account("ada").ID), w.session(w.account("bob").ID)
	type key struct{ account, client string }
	want := map[key][]string{}
	for i := range 12 {
		w.now = w.now.Add(time.Millisecond)
		s, client := ada, "a"
		if i%2 == 1 {
			s = bob
		}
		if i%3 == 1 {
			client = "b"
		}
		g := w.grant(s, client, i%4 == 0)
		if i == 5 {
			w.revoke(authority.Revocation{Grant: g.ID})
			continue
		}
		for _, k := range []key{{}, {account: s.ID.String()}, {client: client}, {s.ID.String(), client}} {
			want[k] = append(want[k], g.ID.String())
		}
	}
	for k, ids := range want {
		var account secret.ID
		for _, s := range []authority.Session{ada, bob} {
			if s.ID.String() == k.account {
				account = s.AccountID
			}
		}
		var got []string
		for after := ""; ; {
			page, err := w.store.Grants(ctx, account, k.client, authority.Page{After: after, Limit: 2})
			w.must(err)
			for _, g := range page {
				got = append(got, g.ID.String())
			}
			if len(page) < 2 {
				break
			}
			after = got[len(got)-1]
		}
		w.same(fmt.Sprintf("account %v client %q", !account.IsZero(), k.client), got, ids)
	}
}

func testIssue(w *world) {
	ctx := w.Context()
	g := w.grant(w.session(w.account("ada").ID), "app", false)
	uses := int64(3)
	v := w.newToken(g.ID)
	v.Uses = &uses
	zero := g.Generation
	w.must(w.store.Issue(ctx, authority.Issue{Token: v, IfGeneration: &zero, Now: g.IdleUntil.Add(-time.Millisecond)}))
	found, err := w.store.Tokens(ctx, []secret.ID{v.ID})
	w.must(err)
	w.same("state", found, map[secret.ID]authority.TokenState{v.ID: {Token: v}})
	got, err := w.store.Grant(ctx, g.ID)
	w.must(err)
	w.same("the grant is as before", got, g)

	w.now = w.now.Add(time.Minute)
	touch := authority.GrantTouch{
		IdleUntil: w.now.Add(8 * day), Last: authority.Context{Network: "203.0.113.0/24", UserAgent: "new"},
		Replays: 2, ReplayGeneration: 7,
	}
	w.must(w.store.Issue(ctx, authority.Issue{Token: w.newToken(g.ID), Now: w.now, Touch: &touch}))
	g.LastUsed, g.IdleUntil, g.Last, g.Replays, g.ReplayGeneration = w.now, touch.IdleUntil, touch.Last, 2, 7
	got, err = w.store.Grant(ctx, g.ID)
	w.must(err)
	w.same("touched", got, g)
}

// shortGrant ends by its absolute lifetime before it could be idle too long.
func (w *world) shortGrant() authority.Grant {
	w.Helper()
	g := w.newStanding("short")
	g.ExpiresAt = w.now.Add(time.Minute)
	_, err := w.store.OpenStanding(w.Context(), g, w.event(authority.EventGrantCreated))
	w.must(err)
	return g
}

func testIssueRefused(w *world) {
	ctx := w.Context()
	g := w.grant(w.session(w.account("ada").ID), "app", false)
	refused := func(what string, i authority.Issue, want error) {
		w.Helper()
		i.Touch = &authority.GrantTouch{IdleUntil: w.now.Add(99 * day), Replays: 99}
		w.want(what, w.store.Issue(ctx, i), want)
		w.wantRegistered(what, false, i.Token)
	}
	wrong := g.Generation + 1
	refused("unknown grant", authority.Issue{Token: w.newToken(w.id()), Now: w.now}, authority.ErrEnded)
	refused("idle out", authority.Issue{Token: w.newToken(g.ID), Now: g.IdleUntil}, authority.ErrEnded)
	short := w.shortGrant()
	refused("expired", authority.Issue{Token: w.newToken(short.ID), Now: short.ExpiresAt}, authority.ErrEnded)
	refused("other generation", authority.Issue{Token: w.newToken(g.ID), IfGeneration: &wrong, Now: w.now}, authority.ErrConflict)

	v := w.token(g.ID)
	w.want("token id taken", w.store.Issue(ctx, authority.Issue{Token: v, Now: w.now, Touch: &authority.GrantTouch{Replays: 99}}), authority.ErrConflict)
	got, err := w.store.Grant(ctx, g.ID)
	w.must(err)
	w.same("the grant is as before", got, g)

	w.revoke(authority.Revocation{Grant: g.ID})
	refused("ended", authority.Issue{Token: w.newToken(g.ID), Now: w.now}, authority.ErrEnded)
	refused("ended, other generation", authority.Issue{Token: w.newToken(g.ID), IfGeneration: &wrong, Now: w.now}, authority.ErrEnded)
}

// Once Revoke has answered, nothing is issued, whatever was on its way.
func testIssueAfterRevoke(w *world) {
	ctx := w.Context()
	s := w.session(w.account("ada").ID)
	for round := range 20 {
		g := w.grant(s, "app", false)
		answered := make(chan struct{})
		errs := race(24, func(i int) error {
			if i == 0 {
				defer close(answered)
				_, err := w.store.Revoke(ctx, w.revocation(authority.Revocation{Grant: g.ID}))
				return err
			}
			for {
				select {
				case <-answered:
					if _, err := w.issue(g.ID); !errors.Is(err, authority.ErrEnded) {
						return fmt.Errorf("issue after revoke had answered: %w", err)
					}
					r := authority.Rotation{Grant: g.ID, Token: w.newToken(g.ID), Now: w.now, IdleUntil: g.IdleUntil}
					if err := w.store.Rotate(ctx, r); !errors.Is(err, authority.ErrEnded) {
						return fmt.Errorf("rotate after revoke had answered: %w", err)
					}
					return nil
				default:
				}
				if _, err := w.issue(g.ID); err != nil && !errors.Is(err, authority.ErrEnded) {
					return err
				}
			}
		})
		if err := errors.Join(errs...); err != nil {
			w.Fatalf("round %d: %v", round, err)
		}
	}
}

func (w *world) rotation(g authority.Grant) authority.Rotation {
	return authority.Rotation{
		Grant: g.ID, From: g.Generation, RefreshKey: "refresh-2", Token: w.newToken(g.ID), Now: w.now,
		IdleUntil: w.now.Add(7 * day), Last: authority.Context{Network: "203.0.113.0/24", UserAgent: "rotated"},
		Steps: append([]time.Time{w.now}, g.Steps...), KeyThumbprint: "thumbprint of " + w.now.String(),
	}
}

func testRotate(w *world) {
	ctx := w.Context()
	g := w.grant(w.session(w.account("ada").ID), "app", true)
	for range 3 {
		w.now = w.now.Add(time.Hour)
		r := w.rotation(g)
		w.must(w.store.Rotate(ctx, r))
		g.Generation++
		g.RefreshKey, g.RotatedAt, g.LastUsed, g.IdleUntil, g.Last, g.Steps = r.RefreshKey, w.now, w.now, r.IdleUntil, r.Last, r.Steps
		g.KeyThumbprint = r.KeyThumbprint
		got, err := w.store.Grant(ctx, g.ID)
		w.must(err)
		w.same("rotated", got, g)
		w.wantRegistered("its token", true, r.Token)
	}
}

func testRotateRefused(w *world) {
	ctx := w.Context()
	g := w.grant(w.session(w.account("ada").ID), "app", true)
	refused := func(what string, r authority.Rotation, want error) {
		w.Helper()
		w.want(what, w.store.Rotate(ctx, r), want)
		w.wantRegistered(what, false, r.Token)
	}
	unknown, ahead, late, expired := w.rotation(g), w.rotation(g), w.rotation(g), w.rotation(g)
	unknown.Grant = w.id()
	refused("unknown grant", unknown, authority.ErrEnded)
	ahead.From++
	refused("generation ahead", ahead, authority.ErrConflict)
	late.Now = g.IdleUntil
	refused("idle out", late, authority.ErrEnded)
	short := w.shortGrant()
	expired.Grant, expired.Now = short.ID, short.ExpiresAt
	refused("expired", expired, authority.ErrEnded)

	taken := w.rotation(g)
	taken.Token = w.token(g.ID)
	w.want("token id taken", w.store.Rotate(ctx, taken), authority.ErrConflict)
	got, err := w.store.Grant(ctx, g.ID)
	w.must(err)
	w.same("the grant is as before", got, g)

	w.revoke(authority.Revocation{Grant: g.ID})
	refused("ended", w.rotation(g), authority.ErrEnded)
}

func testRotateRace(w *world) {
	ctx := w.Context()
	g := w.grant(w.session(w.account("ada").ID), "app", true)
	for range 5 {
		tries := make([]authority.Rotation, 50)
		for i := range tries {
			tries[i] = w.rotation(g)
		}
		winner := w.oneWins(race(len(tries), func(i int) error { return w.store.Rotate(ctx, tries[i]) }), authority.ErrConflict)
		for i, r := range tries {
			w.wantRegistered("token", i == winner, r.Token)
		}
		got, err := w.store.Grant(ctx, g.ID)
		w.must(err)
		if got.Generation != g.Generation+1 {
			w.Fatalf("got generation %d, want %d", got.Generation, g.Generation+1)
		}
		g = got
	}
}

func testTokens(w *world) {
	ctx := w.Context()
	s := w.session(w.account("ada").ID)
	live, ended := w.grant(s, "app", false), w.grant(s, "app", false)
	want := map[secret.ID]authority.TokenState{}
	var ids []secret.ID
	for i := range 300 {
		g := live
		if i%3 == 0 {
			g = ended
		}
		v := w.token(g.ID)
		state := authority.TokenState{Token: v}
		if i%3 == 0 {
			state.GrantEnded, state.GrantReason = true, "test"
		}
		want[v.ID] = state
		ids = append(ids, v.ID, w.id()) // every other one is unknown
	}
	w.revoke(authority.Revocation{Grant: ended.ID})
	got, err := w.store.Tokens(ctx, ids)
	w.must(err)
	w.same("states", got, want)
	slices.Reverse(ids)
	got, err = w.store.Tokens(ctx, slices.Concat(ids, ids))
	w.must(err)
	w.same("states, asked for twice", got, want)

	for _, none := range [][]secret.ID{nil, {w.id()}, {w.id(), w.id()}} {
		got, err := w.store.Tokens(ctx, none)
		if err != nil || got == nil || len(got) != 0 {
			w.Errorf("%d unknown ids: got %v, %v", len(none), got, err)
		}
	}
}
