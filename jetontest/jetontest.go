// Package jetontest starts an authority inside a test and mints tokens, so that
// an API guarded by Jeton can be tested against the real thing: real signatures,
// a real registry, a real revocation feed.
//
//	authority := jetontest.New(t)
//	guard, err := jeton.NewGuard(authority.Guard())
//	...
//	token := authority.Token(t, jetontest.Subject("ada"), jetontest.Scope("reports:read"))
//
// It listens on loopback only, keeps its state in t.TempDir and stops with the
// test. Only tests should import it: it brings the whole server along.
package jetontest

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/network"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/oauth"
)

// Audience is the `aud` of the tokens that an Authority mints.
const Audience = "https://api.example.com"

// ids of the clients that New registers.
const (
	resourceID = "api"
	appID      = "app"
)

// Authority is a running authority. Its methods are safe for concurrent use.
type Authority struct {
	Issuer string // base URL, the `iss` of its tokens

	parts    server.Parts
	resource secret.Value
	app      authority.Client

	mu     sync.Mutex
	people map[string]person // guarded by mu, by subject
}

// person is an account with a session.
type person struct {
	account authority.Account
	session authority.Session
}

// New starts an authority that stops when the test ends. It fails the test when
// it cannot start.
func New(t testing.TB) *Authority {
	t.Helper()
	ctx := t.Context()
	var handler http.Handler
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	cfg := config.Default()
	cfg.Issuer = listener.URL
	cfg.Store.URL = "sqlite:" + filepath.Join(t.TempDir(), "jeton.db")
	cfg.SealingKey = secret.New(base64.StdEncoding.EncodeToString(secret.Bytes(32)))
	cfg.Tokens.DefaultAudience = Audience
	s, err := server.Open(ctx, cfg, server.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		listener.Close()
		t.Fatalf("jetontest: %v", err)
	}
	handler = s.Handler()
	t.Cleanup(func() {
		s.Drain() // ends the feed's streams, which Close would wait for
		listener.Close()
		if err := s.Close(); err != nil {
			t.Errorf("jetontest: stop: %v", err)
		}
	})
	a := &Authority{Issuer: listener.URL, parts: s.Parts(), people: make(map[string]person)}
	if err := a.register(ctx); err != nil {
		t.Fatalf("jetontest: %v", err)
	}
	return a
}

const reason = "jetontest"

func (a *Authority) register(ctx context.Context) error {
	var err error
	if _, a.resource, err = a.parts.Clients.Create(ctx, authority.System, clients.Spec{ID: resourceID}, reason); err != nil {
		return err
	}
	_, _, err = a.parts.Clients.PutResource(ctx, authority.System, clients.ResourceSpec{Audience: Audience, ClientID: resourceID}, reason)
	if err != nil {
		return err
	}
	a.app, _, err = a.parts.Clients.Create(ctx, authority.System, clients.Spec{
		ID: appID, GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken}, RedirectURIs: []string{"https://app.example.com/callback"},
		Audience: Audience,
	}, reason)
	return err
}

// Guard is the configuration of a guard that trusts this authority: complete,
// with the resource's own credentials, so that it follows the feed.
func (a *Authority) Guard() jeton.Config {
	return jeton.Config{Issuer: a.Issuer, Audience: Audience, Client: jeton.ClientSecret(resourceID, a.resource.Reveal())}
}

// request collects what a token should be like.
type request struct {
	subject string
	scope   []string
	ago     time.Duration // since the sign-in
	acr     string
	holder  tokens.Holder
	from    authority.Context
}

// Option says something about a token.
type Option func(*request)

// Subject names the person the token is for. The `sub` claim is the account's
// id; [Authority.Account] tells it. Default "alice". The same name is the same
// person and session for the whole test.
func Subject(name string) Option { return func(r *request) { r.subject = name } }

// Scope sets the token's scope. Default: none.
func Scope(scope ...string) Option { return func(r *request) { r.scope = scope } }

// SignedIn says how long ago and by which acr the person signed in. Default: when
// the person was first named, and the acr of a password.
func SignedIn(ago time.Duration, acr string) Option {
	return func(r *request) { r.ago, r.acr = ago, acr }
}

