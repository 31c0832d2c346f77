package clients_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/oauth"
)

var (
	admin = authority.Actor{Kind: "admin", ID: "test"}
	home  = netip.MustParseAddr("192.0.2.7")
	away  = netip.MustParseAddr("198.51.100.9")
)

// world is a Service on a real store, with a clock that stands still.
type world struct {
	t     *testing.T
	store *sqlite.Store
	apps  *clients.Service

	mu  sync.Mutex
	now time.Time // mu guards it
}

// Revoke commits the way the mint does.
func (w *world) Revoke(ctx context.Context, r authority.Revocation) error {
	r.Now = w.clock()
	r.Until = r.Now.Add(time.Hour)
	_, err := w.store.Revoke(ctx, r)
	return err
}

func open(t *testing.T, configure ...func(*clients.Config)) *world {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := &world{t: t, store: store, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	c := clients.Config{Store: store, Revoker: w, Now: w.clock}
	for _, f := range configure {
		f(&c)
	}
	if w.apps, err = clients.New(c); err != nil {
		t.Fatal(err)
	}
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

// machine, web and spa are three usual clients.
func machine() clients.Spec {
	return clients.Spec{ID: "machine", GrantTypes: []string{oauth.ClientCredentials}, Scope: []string{"reports:read"}}
}

func web() clients.Spec {
	return clients.Spec{
		ID: "web", AuthMethod: oauth.ClientSecretPost, GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken},
		RedirectURIs: []string{"https://app.example.com/cb"}, Scope: []string{"openid", "offline_access"},
	}
}

func spa() clients.Spec {
	return clients.Spec{
		ID: "spa", AuthMethod: oauth.NoAuthentication, GrantTypes: []string{oauth.AuthorizationCode},
		RedirectURIs: []string{"https://spa.example.com/cb"}, Scope: []string{"openid"},
	}
}

func (w *world) create(p clients.Spec) (authority.Client, secret.Value) {
	w.t.Helper()
	c, s, err := w.apps.Create(w.t.Context(), admin, p, "test")
	if err != nil {
		w.t.Fatal(err)
	}
	return c, s
}

func (w *world) authenticate(method, id, password string, from netip.Addr) error {
	w.t.Helper()
	c, err := w.apps.Authenticate(w.t.Context(), clients.Credentials{Method: method, ID: id, Secret: secret.New(password)}, from)
	if err == nil && c.ID != id {
		w.t.Errorf("Authenticate(%s) is client %q", id, c.ID)
	}
	if err != nil && c.ID != "" {
		w.t.Errorf("a refused authentication answers client %q", c.ID)
	}
	return err
}

func (w *world) events(kind authority.EventType) []authority.Event {
	w.t.Helper()
	events, err := w.store.Events(w.t.Context(), authority.EventFilter{Type: kind}, authority.Page{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

// standing gives the client a live grant.
func (w *world) standing(id string) secret.ID {
	w.t.Helper()
	now := w.clock()
	g, err := w.store.OpenStanding(w.t.Context(), authority.Grant{
		ID: secret.NewID(now), Type: oauth.ClientCredentials, ClientID: id, CreatedAt: now, LastUsed: now,
		IdleUntil: now.Add(24 * time.Hour), ExpiresAt: now.Add(24 * time.Hour),
	}, authority.Event{ID: secret.NewID(now), Type: authority.EventGrantCreated, Actor: authority.System, ClientID: id})
	if err != nil {
		w.t.Fatal(err)
	}
	return g.ID
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
