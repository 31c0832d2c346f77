package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// relyingParty is an app built with the libraries that apps are built with.
type relyingParty struct {
	*world
	provider *oidc.Provider
	oauth2   oauth2.Config
}

func (w *world) relyingParty(client string, algorithms ...string) relyingParty {
	w.t.Helper()
	provider, err := oidc.NewProvider(w.t.Context(), w.issuer)
	must(w.t, err)
	c, err := w.parts.Clients.Lookup(w.t.Context(), client)
	must(w.t, err)
	return relyingParty{w, provider, oauth2.Config{
		ClientID: client, ClientSecret: w.keys[client], Endpoint: provider.Endpoint(), RedirectURL: c.RedirectURIs[0],
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", "offline_access", "read"},
	}}
}

// signIn takes a visitor through the pages and redeems the code.
func (p relyingParty) signIn(v *visitor, nonce string) *oauth2.Token {
	p.t.Helper()
	pkce := oauth2.GenerateVerifier()
	got := v.walk(p.oauth2.AuthCodeURL("state-1", oidc.Nonce(nonce), oauth2.S256ChallengeOption(pkce)))
	if got.Get("state") != "state-1" || got.Get("iss") != p.issuer {
		p.t.Errorf("the answer is %v", got)
	}
	token, err := p.oauth2.Exchange(p.t.Context(), got.Get("code"), oauth2.VerifierOption(pkce))
	must(p.t, err)
	p.remembered(token)
	return token
}

// remembered keeps what the client got out of the logs.
func (p relyingParty) remembered(token *oauth2.Token) {
	p.remember("access_token", token.AccessToken)
	p.remember("refresh_token", token.RefreshToken)
	if id, ok := token.Extra("id_token").(string); ok {
		p.remember("id_token", id)
	}
}

func TestRelyingParty_SignInRefreshUserinfoSignOut(t *testing.T) {
	w := newWorld(t, options{})
	p, v := w.relyingParty("web"), w.visitor()
	token := p.signIn(v, "nonce-1")
	raw, _ := token.Extra("id_token").(string)
	id, err := p.provider.Verifier(&oidc.Config{ClientID: "web"}).Verify(t.Context(), raw)
	must(t, err)
	if id.Nonce != "nonce-1" || id.Subject != w.person.Subject() {
		t.Errorf("nonce %q, sub %q", id.Nonce, id.Subject)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Errorf("at_hash: %v", err)
	}
	if id.VerifyAccessToken(token.AccessToken+"x") == nil {
		t.Error("at_hash fits another access token")
	}
	if _, err := p.provider.Verifier(&oidc.Config{ClientID: "other"}).Verify(t.Context(), raw); err == nil {
		t.Error("another client accepts the ID token")
	}
	if !token.Expiry.After(time.Now().Add(4*time.Minute)) || token.Type() != "Bearer" {
		t.Errorf("expiry %v, type %s", token.Expiry, token.Type())
	}

	info, err := p.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
	must(t, err)
	var profile struct {
		Name string `json:"name"`
	}
	must(t, info.Claims(&profile))
	if info.Subject != id.Subject || info.Email != "ada@example.com" || !info.EmailVerified || profile.Name != "Ada Lovelace" {
		t.Errorf("userinfo %+v %+v", info, profile)
	}

	// The library refreshes by itself when the token has expired.
	old := *token
	old.Expiry = time.Now().Add(-time.Minute)
	source := p.oauth2.TokenSource(t.Context(), &old)
	fresh, err := source.Token()
	must(t, err)
	p.remembered(fresh)
	if fresh.AccessToken == token.AccessToken || fresh.RefreshToken == token.RefreshToken || fresh.RefreshToken == "" {
		t.Error("the refresh did not bring new tokens")
	}
	if raw, ok := fresh.Extra("id_token").(string); ok {
		again, err := p.provider.Verifier(&oidc.Config{ClientID: "web"}).Verify(t.Context(), raw)
		must(t, err)
		if again.Nonce != "" || again.Subject != id.Subject || again.VerifyAccessToken(fresh.AccessToken) != nil {
			t.Errorf("the ID token of the refresh: %+v", again)
		}
	}
	w.wantAlive("the refreshed token", fresh.AccessToken)

	// Sign-out as the provider's own document describes it.
	var meta struct {
		EndSession string `json:"end_session_endpoint"`
	}
	must(t, p.provider.Claims(&meta))
	page := v.open(http.MethodGet, meta.EndSession+"?"+values("id_token_hint", raw, "post_logout_redirect_uri", "https://app.example.com/bye", "state", "bye-1").Encode(), "")
	if page.location != "https://app.example.com/bye?state=bye-1" {
		t.Errorf("sign-out leads to %d %q", page.status, page.location)
	}
	if got := v.walk(p.oauth2.AuthCodeURL("s", oauth2.SetAuthURLParam("prompt", "none"), oauth2.S256ChallengeOption(verifier))); got.Get("error") != "login_required" {
		t.Errorf("prompt=none after the sign-out: %v", got)
	}
	// The grant is for offline access: it stays until it is revoked.
	if _, err := p.oauth2.TokenSource(t.Context(), &oauth2.Token{RefreshToken: fresh.RefreshToken}).Token(); err != nil {
		t.Errorf("offline access after the sign-out: %v", err)
	}
}

