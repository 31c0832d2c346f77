package accounts_test

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/sqlite"
)

// world is a Service on a real store, with a clock that stands still.
type world struct {
	t       *testing.T
	store   *sqlite.Store
	people  *accounts.Service
	revoker *revoker

	mu  sync.Mutex
	now time.Time // mu guards it
}

// revoker commits revocations the way the mint does.
type revoker struct {
	store authority.Store
	now   func() time.Time
	fail  error // answered instead, if set
}

func (r *revoker) Revoke(ctx context.Context, x authority.Revocation) error {
	if r.fail != nil {
		return r.fail
	}
	x.Now = r.now()
	x.Until = x.Now.Add(time.Hour)
	_, err := r.store.Revoke(ctx, x)
	return err
}

const goodPassword = "marzipan otter cliff tango"

var (
	admin = authority.Actor{Kind: "admin", ID: "test"}
	home  = netip.MustParseAddr("192.0.2.7")
	away  = netip.MustParseAddr("198.51.100.9")
)

func open(t *testing.T, configure ...func(*accounts.Config)) *world {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := &world{t: t, store: store, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	w.revoker = &revoker{store: store, now: w.clock}
	c := accounts.Config{Accounts: store, Sessions: store, Events: store, Revoker: w.revoker, Now: w.clock}
	for _, f := range configure {
		f(&c)
	}
	if w.people, err = accounts.New(c); err != nil {
		t.Fatal(err)
	}
	w.people.Cheap()
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) create(login string) authority.Account {
	w.t.Helper()
	a, err := w.people.Create(w.t.Context(), admin, accounts.NewAccount{Login: login, Password: secret.New(goodPassword)}, "test")
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) try(login, password string, from netip.Addr) (accounts.SignedIn, error) {
	w.t.Helper()
	return w.people.SignIn(w.t.Context(), accounts.SignIn{Login: login, Password: secret.New(password), Addr: from, UserAgent: "test browser"})
}

func (w *world) signIn(login string) accounts.SignedIn {
	w.t.Helper()
	in, err := w.try(login, goodPassword, home)
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

// wantLive checks whether the cookie stands for somebody.
func (w *world) wantLive(what string, in accounts.SignedIn, want bool) {
	w.t.Helper()
	_, account, err := w.people.Session(w.t.Context(), in.Cookie.Reveal(), authority.Context{})
	switch {
	case want && (err != nil || account.ID != in.Account.ID):
		w.t.Errorf("%s: account %v, %v; want the session alive", what, account.ID, err)
	case !want && !errors.Is(err, accounts.ErrNoSession):
		w.t.Errorf("%s: %v, want ErrNoSession", what, err)
	}
}

func (w *world) events(kind authority.EventType) []authority.Event {
	w.t.Helper()
	events, err := w.store.Events(w.t.Context(), authority.EventFilter{Type: kind}, authority.Page{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

// wantWait checks that err is a *ThrottledError and returns how long it asks to wait.
func wantWait(t *testing.T, what string, err error) time.Duration {
	t.Helper()
	throttled, ok := errors.AsType[*accounts.ThrottledError](err)
	if !ok {
		t.Errorf("%s: %v, want *ThrottledError", what, err)
		return 0
	}
	if throttled.RetryAfter <= 0 {
		t.Errorf("%s: RetryAfter is %v", what, throttled.RetryAfter)
	}
	return throttled.RetryAfter
}

// grant gives the account a grant of the client, in the session or outlasting it.
func (w *world) grant(account authority.Account, in authority.Session, client string, offline bool) secret.ID {
	w.t.Helper()
	ctx, now := w.t.Context(), w.clock()
	code := authority.Code{
		ID: secret.NewID(now), ClientID: client, AccountID: account.ID, SessionID: in.ID,
		CreatedAt: now, ExpiresAt: now.Add(time.Minute), AuthTime: now, Scope: []string{"openid"},
	}
	if err := w.store.CreateCode(ctx, code, nil, nil); err != nil {
		w.t.Fatal(err)
	}
	g := authority.Grant{
		ID: secret.NewID(now), Type: "authorization_code", ClientID: client, AccountID: account.ID, Scope: code.Scope,
		HasRefresh: true, AuthTime: now, CreatedAt: now, LastUsed: now, RotatedAt: now,
		IdleUntil: now.Add(24 * time.Hour), ExpiresAt: now.Add(90 * 24 * time.Hour),
	}
	if !offline {
		g.SessionID = in.ID
	}
	err := w.store.Redeem(ctx, authority.Redemption{
		Code: code.ID, Grant: g, Now: now,
		Token: authority.Token{ID: secret.NewID(now), GrantID: g.ID, ExpiresAt: now.Add(5 * time.Minute)},
		Event: authority.Event{ID: secret.NewID(now), Type: authority.EventGrantCreated, Actor: authority.System},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return g.ID
}

func (w *world) client(id string, public bool) {
	w.t.Helper()
	c := authority.Client{ID: id, Name: id, AuthMethod: "client_secret_basic", CreatedAt: w.clock(), UpdatedAt: w.clock(), Version: 1}
	if public {
		c.AuthMethod = "none"
	}
	e := authority.Event{ID: secret.NewID(w.clock()), Type: authority.EventClientCreated, Actor: admin}
	if err := w.store.CreateClient(w.t.Context(), c, e); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantGrant(what string, id secret.ID, live bool) {
	w.t.Helper()
	g, err := w.store.Grant(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := g.Live(w.clock()); got != live {
		w.t.Errorf("%s: live = %v, want %v", what, got, live)
	}
}
