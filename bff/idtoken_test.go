package bff_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

// The ID token of a sign-in is verified in full (OpenID Connect Core section 3.1.3.7), and what was got with one
// that is not right is given back.
func TestSignIn_IDTokenIsVerified(t *testing.T) {
	w := newWorld(t)
	key := w.signer()
	stranger, err := jwk.Generate(jwk.ES256)
	must(t, err)
	published := w.handler()
	for _, test := range []struct {
		name   string
		key    *jwk.Key
		typ    string
		edit   func(c *jwt.Claims)
		accept bool
	}{
		{"good", key, "JWT", func(*jwt.Claims) {}, true},
		{"another nonce", key, "JWT", func(c *jwt.Claims) { c.Nonce = "other" }, false},
		{"no nonce", key, "JWT", func(c *jwt.Claims) { c.Nonce = "" }, false},
		{"another issuer", key, "JWT", func(c *jwt.Claims) { c.Issuer = "https://evil.example" }, false},
		{"another client", key, "JWT", func(c *jwt.Claims) { c.Audience = []string{"other"} }, false},
		{"two clients, and no azp", key, "JWT", func(c *jwt.Claims) { c.Audience = []string{"shop", "other"} }, false},
		{"expired", key, "JWT", func(c *jwt.Claims) { c.ExpiresAt = c.IssuedAt - 60 }, false},
		{"another access token", key, "JWT", func(c *jwt.Claims) { c.AccessTokenHash = jwt.HalfHash(jwk.ES256, "other") }, false},
		{"signed in too long ago", key, "JWT", func(c *jwt.Claims) { c.AuthTime -= 120 }, false},
		{"no auth_time", key, "JWT", func(c *jwt.Claims) { c.AuthTime = 0 }, false},
		{"foreign key", stranger, "JWT", func(*jwt.Claims) {}, false},
		{"another kind of token", key, "at+jwt", func(*jwt.Claims) {}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := w.browser()
			start := b.do(http.MethodGet, "/auth/sign-in?max_age=60", "")
			to, err := url.Parse(start.header.Get("Location"))
			must(t, err)
			w.authority.set(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/token" {
					published.ServeHTTP(rw, r)
					return
				}
				rec := httptest.NewRecorder()
				published.ServeHTTP(rec, r)
				var answer map[string]any
				must(t, json.Unmarshal(rec.Body.Bytes(), &answer))
				real, _ := answer["id_token"].(string)
				u, err := jwt.Parse(real, 0)
				must(t, err)
				access, _ := answer["access_token"].(string)
				c := jwt.Claims{
					Issuer: u.Claims.Issuer, Subject: u.Claims.Subject, Audience: []string{"shop"}, IssuedAt: u.Claims.IssuedAt, ExpiresAt: u.Claims.ExpiresAt,
					AuthTime: u.Claims.AuthTime, Nonce: to.Query().Get("nonce"), SessionID: u.Claims.SessionID, AccessTokenHash: jwt.HalfHash(jwk.ES256, access),
				}
				test.edit(&c)
				answer["id_token"], err = jwt.Sign(test.key, test.typ, &c)
				must(t, err)
				rw.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(rw).Encode(answer)
			}))
			revoked := w.authority.count("/revoke")
			a := b.follow(start)
			if got := a.status == http.StatusOK && b.cookie() != ""; got != test.accept {
				t.Errorf("signed in %v: %d %s", got, a.status, a.body)
			}
			if test.accept {
				return
			}
			if !strings.Contains(a.body, "could not be signed in") || w.authority.count("/revoke") != revoked+1 {
				t.Errorf("%d revocations: %s", w.authority.count("/revoke")-revoked, a.body)
			}
		})
	}
}