// BoundTo binds the token to a DPoP key (RFC 9449): a guard accepts it only with a
// proof made with that key, see [github.com/jetonhq/jeton/jwt.NewProof].
func BoundTo(key *jwk.Key) Option {
	return func(r *request) { r.holder.Thumbprint = key.Thumbprint() }
}

// From says from which address the token is asked for: it is bound to its network,
// see [jeton.Network]. Default: none.
func From(addr netip.Addr) Option {
	return func(r *request) { r.from.Network = network.Name(network.Of(addr)) }
}

// Token mints an access token for a person, exactly as a sign-in would.
func (a *Authority) Token(t testing.TB, options ...Option) string {
	t.Helper()
	r := request{subject: "alice"}
	for _, o := range options {
		o(&r)
	}
	ctx := t.Context()
	p, err := a.person(ctx, r.subject)
	if err != nil {
		t.Fatalf("jetontest: sign %s in: %v", r.subject, err)
	}
	now := time.Now()
	id := secret.NewID(now)
	code := authority.Code{
		ID: id, Digest: secret.Digest(tokens.NewCode(id).Reveal()), ClientID: a.app.ID, AccountID: p.account.ID, SessionID: p.session.ID,
		Scope: r.scope, Audience: []string{Audience}, AuthTime: p.session.AuthTime, ACR: p.session.ACR, CreatedAt: now, ExpiresAt: now.Add(time.Minute),
	}
	if r.acr != "" || r.ago != 0 {
		code.AuthTime, code.ACR = now.Add(-r.ago), r.acr
	}
	if err := a.parts.Store.CreateCode(ctx, code, nil, nil); err != nil {
		t.Fatalf("jetontest: %v", err)
	}
	issued, err := a.parts.Tokens.RedeemCode(ctx, code, a.app, r.holder, r.from)
	if err != nil {
		t.Fatalf("jetontest: %v", err)
	}
	return issued.AccessToken.Reveal()
}

// person signs somebody in, once per test.
func (a *Authority) person(ctx context.Context, name string) (person, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p, ok := a.people[name]; ok {
		return p, nil
	}
	now := time.Now()
	event := func(kind authority.EventType) authority.Event {
		return authority.Event{ID: secret.NewID(now), Type: kind, Actor: authority.System, Reason: reason}
	}
	p := person{account: authority.Account{ID: secret.NewID(now), Login: name, Name: name, CreatedAt: now, UpdatedAt: now}}
	if err := a.parts.Store.CreateAccount(ctx, p.account, event(authority.EventAccountCreated)); err != nil {
		return person{}, err
	}
	until := now.Add(24 * time.Hour)
	p.session = authority.Session{
		ID: secret.NewID(now), AccountID: p.account.ID, Digest: secret.Digest(secret.Token("").Reveal()), AuthTime: now, ACR: config.Default().SignIn.PasswordACR,
		CreatedAt: now, LastSeen: now, IdleUntil: until, ExpiresAt: until,
	}
	if err := a.parts.Store.CreateSession(ctx, p.session, secret.ID{}, event(authority.EventSignedIn)); err != nil {
		return person{}, err
	}
	a.people[name] = p
	return p, nil
}

// Account is the `sub` of the tokens of a person that Token was called for, or "".
func (a *Authority) Account(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.people[name]
	if !ok {
		return ""
	}
	return p.account.Subject()
}

// Revoke revokes one access token. When it returns the authority refuses it;
// connected guards follow within milliseconds.
func (a *Authority) Revoke(t testing.TB, token string) {
	t.Helper()
	err := a.parts.Tokens.RevokeToken(t.Context(), token, authority.System, reason)
	if err != nil {
		t.Fatalf("jetontest: revoke: %v", err)
	}
}

// SignOut ends a person's session and the grants that depend on it. A later
// Token signs the person in again.
func (a *Authority) SignOut(t testing.TB, name string) {
	t.Helper()
	a.mu.Lock()
	p, ok := a.people[name]
	delete(a.people, name)
	a.mu.Unlock()
	if !ok {
		t.Fatalf("jetontest: %s is not signed in", name)
	}
	err := a.parts.Accounts.EndSession(t.Context(), authority.System, p.session.ID, reason)
	if err != nil && !errors.Is(err, authority.ErrNotFound) {
		t.Fatalf("jetontest: sign out: %v", err)
	}
}
