package storetest

import (
	"errors"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// counted registers a token that can be used n times.
func (w *world) counted(grant secret.ID, n int64) authority.Token {
	w.Helper()
	v := w.newToken(grant)
	v.Uses = &n
	w.must(w.store.Issue(w.Context(), authority.Issue{Token: v, Now: w.now}))
	return v
}

func newUse(v authority.Token) authority.Use {
	return authority.Use{Token: v.ID, Digest: v.Digest, Request: [16]byte(secret.Bytes(16))}
}

// consume returns the outcome of each use.
func (w *world) consume(uses ...authority.Use) []error {
	w.Helper()
	outcomes, err := w.store.Consume(w.Context(), uses, w.now)
	w.must(err)
	if len(outcomes) != len(uses) {
		w.Fatalf("got %d outcomes for %d uses", len(outcomes), len(uses))
	}
	return outcomes
}

func (w *world) wantLeft(v authority.Token, want int64) {
	w.Helper()
	found, err := w.store.Tokens(w.Context(), []secret.ID{v.ID})
	w.must(err)
	switch got := found[v.ID].Uses; {
	case got == nil:
		w.Error("the token is not counted")
	case *got != want:
		w.Errorf("got %d uses left, want %d", *got, want)
	}
}

func testConsume(w *world) {
	g := w.standing("robot")
	v, other := w.counted(g.ID, 3), w.counted(g.ID, 1)
	w.wantLeft(v, 3)
	lost := newUse(v)
	w.want("first", w.consume(lost)[0], nil)
	for range 3 { // its answer was lost
		w.want("asked again", w.consume(lost)[0], nil)
	}
	w.wantLeft(v, 2)

	outcomes := w.consume(newUse(v), lost, newUse(other), newUse(v), newUse(v), newUse(other), lost)
	for i, want := range []error{nil, nil, nil, nil, authority.ErrUsed, authority.ErrUsed, nil} {
		w.want("together", outcomes[i], want)
	}
	w.wantLeft(v, 0)
	w.wantLeft(other, 0)
	w.want("a request counts for its own token only", w.consume(authority.Use{Token: other.ID, Digest: other.Digest, Request: lost.Request})[0], authority.ErrUsed)
	w.consume()
}

func testConsumeRace(w *world) {
	g := w.standing("robot")
	v := w.counted(g.ID, 10)
	errs := race(100, func(int) error {
		uses := []authority.Use{newUse(v), newUse(v)}
		uses = append(uses, uses...) // each is asked twice
		outcomes, err := w.store.Consume(w.Context(), uses, w.now)
		if err != nil {
			return err
		}
		for i := range 2 {
			if !errors.Is(outcomes[i], outcomes[i+2]) {
				w.Errorf("one request, two outcomes: %v and %v", outcomes[i], outcomes[i+2])
			}
		}
		return errors.Join(outcomes[:2]...)
	})
	w.wantLeft(v, 0)
	failed := 0
	for _, err := range errs {
		if err != nil {
			failed++
			w.want("outcome", err, authority.ErrUsed)
		}
	}
	if failed < 90 {
		w.Errorf("%d of 100 callers got less than two uses, want at least 90", failed)
	}
}

func testConsumeRefused(w *world) {
	g, ended := w.standing("robot"), w.standing("gone")
	v, dead, revoked, free := w.counted(g.ID, 5), w.counted(ended.ID, 5), w.counted(g.ID, 5), w.token(g.ID)
	burnt := newUse(revoked)
	w.want("before its end", w.consume(burnt)[0], nil)
	w.revoke(authority.Revocation{Grant: ended.ID})
	w.revoke(authority.Revocation{Token: &revoked})
	unknown := newUse(v)
	unknown.Token = w.id()
	forged := newUse(v)
	forged.Digest[0] ^= 1
	outcomes := w.consume(unknown, forged, newUse(dead), newUse(revoked), burnt, newUse(free))
	for i, want := range []error{authority.ErrNotFound, authority.ErrNotFound, authority.ErrEnded, authority.ErrNotFound, authority.ErrNotFound, authority.ErrConflict} {
		w.want("refused", outcomes[i], want)
	}
	w.wantLeft(v, 5)
	w.now = v.ExpiresAt
	w.want("expired", w.consume(newUse(v))[0], authority.ErrNotFound)
}

// What was counted goes with the token, and not before.
func testConsumeSwept(w *world) {
	g := w.standing("robot")
	first, second := w.counted(g.ID, 2), w.counted(g.ID, 2)
	long := w.newToken(g.ID)
	n := int64(2)
	long.Uses, long.ExpiresAt = &n, w.now.Add(time.Hour)
	w.must(w.store.Issue(w.Context(), authority.Issue{Token: long, Now: w.now}))
	kept := newUse(long)
	for _, u := range []authority.Use{newUse(first), kept, newUse(second)} {
		w.want("use", w.consume(u)[0], nil)
	}
	w.now = first.ExpiresAt.Add(time.Millisecond)
	if got := w.sweepAll(0, 10).Tokens; got != 2 {
		w.Errorf("swept %d tokens, want 2", got)
	}
	w.want("asked again", w.consume(kept)[0], nil)
	w.wantLeft(long, 1)
}
