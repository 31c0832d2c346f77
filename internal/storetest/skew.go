package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// Skew makes calls at two handles of one database whose callers' clocks differ, as
// those of two nodes do. Each judges by its own clock, and what one of them has
// ended or removed stays so for the other: nothing comes back to life.
func Skew(t *testing.T, open func(t *testing.T) (a, b authority.Store)) {
	for _, ahead := range []time.Duration{5 * time.Second, time.Hour} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			a, b := open(t)
			late, early := &world{T: t, store: a, now: epoch}, &world{T: t, store: b, now: epoch.Add(ahead)}
			for name, test := range map[string]func(late, early *world){
				"tokens": skewedTokens, "standing grants": skewedStanding, "codes": skewedCodes, "tickets": skewedTickets, "ended": skewedEnds,
			} {
				late.now, early.now = late.now.Add(2*time.Hour), late.now.Add(2*time.Hour+ahead)
				t.Log(name)
				test(late, early)
			}
		})
	}
}

// A token lives until its expiry by the clock of who asks, and no clock lengthens it.
func skewedTokens(late, early *world) {
	v := late.counted(late.standing("robot").ID, 9)
	early.now = v.ExpiresAt
	early.want("used at its end", early.consume(newUse(v))[0], authority.ErrNotFound)
	late.now = v.ExpiresAt.Add(-time.Millisecond)
	late.want("used before its end", late.consume(newUse(v))[0], nil)
	late.now = v.ExpiresAt
	late.want("used at its end by the slower clock", late.consume(newUse(v))[0], authority.ErrNotFound)
	early.now = v.ExpiresAt.Add(time.Minute)
	early.sweepAll(0, 100)
	late.now = v.ExpiresAt.Add(-time.Minute)
	late.want("used after it was removed, by a clock that stepped back", late.consume(newUse(v))[0], authority.ErrNotFound)
	if late.registered(v) {
		late.Error("a token came back")
	}
}

// A standing grant that has run out by one clock is replaced, and ended for all.
func skewedStanding(late, early *world) {
	old := late.standing("skewed")
	early.now = old.IdleUntil
	replaced := early.standing("skewed")
	if replaced.ID == old.ID {
		early.Error("a grant that was idle for too long was handed out")
	}
	late.now = old.IdleUntil.Add(-time.Second)
	if _, err := late.issue(old.ID); !errors.Is(err, authority.ErrEnded) {
		late.Errorf("issued under a grant that the faster clock has replaced: %v", err)
	}
	if got := late.standing("skewed"); got.ID != replaced.ID {
		late.Error("the clocks have a standing grant each")
	}
}

// A code is redeemed by nobody whose clock says that it has expired, and once.
func skewedCodes(late, early *world) {
	c := late.code(late.session(late.account("ada"+late.id().String()).ID), "app")
	early.now = c.ExpiresAt
	early.want("redeemed at its end", early.store.Redeem(early.Context(), early.redemption(c, true)), authority.ErrNotFound)
	late.now = c.ExpiresAt.Add(-time.Second)
	late.must(late.store.Redeem(late.Context(), late.redemption(c, true)))
	early.want("redeemed again", early.store.Redeem(early.Context(), early.redemption(c, true)), authority.ErrUsed)
}

// A ticket that has run out by one clock may be made anew there: then the other
// finds the new one, and never the old.
func skewedTickets(late, early *world) {
	v := late.ticket("skewed", "old")
	early.now = v.ExpiresAt
	early.wantTicket("at its end", v.Kind, v.Key, nil)
	anew := early.ticket("skewed", "new")
	late.now = v.ExpiresAt.Add(-time.Second)
	late.wantTicket("made anew", v.Kind, v.Key, &anew)
	got, err := late.store.TakeTicket(late.Context(), v.Kind, v.Key, late.now)
	late.must(err)
	late.same("taken", got, anew)
	early.wantTicket("taken by the other", v.Kind, v.Key, nil)
}

// What has been revoked by one clock is dead by every other, also by one that is so
// far behind that it was not made yet, and after the upkeep of one that is ahead.
func skewedEnds(late, early *world) {
	g := early.grant(early.session(early.account("bob"+early.id().String()).ID), "app", true)
	v := early.token(g.ID)
	late.revoke(authority.Revocation{Grant: g.ID})
	for _, w := range []*world{late, early} {
		if _, err := w.issue(g.ID); !errors.Is(err, authority.ErrEnded) {
			w.Errorf("issued under a revoked grant: %v", err)
		}
		w.want("rotated", w.store.Rotate(w.Context(), w.rotation(g)), authority.ErrEnded)
	}
	early.now = early.now.Add(31 * day)
	early.sweepAll(0, 100)
	found, err := late.store.Tokens(late.Context(), []secret.ID{v.ID})
	late.must(err)
	if state, there := found[v.ID]; there && !state.GrantEnded {
		late.Error("a token of a revoked grant is alive again")
	}
	late.want("rotated after upkeep", late.store.Rotate(late.Context(), late.rotation(g)), authority.ErrEnded)
}
