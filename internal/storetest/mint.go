package storetest

import (
	"errors"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// batch mints one token for a person and one for the client itself.
func (w *world) batch(c authority.Client, account, session, standing secret.ID) authority.MintBatch {
	g := authority.Grant{
		ID: w.id(), Type: authority.GrantMint, ClientID: c.ID, AccountID: account, SessionID: session, CreatedAt: w.now, LastUsed: w.now,
		RotatedAt: w.now, IdleUntil: w.now.Add(life), ExpiresAt: w.now.Add(life),
	}
	return authority.MintBatch{
		Grants: []authority.Grant{g}, Tokens: []authority.Token{w.newToken(g.ID), w.newToken(standing)}, Now: w.now,
		Events:   []authority.Event{w.event(authority.EventMinted), w.event(authority.EventGrantCreated)},
		ClientID: c.ID, ClientVersion: c.Version, Key: "key", Digest: secret.Digest("request"), Answer: []byte("{}"), Expires: w.now.Add(time.Minute),
	}
}

func testIssueBatch(w *world) {
	ctx := w.Context()
	a := w.account("ada")
	s, c, standing := w.session(a.ID), w.client("mailer", false), w.standing("mailer")
	b := w.batch(c, a.ID, s.ID, standing.ID)
	w.must(w.store.IssueBatch(ctx, b))
	w.wantRegistered("minted", true, b.Tokens...)
	w.same("events", w.events(authority.EventMinted), 1)
	answer, err := w.store.MintAnswer(ctx, c.ID, "key", w.now)
	w.must(err)
	w.same("answer", answer, authority.MintAnswer{Digest: b.Digest, Answer: b.Answer})
	_, err = w.store.MintAnswer(ctx, "other", "key", w.now)
	w.want("another client's key", err, authority.ErrNotFound)

	again := w.batch(c, a.ID, s.ID, standing.ID)
	w.want("the same key", w.store.IssueBatch(ctx, again), authority.ErrConflict)
	w.wantRegistered("refused", false, again.Tokens...)
	w.now = b.Expires
	_, err = w.store.MintAnswer(ctx, c.ID, "key", w.now)
	w.want("an expired key", err, authority.ErrNotFound)
	w.must(w.store.IssueBatch(ctx, w.batch(c, a.ID, s.ID, standing.ID)))
}

// Whatever the batch was decided on must still be so, or nothing is minted.
func testIssueBatchRefused(w *world) {
	ctx := w.Context()
	a, gone := w.account("ada"), w.account("gone")
	s, ended, c, standing := w.session(a.ID), w.session(a.ID), w.client("mailer", false), w.standing("mailer")
	w.revoke(authority.Revocation{Session: ended.ID})
	gone.Disabled = true
	w.revoke(authority.Revocation{Account: gone.ID, Update: &gone})
	for name, edit := range map[string]func(*authority.MintBatch){
		"a session that ended":        func(b *authority.MintBatch) { b.Grants[0].SessionID = ended.ID },
		"another person's session":    func(b *authority.MintBatch) { b.Grants[0].AccountID = w.account("other").ID },
		"no account":                  func(b *authority.MintBatch) { b.Grants[0].AccountID, b.Grants[0].SessionID = w.id(), secret.ID{} },
		"a disabled account":          func(b *authority.MintBatch) { b.Grants[0].AccountID, b.Grants[0].SessionID = gone.ID, secret.ID{} },
		"a client that was changed":   func(b *authority.MintBatch) { b.ClientVersion++ },
		"a client that does not live": func(b *authority.MintBatch) { b.ClientID = "nobody" },
		"a grant that does not live":  func(b *authority.MintBatch) { b.Tokens[1].GrantID = w.id() },
	} {
		b := w.batch(c, a.ID, s.ID, standing.ID)
		edit(&b)
		w.want(name, w.store.IssueBatch(ctx, b), authority.ErrEnded)
		w.wantRegistered(name, false, b.Tokens...)
	}
	_, err := w.store.MintAnswer(ctx, c.ID, "key", w.now)
	w.want("nothing is remembered", err, authority.ErrNotFound)
	w.same("events", w.events(authority.EventMinted), 0)
	b := w.batch(c, a.ID, s.ID, standing.ID)
	b.Request = w.id()
	w.want("no such request", w.store.IssueBatch(ctx, b), authority.ErrUsed)
}

func testIssueBatchRace(w *world) {
	a := w.account("ada")
	s, c, standing := w.session(a.ID), w.client("mailer", false), w.standing("mailer")
	w.oneWins(race(20, func(int) error { return w.store.IssueBatch(w.Context(), w.batch(c, a.ID, s.ID, standing.ID)) }), authority.ErrConflict)
	w.same("events", w.events(authority.EventMinted), 1)
}

func testMintRequests(w *world) {
	ctx := w.Context()
	a := w.account("ada")
	s, c, standing := w.session(a.ID), w.client("mailer", false), w.standing("mailer")
	create := func() authority.MintRequest {
		r := authority.MintRequest{ID: w.id(), ClientID: c.ID, RequestedBy: "eve", Reason: "why", Body: []byte("[]"),
			State: authority.MintPending, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)}
		w.must(w.store.CreateMintRequest(ctx, r, w.event(authority.EventMintRequested)))
		return r
	}
	r, denied, late := create(), create(), create()
	read, err := w.store.MintRequest(ctx, r.ID)
	w.must(err)
	w.same("read back", read, r)
	pending, err := w.store.MintRequests(ctx, w.now, authority.Page{})
	w.must(err)
	w.same("pending", len(pending), 3)

	carryOut := func() error {
		b := w.batch(c, a.ID, s.ID, standing.ID)
		b.Key, b.Request = "", r.ID
		return w.store.IssueBatch(ctx, b)
	}
	decide := func(id secret.ID, state authority.MintState) error {
		return w.store.DecideMintRequest(ctx, id, state, "grace", w.now, w.event(authority.EventMintApproved))
	}
	w.want("before the decision", carryOut(), authority.ErrUsed)
	w.oneWins(race(10, func(int) error { return decide(r.ID, authority.MintApproved) }), authority.ErrUsed)
	w.must(decide(denied.ID, authority.MintDenied))
	w.want("unknown", decide(w.id(), authority.MintApproved), authority.ErrNotFound)
	w.oneWins(race(10, func(int) error { return carryOut() }), authority.ErrUsed)
	if read, err = w.store.MintRequest(ctx, r.ID); err != nil || read.State != authority.MintDone || read.DecidedBy != "grace" {
		w.Errorf("carried out: %+v, %v", read, err)
	}
	w.now = late.ExpiresAt
	w.want("too late", decide(late.ID, authority.MintApproved), authority.ErrEnded)
	pending, err = w.store.MintRequests(ctx, w.now, authority.Page{})
	w.must(err)
	w.same("pending, too late", len(pending), 0)

	w.now = w.now.Add(time.Second)
	if _, err := w.store.Sweep(ctx, w.now, 0, 100); err != nil {
		w.Error(err)
	}
	if _, err := w.store.MintRequest(ctx, late.ID); !errors.Is(err, authority.ErrNotFound) {
		w.Errorf("an expired request stays: %v", err)
	}
}
