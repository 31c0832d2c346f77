package storetest

import (
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// Hot makes the calls that serving makes, each at one of two handles of the same
// database and the next at the other: sign in, redeem, refresh, issue, use up,
// revoke, and the short-lived state beside them.
func Hot(t *testing.T, a, b authority.Store) {
	t.Helper()
	at, other := &world{T: t, store: a, now: time.Now()}, &world{T: t, store: b, now: time.Now()}
	ctx := t.Context()
	id := at.id().String()

	account := at.account("hot " + id)
	got, err := b.AccountByLogin(ctx, account.Login)
	at.must(err)
	session := other.session(got.ID)
	code := at.code(session, "app")
	r := other.redemption(code, false)
	at.must(b.Redeem(ctx, r))
	at.want("redeemed twice", a.Redeem(ctx, at.redemption(code, false)), authority.ErrUsed)

	rotation := at.rotation(r.Grant)
	at.must(a.Rotate(ctx, rotation))
	at.want("rotated twice", b.Rotate(ctx, rotation), authority.ErrConflict)
	token := other.token(r.Grant.ID)
	at.wantRegistered("issued at the other handle", true, token, r.Token)

	uses := int64(1)
	counted := at.newToken(r.Grant.ID)
	counted.Uses = &uses
	at.must(a.Issue(ctx, authority.Issue{Token: counted, Now: at.now}))
	for _, want := range []error{nil, authority.ErrUsed} {
		outcomes, err := b.Consume(ctx, []authority.Use{{Token: counted.ID, Digest: counted.Digest, Request: [16]byte(secret.Bytes(16))}}, at.now)
		at.must(err)
		at.want("use", outcomes[0], want)
	}

	ticket := at.ticket(id, "value")
	at.want("a ticket that is there", b.CreateTicket(ctx, ticket, at.now), authority.ErrConflict)
	_, err = b.TakeTicket(ctx, ticket.Kind, ticket.Key, at.now)
	at.must(err)
	at.wantTicket("taken", ticket.Kind, ticket.Key, nil)

	_, before, err := a.Head(ctx)
	at.must(err)
	other.revoke(authority.Revocation{Session: session.ID})
	at.wantEnded("revoked at the other handle", r.Grant.ID, true)
	if _, err := at.issue(r.Grant.ID); err == nil {
		t.Error("a token of a grant that has ended was issued")
	}
	if entries, err := a.Log(ctx, before, 10); err != nil || len(entries) == 0 {
		t.Errorf("the log after it: %v, %v", entries, err)
	}
	at.must(a.Ready(ctx, at.now))
}
