package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/jetonhq/jeton/internal/browsertest"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/oauth"
)

// TestRelyingParty_Chromium is the whole life of a sign-in in a real browser,
// with an app built on x/oauth2 and go-oidc at the other end: sign in, consent,
// code, ID token, userinfo, refresh, sign-out.
func TestRelyingParty_Chromium(t *testing.T) {
	w := newWorld(t, options{})
	arrived := make(chan *url.URL, 4)
	app := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cb" || r.URL.Path == "/bye" {
			arrived <- r.URL
		}
		rw.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(rw, "<!doctype html><title>arrived</title><h1>arrived</h1>")
	}))
	defer app.Close()
	w.client(clients.Spec{ID: "shop", Name: "Shop", Native: true, GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken},
		RedirectURIs: []string{app.URL + "/cb"}, PostLogoutRedirectURIs: []string{app.URL + "/bye"}, Scope: everything, Audience: api})
	p := w.relyingParty("shop")
	p.oauth2.Scopes = []string{"openid", "profile", "email", "read"}
	wait := func() url.Values {
		t.Helper()
		select {
		case u := <-arrived:
			w.remember("code", u.Query().Get("code"))
			return u.Query()
		case <-time.After(30 * time.Second):
			t.Fatal("nothing arrived at the app")
			return nil
		}
	}

	ctx := browsertest.Chromium(t)
	pkce := oauth2.GenerateVerifier()
	browsertest.Do(t, ctx,
		chromedp.Navigate(p.oauth2.AuthCodeURL("s-1", oidc.Nonce("n-1"), oauth2.S256ChallengeOption(pkce))), browsertest.Heading("Sign in"),
		chromedp.KeyEvent("ada"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(password), chromedp.KeyEvent(kb.Enter),
		browsertest.Heading("Allow Shop"), chromedp.Click(`button[value=allow]`), browsertest.Heading("arrived"))
	got := wait()
	if got.Get("state") != "s-1" || got.Get("iss") != w.issuer {
		t.Errorf("arrived with %v", got)
	}
	token, err := p.oauth2.Exchange(t.Context(), got.Get("code"), oauth2.VerifierOption(pkce))
	must(t, err)
	p.remembered(token)
	raw, _ := token.Extra("id_token").(string)
	id, err := p.provider.Verifier(&oidc.Config{ClientID: "shop"}).Verify(t.Context(), raw)
	must(t, err)
	if id.Nonce != "n-1" || id.VerifyAccessToken(token.AccessToken) != nil {
		t.Errorf("ID token %+v", id)
	}
	info, err := p.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
	must(t, err)
	if info.Email != "ada@example.com" || info.Subject != id.Subject {
		t.Errorf("userinfo %+v", info)
	}
	fresh, err := p.oauth2.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	must(t, err)
	p.remembered(fresh)

	// Signed in and consented: the next request asks nothing.
	browsertest.Do(t, ctx, chromedp.Navigate(p.oauth2.AuthCodeURL("s-2", oauth2.S256ChallengeOption(pkce))), browsertest.Heading("arrived"))
	if got := wait(); got.Get("state") != "s-2" || got.Get("code") == "" {
		t.Errorf("the second time: %v", got)
	}

	browsertest.Do(t, ctx, chromedp.Navigate(w.issuer+"/end_session?"+values("id_token_hint", raw, "post_logout_redirect_uri", app.URL+"/bye", "state", "s-3").Encode()), browsertest.Heading("arrived"))
	if got := wait(); got.Get("state") != "s-3" {
		t.Errorf("after the sign-out: %v", got)
	}
	w.wantDead("the access token after the sign-out", fresh.AccessToken)
	if _, err := p.oauth2.TokenSource(t.Context(), &oauth2.Token{RefreshToken: fresh.RefreshToken}).Token(); err == nil {
		t.Error("the app can still refresh")
	}
	browsertest.Do(t, ctx, chromedp.Navigate(p.oauth2.AuthCodeURL("s-4", oauth2.S256ChallengeOption(pkce))), browsertest.Heading("Sign in"))
}
