package tokens_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/feed"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

const issuer = "https://id.example.com"

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a mint on a real store.
type world struct {
	t      *testing.T
	clock  *clock
	store  authority.Store
	rings  *keys.Rings
	mint   *tokens.Service
	person authority.Account
	client authority.Client
}

var (
	home  = authority.Context{Network: "192.0.2.0/24", UserAgent: "app/1"}
	other = authority.Context{Network: "198.51.100.0/24", UserAgent: "thief/9"}
)

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{t: t, clock: &clock{now: time.Now().Truncate(time.Second)}}
	store, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
	if err != nil {
		t.Fatal(err)
	}
	w.store = store
	sealer, err := secret.NewSealer(secret.Bytes(32))
	if err != nil {
		t.Fatal(err)
	}
	if w.rings, err = keys.Open(ctx, keys.Config{Store: store, Sealer: sealer, Now: w.clock.Now}); err != nil {
		t.Fatal(err)
	}
	f, err := feed.Open(ctx, feed.Config{Log: store, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { f.Run(run) })
	t.Cleanup(func() {
		stop()
		done.Wait()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.mint, err = tokens.New(tokens.Config{Issuer: issuer, Store: store, Keys: w.rings, View: f.View(), Log: f, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	now := w.clock.Now()
	w.person = authority.Account{ID: secret.NewID(now), Login: "ada", CreatedAt: now, UpdatedAt: now}
	must(t, store.CreateAccount(ctx, w.person, w.event(authority.EventAccountCreated)))
	w.client = authority.Client{
		ID: "app", Name: "App", AuthMethod: oauth.ClientSecretBasic, Native: true,
		GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken}, Scope: []string{"read", "write"}, CreatedAt: now, UpdatedAt: now,
	}
	must(t, store.CreateClient(ctx, w.client, w.event(authority.EventClientCreated)))
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) event(kind authority.EventType) authority.Event {
	return authority.Event{ID: secret.NewID(w.clock.Now()), Type: kind, Actor: authority.System}
}

// session signs the person in.
func (w *world) session() authority.Session {
	w.t.Helper()
	now := w.clock.Now()
	s := authority.Session{
		ID: secret.NewID(now), AccountID: w.person.ID, Digest: secret.Digest(secret.Token("").Reveal()), AuthTime: now,
		CreatedAt: now, LastSeen: now, IdleUntil: now.Add(100 * 24 * time.Hour), ExpiresAt: now.Add(100 * 24 * time.Hour), First: home, Last: home,
	}
	must(w.t, w.store.CreateSession(w.t.Context(), s, secret.ID{}, w.event(authority.EventSignedIn)))
	return s
}

// code makes a code for the client.
func (w *world) code(s authority.Session, scope ...string) authority.Code {
	w.t.Helper()
	now := w.clock.Now()
	id := secret.NewID(now)
	c := authority.Code{
		ID: id, Digest: secret.Digest(tokens.NewCode(id).Reveal()), ClientID: w.client.ID, AccountID: w.person.ID, SessionID: s.ID,
		RedirectURI: "https://app.example.com/cb", Scope: scope, Audience: []string{"https://api.example.com"}, AuthTime: s.AuthTime,
		CreatedAt: now, ExpiresAt: now.Add(time.Minute),
	}
	must(w.t, w.store.CreateCode(w.t.Context(), c, nil, nil))
	return c
}

// signedIn redeems a code under a fresh session.
func (w *world) signedIn(scope ...string) (authority.Session, tokens.Issued) {
	w.t.Helper()
	if len(scope) == 0 {
		scope = []string{"read", "write"}
	}
	s := w.session()
	issued, err := w.mint.RedeemCode(w.t.Context(), w.code(s, scope...), w.client, tokens.Holder{}, home)
	must(w.t, err)
	return s, issued
}

// refresh presents a refresh token from home.
func (w *world) refresh(token secret.Value) (tokens.Issued, error) {
	return w.mint.Refresh(w.t.Context(), token.Reveal(), w.client, tokens.Holder{}, nil, home)
}

func (w *world) mustRefresh(token secret.Value) tokens.Issued {
	w.t.Helper()
	issued, err := w.refresh(token)
	must(w.t, err)
	return issued
}

func (w *world) grant(id secret.ID) authority.Grant {
	w.t.Helper()
	g, err := w.store.Grant(w.t.Context(), id)
	must(w.t, err)
	return g
}

// alive reports whether an access token is accepted, with the reason if not.
func (w *world) alive(token secret.Value) (bool, string) {
	w.t.Helper()
	_, err := w.mint.Check(w.t.Context(), token.Reveal(), home)
	if reason := tokens.ReasonOf(err); reason != "" {
		return false, reason
	}
	must(w.t, err)
	return true, ""
}

func (w *world) wantAlive(what string, token secret.Value) {
	w.t.Helper()
	if ok, reason := w.alive(token); !ok {
		w.t.Errorf("%s is refused (%s), want alive", what, reason)
	}
}

func (w *world) wantDead(what string, token secret.Value, want ...string) {
	w.t.Helper()
	if ok, reason := w.alive(token); ok {
		w.t.Errorf("%s is accepted, want refused", what)
	} else if len(want) > 0 && !slices.Contains(want, reason) {
		w.t.Errorf("%s is refused with %s, want %s", what, reason, want)
	}
}

// events counts the events of a type.
func (w *world) events(kind authority.EventType) int {
	w.t.Helper()
	got, err := w.store.Events(w.t.Context(), authority.EventFilter{Type: kind}, authority.Page{})
	must(w.t, err)
	return len(got)
}

func wantCode(t *testing.T, err error, want oauth.Code) {
	t.Helper()
	if got := oauth.CodeOf(err); got != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}
