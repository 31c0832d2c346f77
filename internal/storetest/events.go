package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func testEvents(w *world) {
	ctx := w.Context()
	accounts := []secret.ID{w.id(), w.id()}
	var all []authority.Event // newest first
	for i := range 12 {
		w.now = w.now.Add(time.Second)
		e := w.event(authority.EventSignedIn)
		e.Actor = authority.Actor{Kind: "account", ID: fmt.Sprint(i)}
		e.Reason = "because"
		e.Context = authority.Context{Network: "192.0.2.0/24", UserAgent: "browser"}
		e.SessionID, e.GrantID, e.TokenID = w.id(), w.id(), w.id()
		if i%2 == 0 {
			e.Type = authority.EventSignedOut
			e.Data = map[string]string{"a": "1", "b": "\"2\""}
		}
		if i%3 != 0 {
			e.AccountID = accounts[i%3-1]
		}
		if i%4 != 0 {
			e.ClientID = fmt.Sprint("app ", i%2)
		}
		w.must(w.store.AppendEvent(ctx, e))
		all = slices.Insert(all, 0, e)
	}
	for what, f := range map[string]authority.EventFilter{
		"all":               {},
		"type":              {Type: authority.EventSignedIn},
		"account":           {AccountID: accounts[0]},
		"client":            {ClientID: "app 1"},
		"since":             {Since: epoch.Add(5 * time.Second)},
		"account and type":  {AccountID: accounts[1], Type: authority.EventSignedOut},
		"client and type":   {ClientID: "app 0", Type: authority.EventSignedOut},
		"everything":        {AccountID: accounts[0], ClientID: "app 1", Type: authority.EventSignedIn, Since: epoch.Add(3 * time.Second)},
		"nothing of a type": {Type: authority.EventForgedToken},
		"nobody":            {AccountID: w.id()},
	} {
		var want []authority.Event
		for _, e := range all {
			if (f.Type == "" || f.Type == e.Type) && (f.AccountID.IsZero() || f.AccountID == e.AccountID) &&
				(f.ClientID == "" || f.ClientID == e.ClientID) && !e.At().Before(f.Since) {
				want = append(want, e)
			}
		}
		var got []authority.Event
		for after := ""; ; {
			page, err := w.store.Events(ctx, f, authority.Page{After: after, Limit: 3})
			w.must(err)
			got = append(got, page...)
			if len(page) < 3 {
				break
			}
			after = page[len(page)-1].ID.String()
		}
		w.same(what, got, want)
	}
}

// If the audit trail cannot be written, nothing is. An event whose id was used
// before cannot be written.
func testEventFailure(w *world) {
	ctx := w.Context()
	a := w.account("ada")
	c := w.client("app", true)
	s := w.session(a.ID)
	code := w.code(s, c.ID)
	g := w.grant(s, c.ID, false)
	bad := w.event(authority.EventSignedIn)
	w.must(w.store.AppendEvent(ctx, bad))

	other := a
	other.ID, other.Login = w.id(), "other"
	renamed, client := a, c
	renamed.Name, client.Name = "renamed", "renamed"
	session := w.newSession(a.ID)
	newCode := w.newCode(s, c.ID)
	consent := authority.Consent{AccountID: a.ID, ClientID: c.ID, CreatedAt: w.now, UpdatedAt: w.now}
	redemption := w.redemption(code, false)
	redemption.Event = bad
	revocation := w.revocation(authority.Revocation{Session: s.ID})
	revocation.Event = bad

	for what, call := range map[string]func() error{
		"create account": func() error { return w.store.CreateAccount(ctx, other, bad) },
		"update account": func() error { return w.store.UpdateAccount(ctx, renamed, bad) },
		"create client":  func() error { return w.store.CreateClient(ctx, authority.Client{ID: "other"}, bad) },
		"update client":  func() error { return w.store.UpdateClient(ctx, client, bad) },
		"put resource":   func() error { return w.store.PutResource(ctx, authority.Resource{Audience: "x"}, bad) },
		"create session": func() error { return w.store.CreateSession(ctx, session, s.ID, bad) },
		"create code":    func() error { return w.store.CreateCode(ctx, newCode, &consent, &bad) },
		"redeem":         func() error { return w.store.Redeem(ctx, redemption) },
		"open standing": func() error {
			_, err := w.store.OpenStanding(ctx, w.newStanding("robot"), bad)
			return err
		},
		"revoke": func() error {
			_, err := w.store.Revoke(ctx, revocation)
			return err
		},
		"create keys": func() error {
			return w.store.CreateKeys(ctx, []authority.Key{w.newKey(authority.RingAccess, "k", "ES256", authority.KeyActive)}, bad)
		},
		"append event": func() error { return w.store.AppendEvent(ctx, bad) },
		"no id":        func() error { return w.store.AppendEvent(ctx, authority.Event{Type: authority.EventSignedIn}) },
	} {
		// Together with calls that are in order: theirs must not suffer.
		errs := race(9, func(i int) error {
			if i == 4 {
				return call()
			}
			_, err := w.issue(g.ID)
			return err
		})
		for i, err := range errs {
			if (err == nil) != (i != 4) {
				w.Errorf("%s: caller %d got %v", what, i, err)
			}
		}
	}

	_, err := w.store.Account(ctx, other.ID)
	w.want("account", err, authority.ErrNotFound)
	gotAccount, err := w.store.Account(ctx, a.ID)
	w.must(err)
	w.same("account", gotAccount, a)
	_, err = w.store.Client(ctx, "other")
	w.want("client", err, authority.ErrNotFound)
	gotClient, err := w.store.Client(ctx, c.ID)
	w.must(err)
	w.same("client", gotClient, c)
	_, err = w.store.Resource(ctx, "x")
	w.want("resource", err, authority.ErrNotFound)
	_, err = w.store.Session(ctx, session.ID)
	w.want("session", err, authority.ErrNotFound)
	gotSession, err := w.store.Session(ctx, s.ID)
	w.must(err)
	w.same("session", gotSession, s)
	_, err = w.store.Code(ctx, newCode.ID)
	w.want("code", err, authority.ErrNotFound)
	_, err = w.store.Consent(ctx, a.ID, c.ID)
	w.want("consent", err, authority.ErrNotFound)
	w.nothingOf("redemption", redemption)
	gotCode, err := w.store.Code(ctx, code.ID)
	w.must(err)
	w.same("code", gotCode, code)
	standing, err := w.store.Grants(ctx, secret.ID{}, "robot", authority.Page{})
	w.must(err)
	w.same("standing grants", len(standing), 0)
	w.wantEnded("grant", g.ID, false)
	_, seq, err := w.store.Head(ctx)
	w.must(err)
	w.same("log", seq, uint64(0))
	keys, err := w.store.Keys(ctx)
	w.must(err)
	w.same("keys", len(keys), 0)

	// And nothing is in the way of the same calls with an event that can be written.
	redemption.Event, revocation.Event = w.event(authority.EventGrantCreated), w.event(authority.EventSessionEnded)
	w.must(w.store.Redeem(ctx, redemption))
	entries, err := w.store.Revoke(ctx, revocation)
	w.must(err)
	w.same("ended", len(entries), 3)
	if entries[0].Seq != 1 {
		w.Errorf("got first number %d: a call that failed used some up", entries[0].Seq)
	}
}
