package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// hostile are strings that break what is quoted, cut, folded or counted wrongly.
var hostile = map[string]string{
	"empty":    "",
	"NUL":      "a\x00b",
	"quotes":   `'"); DROP TABLE tokens; --`,
	"percent":  "%_\\*?[a]",
	"unicode":  "Ünï ⚙ 日本語 \U0001f511 e\u0301 \u202e",
	"controls": "\r\n\t\x1b[31m\x7f",
	"json":     `["a",{"b":null}]`,
	"long":     strings.Repeat("x y", 64<<10/3),
	"spaces":   "  a  ",
	"number":   "007",
}

// A store returns what it was given, or refuses it. It never cuts or changes it.
func testHostileValues(w *world) {
	ctx := w.Context()
	for name, v := range hostile {
		a := authority.Account{ID: w.id(), Login: "login " + name + v, Name: v, Email: v, PasswordHash: v, CreatedAt: w.now, UpdatedAt: w.now}
		e := w.event(authority.EventAccountCreated)
		e.Reason, e.ClientID, e.Actor.ID, e.AccountID = v, v, v, a.ID
		e.Data = map[string]string{v: v, "k": v}
		e.Context = authority.Context{Network: v, UserAgent: v}
		if err := w.store.CreateAccount(ctx, a, e); err != nil {
			w.Logf("%s: refused: %v", name, err)
			continue
		}
		got, err := w.store.AccountByLogin(ctx, a.Login)
		w.must(err)
		w.same(name+": account", got, a)
		events, err := w.store.Events(ctx, authority.EventFilter{AccountID: a.ID}, authority.Page{})
		w.must(err)
		w.same(name+": event", events, []authority.Event{e})

		c := authority.Client{ID: "client " + name + v, Name: v, RedirectURIs: []string{v, v}, Scope: []string{v}, CreatedAt: w.now, UpdatedAt: w.now}
		w.must(w.store.CreateClient(ctx, c, w.event(authority.EventClientCreated)))
		client, err := w.store.Client(ctx, c.ID)
		w.must(err)
		w.same(name+": client", client, c)

		s := w.newSession(a.ID)
		s.First.UserAgent, s.AMR, s.ACR = v, []string{v}, v
		w.must(w.store.CreateSession(ctx, s, a.ID, w.event(authority.EventSignedIn)))
		code := w.newCode(s, c.ID)
		code.Nonce, code.RedirectURI, code.Scope = v, v, []string{v, v}
		consent := authority.Consent{AccountID: a.ID, ClientID: c.ID, Scope: []string{v}, CreatedAt: w.now, UpdatedAt: w.now}
		w.must(w.store.CreateCode(ctx, code, &consent, nil))
		r := w.redemption(code, false)
		w.must(w.store.Redeem(ctx, r))
		g, err := w.store.Grant(ctx, r.Grant.ID)
		w.must(err)
		w.same(name+": grant", g, r.Grant)
		back, err := w.store.Consent(ctx, a.ID, c.ID)
		w.must(err)
		w.same(name+": consent", back, consent)
	}
}

// A call whose context is done before it began never happens; one that began is
// finished and gets the true answer.
func testContextDone(w *world) {
	done, cancel := context.WithCancel(w.Context())
	cancel()
	g := w.standing("robot")
	v := w.newToken(g.ID)
	w.want("issue", w.store.Issue(done, authority.Issue{Token: v, Now: w.now}), context.Canceled)
	w.wantRegistered("issue", false, v)
	_, err := w.store.Revoke(done, w.revocation(authority.Revocation{Grant: g.ID}))
	w.want("revoke", err, context.Canceled)
	w.wantEnded("revoke", g.ID, false)
	_, err = w.store.Grant(done, g.ID)
	w.want("read", err, context.Canceled)
	w.want("wait", w.store.Wait(done, 99), context.Canceled)

	// Under load: what answered with the context's error was not written, what
	// answered without was.
	var cancelled atomic.Int64
	errs := race(64, func(i int) error {
		for k := range 20 {
			ctx, cancel := context.WithTimeout(w.Context(), time.Duration(i*k)*10*time.Microsecond)
			v := w.newToken(g.ID)
			err := w.store.Issue(ctx, authority.Issue{Token: v, Now: w.now})
			cancel()
			found, readErr := w.store.Tokens(w.Context(), []secret.ID{v.ID})
			if readErr != nil {
				return readErr
			}
			_, registered := found[v.ID]
			if errors.Is(err, context.DeadlineExceeded) {
				cancelled.Add(1)
			} else if err != nil {
				return err
			}
			if registered != (err == nil) {
				return fmt.Errorf("answered %w, registered %v", err, registered)
			}
		}
		return nil
	})
	w.must(errors.Join(errs...))
	if cancelled.Load() == 0 {
		w.Error("no call was cancelled: the test has no power")
	}
}

func testReady(w *world) {
	for range 3 {
		w.must(w.store.Ready(w.Context(), w.now))
		w.now = w.now.Add(time.Second)
	}
	for _, err := range race(16, func(int) error { return w.store.Ready(w.Context(), w.now) }) {
		w.want("together", err, nil)
	}
}

// Close answers what was on its way; afterwards nothing is.
func testClosed(w *world) {
	ctx := w.Context()
	g := w.standing("robot")
	waits := make(chan error)
	go func() { waits <- w.store.Wait(ctx, 0) }()
	var answered atomic.Int64
	errs := race(17, func(i int) error {
		if i == 0 {
			for answered.Load() < 50 {
				time.Sleep(time.Millisecond)
			}
			return w.store.Close()
		}
		for {
			if _, err := w.issue(g.ID); err != nil {
				return err
			}
			answered.Add(1)
		}
	})
	w.must(errs[0])
	for _, err := range errs[1:] {
		if err == nil {
			w.Error("a call after Close got no error")
		}
	}
	if err := <-waits; err == nil {
		w.Error("Wait returned without an entry and without an error")
	}
	if err := w.store.Close(); err != nil {
		w.Errorf("second Close: %v", err)
	}
	if err := w.store.Ready(ctx, w.now); err == nil {
		w.Error("a closed store is ready")
	}
}
