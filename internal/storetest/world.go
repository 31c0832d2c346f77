package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// epoch is when every test begins. Tests move their own clock.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	day  = 24 * time.Hour
	life = 5 * time.Minute // of access tokens
)

// world is one test with its store and its clock.
type world struct {
	*testing.T
	store authority.Store
	now   time.Time
	made  atomic.Int64 // deliveries

	expiring bool // see RunExpiring
}

func (w *world) id() secret.ID { return secret.NewID(w.now) }

func (w *world) event(kind authority.EventType) authority.Event {
	return authority.Event{ID: w.id(), Type: kind, Actor: authority.System}
}

// must ends the test on an error.
func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// want reports an error that is not the wanted sentinel; nil wants none.
func (w *world) want(what string, got, want error) {
	w.Helper()
	if errors.Is(want, errAny) {
		if got == nil {
			w.Errorf("%s: got no error", what)
		}
		return
	}
	if !errors.Is(got, want) || (want == nil && got != nil) {
		w.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

// errAny is for want: some error, whichever.
var errAny = errors.New("any error")

// same reports what differs. An empty list may come back as nil.
func (w *world) same(what string, got, want any) {
	w.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		w.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// events counts the events of a type.
func (w *world) events(kind authority.EventType) int {
	w.Helper()
	found, err := w.store.Events(w.Context(), authority.EventFilter{Type: kind}, authority.Page{Limit: 1000})
	w.must(err)
	return len(found)
}

func (w *world) account(login string) authority.Account {
	w.Helper()
	a := authority.Account{
		ID: w.id(), Login: login, Name: "Name of " + login, Email: login + "@example.com", EmailVerified: true,
		PasswordHash: "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA", Version: 1, CreatedAt: w.now, UpdatedAt: w.now,
	}
	w.must(w.store.CreateAccount(w.Context(), a, w.event(authority.EventAccountCreated)))
	return a
}

func (w *world) client(id string, public bool) authority.Client {
	w.Helper()
	c := authority.Client{
		ID: id, Name: "Name of " + id, AuthMethod: "client_secret_basic", GrantTypes: []string{"authorization_code"},
		RedirectURIs: []string{"https://" + id + ".example.com/cb"}, Version: 1, CreatedAt: w.now, UpdatedAt: w.now,
	}
	if public {
		c.AuthMethod = "none"
	}
	w.must(w.store.CreateClient(w.Context(), c, w.event(authority.EventClientCreated)))
	return c
}

func (w *world) newSession(account secret.ID) authority.Session {
	return authority.Session{
		ID: w.id(), AccountID: account, Digest: secret.Digest("cookie"), AuthTime: w.now, AMR: []string{"pwd", "otp"},
		ACR: "2", CreatedAt: w.now, LastSeen: w.now, IdleUntil: w.now.Add(time.Hour), ExpiresAt: w.now.Add(12 * time.Hour),
		First: authority.Context{Network: "192.0.2.0/24", UserAgent: "first"},
		Last:  authority.Context{Network: "198.51.100.0/24", UserAgent: "last"},
	}
}

func (w *world) session(account secret.ID) authority.Session {
	w.Helper()
	s := w.newSession(account)
	w.must(w.store.CreateSession(w.Context(), s, secret.ID{}, w.event(authority.EventSignedIn)))
	return s
}

func (w *world) newCode(s authority.Session, client string) authority.Code {
	return authority.Code{
		ID: w.id(), Digest: secret.Digest("code"), ClientID: client, AccountID: s.AccountID, SessionID: s.ID,
		RedirectURI: "https://app.example.com/cb", Challenge: "challenge", Scope: []string{"openid", "reports:read"},
		Audience: []string{"https://api.example.com"}, Nonce: "nonce", KeyThumbprint: "thumbprint", AuthTime: s.AuthTime, ACR: s.ACR, AMR: s.AMR,
		Context: s.First, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Minute),
	}
}

func (w *world) code(s authority.Session, client string) authority.Code {
	w.Helper()
	c := w.newCode(s, client)
	w.must(w.store.CreateCode(w.Context(), c, nil, nil))
	return c
}

// newGrant is what a code becomes; offline grants outlive the session.
func (w *world) newGrant(c authority.Code, offline bool) authority.Grant {
	g := authority.Grant{
		ID: w.id(), Type: "authorization_code", ClientID: c.ClientID, AccountID: c.AccountID, SessionID: c.SessionID,
		Scope: c.Scope, Audience: c.Audience, AuthTime: c.AuthTime, ACR: c.ACR, AMR: c.AMR, Nonce: c.Nonce,
		KeyThumbprint: c.KeyThumbprint,
		HasRefresh:    true, Salt: [16]byte(secret.Bytes(16)), RefreshKey: "refresh-1", Policy: authority.RefreshTolerant,
		RotatedAt: w.now, Steps: []time.Time{w.now}, First: c.Context, Last: c.Context, CreatedAt: w.now, LastUsed: w.now,
		IdleUntil: w.now.Add(7 * day), ExpiresAt: w.now.Add(30 * day),
	}
	if offline {
		g.SessionID = secret.ID{}
	}
	return g
}

func (w *world) newToken(grant secret.ID) authority.Token {
	id := w.id()
	return authority.Token{ID: id, GrantID: grant, Digest: secret.ShortDigest(id.String()), ExpiresAt: w.now.Add(life)}
}

func (w *world) redemption(c authority.Code, offline bool) authority.Redemption {
	g := w.newGrant(c, offline)
	return authority.Redemption{Code: c.ID, Grant: g, Token: w.newToken(g.ID), Now: w.now, Event: w.event(authority.EventGrantCreated)}
}

// grant redeems a new code.
func (w *world) grant(s authority.Session, client string, offline bool) authority.Grant {
	w.Helper()
	r := w.redemption(w.code(s, client), offline)
	w.must(w.store.Redeem(w.Context(), r))
	return r.Grant
}

func (w *world) newStanding(client string) authority.Grant {
	return authority.Grant{
		ID: w.id(), Type: "client_credentials", ClientID: client, Scope: []string{"reports:read"},
		Audience: []string{"https://api.example.com"}, RotatedAt: w.now, CreatedAt: w.now, LastUsed: w.now,
		IdleUntil: w.now.Add(90 * day), ExpiresAt: w.now.Add(90 * day),
	}
}

func (w *world) standing(client string) authority.Grant {
	w.Helper()
	g, err := w.store.OpenStanding(w.Context(), w.newStanding(client), w.event(authority.EventGrantCreated))
	w.must(err)
	return g
}

func (w *world) issue(grant secret.ID) (authority.Token, error) {
	v := w.newToken(grant)
	return v, w.store.Issue(w.Context(), authority.Issue{Token: v, Now: w.now})
}

func (w *world) token(grant secret.ID) authority.Token {
	w.Helper()
	v, err := w.issue(grant)
	w.must(err)
	return v
}

// revocation fills in what the mint fills in.
func (w *world) revocation(r authority.Revocation) authority.Revocation {
	r.Now, r.Until, r.Reason = w.now, w.now.Add(life), "test"
	r.Event = w.event(authority.EventGrantEnded)
	return r
}

func (w *world) revoke(r authority.Revocation) []authority.LogEntry {
	w.Helper()
	entries, err := w.store.Revoke(w.Context(), w.revocation(r))
	w.must(err)
	return entries
}

// targets are the ids that entries name, in order.
func targets(entries []authority.LogEntry) []string {
	var names []string
	for _, e := range entries {
		names = append(names, fmt.Sprint(e.Kind, " ", e.ID))
	}
	return names
}

func (w *world) wantEnded(what string, grant secret.ID, ended bool) {
	w.Helper()
	g, err := w.store.Grant(w.Context(), grant)
	w.must(err)
	if got := !g.EndedAt.IsZero(); got != ended {
		w.Errorf("%s: got ended %v, want %v", what, got, ended)
	}
	if ended && g.EndReason == "" {
		w.Errorf("%s: ended without a reason", what)
	}
}

// wantEndCode compares what clients are told of why a grant ended.
func (w *world) wantEndCode(what string, grant secret.ID, want string) {
	w.Helper()
	g, err := w.store.Grant(w.Context(), grant)
	w.must(err)
	if g.EndCode != want {
		w.Errorf("%s: got end code %q, want %q", what, g.EndCode, want)
	}
}

// wantRegistered compares which of the tokens have a row.
func (w *world) wantRegistered(what string, want bool, tokens ...authority.Token) {
	w.Helper()
	for _, v := range tokens {
		found, err := w.store.Tokens(w.Context(), []secret.ID{v.ID})
		w.must(err)
		if _, got := found[v.ID]; got != want {
			w.Errorf("%s: got registered %v, want %v", what, got, want)
		}
	}
}

// swept is how many of n rows of tokens, or of tickets, Sweep has to remove.
func (w *world) swept(n int) int {
	if w.expiring {
		return 0
	}
	return n
}

// wantSwept wants that the tokens have no row after Sweep.
func (w *world) wantSwept(what string, tokens ...authority.Token) {
	w.Helper()
	if !w.expiring {
		w.wantRegistered(what, false, tokens...)
	}
}

// race runs n calls at the same time and returns their errors.
func race(n int, call func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// oneWins wants exactly one nil and the sentinel everywhere else, and returns
// the winner.
func (w *world) oneWins(errs []error, others error) int {
	w.Helper()
	winner, winners := -1, 0
	for i, err := range errs {
		switch {
		case err == nil:
			winner = i
			winners++
		case !errors.Is(err, others):
			w.Errorf("caller %d: got error %v, want %v", i, err, others)
		}
	}
	if winners != 1 {
		w.Fatalf("got %d winners, want 1", winners)
	}
	return winner
}

// sweepAll sweeps until nothing more is to do and adds up what was removed.
func (w *world) sweepAll(keepEvents time.Duration, limit int) authority.Swept {
	w.Helper()
	var total authority.Swept
	for range 10_000 {
		s, err := w.store.Sweep(context.Background(), w.now, keepEvents, limit)
		w.must(err)
		for _, n := range []int{s.Tokens, s.Codes, s.Grants, s.Sessions, s.LogEntries, s.Events, s.Deliveries, s.Tickets, s.Marks} {
			if n > limit {
				w.Fatalf("a slice removed %d rows of a kind, want at most %d: %+v", n, limit, s)
			}
		}
		total.Tokens += s.Tokens
		total.Codes += s.Codes
		total.Grants += s.Grants
		total.Sessions += s.Sessions
		total.LogEntries += s.LogEntries
		total.Events += s.Events
		total.Deliveries += s.Deliveries
		total.Tickets += s.Tickets
		total.Notes += s.Notes
		total.Marks += s.Marks
		if !s.More {
			return total
		}
	}
	w.Fatal("upkeep never comes to an end")
	return total
}