func TestRelyingParty_IDTokenAlgorithms(t *testing.T) {
	w := newWorld(t, options{})
	both := []string{oauth.AuthorizationCode, oauth.RefreshToken}
	for _, algorithm := range []string{"ES256", "Ed25519"} {
		w.client(clients.Spec{ID: "rp-" + algorithm, GrantTypes: both, RedirectURIs: []string{"https://rp.example.com/cb"}, Scope: everything, Audience: api, IDTokenAlg: algorithm, FirstParty: true})
	}
	v := w.visitor()
	p := w.relyingParty("rp-ES256")
	token := p.signIn(v, "n-ec")
	raw, _ := token.Extra("id_token").(string)
	id, err := p.provider.Verifier(&oidc.Config{ClientID: "rp-ES256", SupportedSigningAlgs: []string{"ES256"}}).Verify(t.Context(), raw)
	must(t, err)
	if id.Nonce != "n-ec" || id.VerifyAccessToken(token.AccessToken) != nil {
		t.Errorf("%+v", id)
	}
	// A client that expects RS256 takes no other algorithm.
	if _, err := p.provider.Verifier(&oidc.Config{ClientID: "rp-ES256", SupportedSigningAlgs: []string{"RS256"}}).Verify(t.Context(), raw); err == nil {
		t.Error("verified as RS256")
	}

	// go-oidc knows this algorithm by its deprecated name only, so our own
	// verifier reads it, with the keys it fetches itself.
	p = w.relyingParty("rp-Ed25519")
	token = p.signIn(v, "n-ed")
	raw, _ = token.Extra("id_token").(string)
	keys, err := jwk.NewRemoteSet(jwk.RemoteConfig{URL: w.issuer + "/jwks"})
	must(t, err)
	own, err := jwt.NewVerifier(jwt.Config{Profile: jwt.IDToken, Issuer: w.issuer, Audience: []string{"rp-Ed25519"}, Algorithms: []jwk.Algorithm{jwk.Ed25519}, Keys: keys, Now: w.clock.Now})
	must(t, err)
	verified, err := own.Verify(t.Context(), raw)
	must(t, err)
	if verified.Claims.Nonce != "n-ed" || verified.Claims.AccessTokenHash != jwt.HalfHash(jwk.Ed25519, token.AccessToken) {
		t.Errorf("%+v", verified.Claims)
	}
}

func TestRelyingParty_PublicClient(t *testing.T) {
	w := newWorld(t, options{})
	p := w.relyingParty("spa")
	p.oauth2.Scopes = []string{"openid", "read"}
	p.oauth2.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	token := p.signIn(w.visitor(), "n")
	fresh, err := p.oauth2.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	must(t, err)
	p.remembered(fresh)
	w.wantAlive("the refreshed token", fresh.AccessToken)
}

func TestRelyingParty_ClientCredentials(t *testing.T) {
	w := newWorld(t, options{})
	for client, style := range map[string]oauth2.AuthStyle{"machine": oauth2.AuthStyleInHeader, "post": oauth2.AuthStyleInParams} {
		cfg := clientcredentials.Config{ClientID: client, ClientSecret: w.keys[client], TokenURL: w.issuer + "/token", Scopes: []string{"read"}, AuthStyle: style}
		token, err := cfg.TokenSource(t.Context()).Token()
		must(t, err)
		w.remember("access_token", token.AccessToken)
		if a := w.post("/introspect", "machine", "token", token.AccessToken).ok(); client == "machine" && a.json["active"] != true {
			t.Errorf("%s: %s", client, a.body)
		}
	}
	// Without being told the style, the library tries Basic first.
	auto := clientcredentials.Config{ClientID: "machine", ClientSecret: w.keys["machine"], TokenURL: w.issuer + "/token"}
	token, err := auto.Token(t.Context())
	must(t, err)
	w.remember("access_token", token.AccessToken)
	wrong := clientcredentials.Config{ClientID: "machine", ClientSecret: "no", TokenURL: w.issuer + "/token", AuthStyle: oauth2.AuthStyleInHeader}
	if _, err := wrong.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("wrong secret: %v", err)
	}
}

// The library's own idea of a wrong verifier and a used code.
func TestRelyingParty_RefusalsReachTheApp(t *testing.T) {
	w := newWorld(t, options{})
	p, v := w.relyingParty("web"), w.visitor()
	// Left to itself, the library answers any refusal by trying the other way to
	// authenticate, and reports the refusal of that.
	p.oauth2.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	pkce := oauth2.GenerateVerifier()
	got := v.walk(p.oauth2.AuthCodeURL("s", oauth2.S256ChallengeOption(pkce)))
	exchange := func(verifier string) error {
		token, err := p.oauth2.Exchange(context.WithValue(t.Context(), oauth2.HTTPClient, w.http), got.Get("code"), oauth2.VerifierOption(verifier))
		if err == nil {
			p.remembered(token)
		}
		return err
	}
	var refused *oauth2.RetrieveError
	for _, tt := range []struct{ verifier, want string }{{oauth2.GenerateVerifier(), "invalid_grant"}, {pkce, ""}, {pkce, "invalid_grant"}} {
		err := exchange(tt.verifier)
		if e, ok := err.(*oauth2.RetrieveError); ok { //nolint:errorlint // as the library returns it
			refused = e
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || refused == nil || refused.ErrorCode != tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
