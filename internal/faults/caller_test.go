package faults_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/oauth"
)

// errUnknown: no answer came, or one that does not say whether it happened.
var errUnknown = errors.New("nobody knows whether it happened")

// errNever: it cannot have happened, because no connection was had.
var errNever = errors.New("it never happened")

// refusal is an answer that says no.
type refusal struct {
	status int
	body   oauth.ErrorResponse
}

func (r *refusal) Error() string { return fmt.Sprint(r.status, " ", r.body.Error, " ", r.body.Reason) }

// ask sends a form, as a client with the secret, and reads the answer. Statuses
// that are no clear word for what went wrong fail the test.
func (a *authority) ask(ctx context.Context, at *node, path, as, body string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.issuer+path, strings.NewReader(body))
	must(a.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	r.SetBasicAuth(as, url.QueryEscape(a.secret))
	resp, err := at.http.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
			return errNever
		}
		return errUnknown
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return errUnknown
	}
	var no refusal
	switch no.status = resp.StatusCode; no.status {
	case http.StatusOK:
		if into == nil {
			return nil
		}
		if err := json.Unmarshal(text, into); err != nil {
			a.t.Errorf("%s: 200 with %q", path, text)
		}
		return nil
	case http.StatusBadRequest, http.StatusInternalServerError, http.StatusServiceUnavailable:
		if err := json.Unmarshal(text, &no.body); err != nil || no.body.Error == "" || no.body.Reason == "" {
			a.t.Errorf("%s: %d without a clear word: %q", path, no.status, text)
		}
	default:
		a.t.Errorf("%s: unexpected status %d: %s", path, no.status, text)
	}
	if no.status != http.StatusBadRequest {
		return errUnknown
	}
	return &no
}

// tokens are what a client was answered.
type tokens struct {
	access, refresh string
}

func (a *authority) tokens(ctx context.Context, at *node, as string, pairs ...string) (tokens, error) {
	var got oauth.TokenResponse
	err := a.ask(ctx, at, "/token", as, form(pairs...), &got)
	if err == nil && got.AccessToken == "" {
		a.t.Error("200 without a token")
	}
	return tokens{got.AccessToken, got.RefreshToken}, err
}

func (a *authority) redeem(ctx context.Context, at *node, code string) (tokens, error) {
	return a.tokens(ctx, at, "web", "grant_type", "authorization_code", "code", code, "code_verifier", verifier)
}

func (a *authority) refresh(ctx context.Context, at *node, token string) (tokens, error) {
	return a.tokens(ctx, at, "web", "grant_type", "refresh_token", "refresh_token", token)
}

func (a *authority) revoke(ctx context.Context, at *node, as, token string) error {
	return a.ask(ctx, at, "/revoke", as, form("token", token), nil)
}

func (a *authority) active(ctx context.Context, at *node, token string) (bool, error) {
	var got oauth.Introspection
	err := a.ask(ctx, at, "/introspect", "api", form("token", token), &got)
	return got.Active, err
}

func form(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

// generation reads which generation of its grant a refresh token is: it is the
// four bytes after the grant's id (DESIGN 4.2).
func generation(t testing.TB, refresh string) int {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(refresh, "jr_"))
	if err != nil || len(raw) < 20 {
		t.Fatal("not a refresh token")
	}
	return int(binary.BigEndian.Uint32(raw[16:20]))
}

// verifier is the one of every code.
var verifier = strings.Repeat("v", 43)

// browser is one in which somebody has signed in.
type browser struct {
	a   *authority
	jar http.CookieJar
}

// signIn goes through the page of a node.
func (a *authority) signIn(at *node) *browser {
	a.t.Helper()
	jar, err := cookiejar.New(nil)
	must(a.t, err)
	b := &browser{a, jar}
	page, _, err := b.load(a.t.Context(), at, http.MethodGet, a.issuer+"/signin", nil)
	must(a.t, err)
	fields := url.Values{"login": {"ada"}, "password": {a.password}}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		fields.Set(m[1], html.UnescapeString(m[2]))
	}
	if _, _, err = b.load(a.t.Context(), at, http.MethodPost, a.issuer+"/signin", fields); err != nil {
		a.t.Fatal(err)
	}
	return b
}

var hidden = regexp.MustCompile(`<input[^>]*type="hidden"[^>]*name="([^"]*)"[^>]*value="([^"]*)"`)

// code gets an authorization code: the app is our own and asks nobody.
func (b *browser) code(ctx context.Context, at *node) (string, error) {
	_, to, err := b.load(ctx, at, http.MethodGet, b.a.issuer+"/authorize?"+form(
		"response_type", "code", "client_id", "web", "redirect_uri", "https://app.example.com/cb", "scope", "read offline_access",
		"code_challenge", oauth.Challenge(verifier), "code_challenge_method", "S256"), nil)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(to)
	if err != nil || u.Query().Get("code") == "" {
		return "", fmt.Errorf("no code: %s", to)
	}
	return u.Query().Get("code"), nil
}

func (b *browser) load(ctx context.Context, at *node, method, target string, fields url.Values) (body, location string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(fields.Encode()))
	if err != nil {
		return "", "", err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	c := *at.http
	c.Jar = b.jar
	resp, err := c.Do(r)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return string(text), resp.Header.Get("Location"), err
}
