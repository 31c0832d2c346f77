package jeton

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jetonhq/jeton/jwt"
)

// fakeSessions is a session source with one session, whose cookie is s=1.
type fakeSessions struct {
	token string
	other string // in place of a refused one
	err   error
	asked int
}

func (f *fakeSessions) SessionToken(r *http.Request, refused string) (string, error) {
	f.asked++
	c, err := r.Cookie("s")
	switch {
	case err != nil:
		return "", ErrNoCookie
	case c.Value != "1":
		return "", ErrNoSession
	case f.err != nil:
		return "", f.err
	case refused != "" && refused == f.token && f.other != "":
		f.token = f.other
	}
	return f.token, nil
}

// withCookie is a request with the session cookie and whatever headers follow, as name and value.
func withCookie(method string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "https://api.example.com/reports", nil)
	r.AddCookie(&http.Cookie{Name: "s", Value: "1"})
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func answerTo(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func cookieBubble(t *testing.T, f func(t *testing.T, a *fakeAuthority, g *Guard, s *fakeSessions)) {
	t.Helper()
	s := &fakeSessions{}
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		s.token = a.mint()
		f(t, a, g, s)
	}, func(c *Config) { c.Sessions = s })
}

// What a handler finds is the same, whichever way the token came.
func TestAllowCookie_ClaimsAreTheTokens(t *testing.T) {
	cookieBubble(t, func(t *testing.T, _ *fakeAuthority, g *Guard, s *fakeSessions) {
		var got []*Token
		h := g.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = append(got, FromContext(r.Context()))
		}), Scope("reports:read"), AllowCookie())
		byHeader := httptest.NewRequest(http.MethodGet, "/reports", nil)
		byHeader.Header.Set("Authorization", "Bearer "+s.token)
		for _, r := range []*http.Request{withCookie(http.MethodGet), byHeader} {
			if w := answerTo(h, r); w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "private, no-store" {
				t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
			}
		}
		if got[0] != got[1] {
			t.Errorf("not the same token: %v, %v", got[0], got[1])
		}
		if diff := cmp.Diff(string(got[0].Claims().Payload()), string(got[1].Claims().Payload())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAllowCookie_Refusals(t *testing.T) {
	site := func(from string) []string { return []string{"Sec-Fetch-Site", from} }
	for _, test := range []struct {
		name    string
		request *http.Request
		demands []Demand
		status  int
		reason  string
	}{
		{"good", withCookie("POST", site("same-origin")...), nil, 200, ""},
		{"typed into the address bar", withCookie("GET", site("none")...), nil, 200, ""},
		{"no browser", withCookie("POST"), nil, 200, ""},
		{"link from another site", withCookie("GET", site("cross-site")...), nil, 200, ""},
		{"form of another site", withCookie("POST", site("cross-site")...), nil, 403, ReasonCrossOrigin},
		{"form of a neighbour", withCookie("POST", site("same-site")...), nil, 403, ReasonCrossOrigin},
		{"form, by a browser that tells the origin only", withCookie("POST", "Origin", "https://evil.example"), nil, 403, ReasonCrossOrigin},
		{"delete", withCookie("DELETE", site("cross-site")...), nil, 403, ReasonCrossOrigin},
		{"WebSocket of another site", withCookie("GET", "Sec-Fetch-Site", "cross-site", "Upgrade", "websocket"), nil, 403, ReasonCrossOrigin},
		{"WebSocket, origin only", withCookie("GET", "Origin", "https://evil.example", "Upgrade", "WebSocket"), nil, 403, ReasonCrossOrigin},
		{"WebSocket of its own", withCookie("GET", "Origin", "https://api.example.com", "Upgrade", "websocket"), nil, 200, ""},
		{"no cookie", httptest.NewRequest("GET", "/", nil), nil, 401, ReasonMissingToken},
		{"unknown session", withCookie("GET", "Cookie", "s=2"), nil, 401, ReasonNoSession},
		{"another scheme beside it", withCookie("GET", "Authorization", "Basic YTpi"), nil, 401, ReasonMissingToken},
		{"bad token beside it", withCookie("GET", "Authorization", "Bearer nonsense"), nil, 401, ReasonMalformed},
		{"scope", withCookie("GET"), []Demand{Scope("admin")}, 403, ReasonInsufficientScope},
		{"client", withCookie("GET"), []Demand{Clients("other")}, 403, ReasonWrongClient},
		{"uses", withCookie("GET"), []Demand{SingleUse()}, 403, ReasonNotSingleUse},
	} {
		t.Run(test.name, func(t *testing.T) {
			cookieBubble(t, func(t *testing.T, _ *fakeAuthority, g *Guard, _ *fakeSessions) {
				w := answerTo(g.Require(letThrough, append(test.demands, AllowCookie())...), test.request)
				if got := w.Header().Get("Jeton-Reason"); w.Code != test.status || got != test.reason {
					t.Errorf("%d %q, want %d %q", w.Code, got, test.status, test.reason)
				}
				if w.Header().Get("Set-Cookie") != "" {
					t.Error("the guard touches the cookie")
				}
				if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (test.status == 401 || test.reason == ReasonInsufficientScope) {
					t.Errorf("challenge %q", challenge)
				}
			})
		})
	}
}

// A header decides alone, also when cookie and header are two people's.
func TestAllowCookie_HeaderWins(t *testing.T) {
	cookieBubble(t, func(t *testing.T, a *fakeAuthority, g *Guard, s *fakeSessions) {
		h := g.Require(http.HandlerFunc(hello), AllowCookie())
		bob := a.mint(func(c *jwt.Claims) { c.Subject = "bob" })
		w := answerTo(h, withCookie("POST", "Authorization", "Bearer "+bob, "Sec-Fetch-Site", "cross-site"))
		if w.Code != http.StatusOK || w.Body.String() != "hello bob" || s.asked != 0 {
			t.Errorf("%d %s; the cookie was looked at %d times", w.Code, w.Body, s.asked)
		}
	})
}

func TestAllowCookie_OtherRoutesTakeNone(t *testing.T) {
	cookieBubble(t, func(t *testing.T, _ *fakeAuthority, g *Guard, s *fakeSessions) {
		w := answerTo(g.Require(letThrough), withCookie("GET"))
		if w.Header().Get("Jeton-Reason") != ReasonMissingToken || s.asked != 0 {
			t.Errorf("%v, asked %d", w.Header(), s.asked)
		}
	})
	bubble(t, func(t *testing.T, _ *fakeAuthority, g *Guard) { // without a source
		if w := answerTo(g.Require(letThrough, AllowCookie()), withCookie("GET")); w.Header().Get("Jeton-Reason") != ReasonMissingToken {
			t.Errorf("%v", w.Header())
		}
	})
}

func TestAllowCookie_NoTokenAtTheMoment(t *testing.T) {
	cookieBubble(t, func(t *testing.T, _ *fakeAuthority, g *Guard, s *fakeSessions) {
		s.err = errors.New("the authority is down")
		w := answerTo(g.Require(letThrough, AllowCookie()), withCookie("GET"))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Jeton-Reason") != ReasonSessionUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
}

// A browser has no token to refresh, so the guard has the session's replaced.
func TestAllowCookie_AnotherTokenOfTheSession(t *testing.T) {
	cookieBubble(t, func(t *testing.T, a *fakeAuthority, g *Guard, s *fakeSessions) {
		h := g.Require(letThrough, AllowCookie(), MaxAge(time.Minute))
		time.Sleep(2 * time.Minute)
		if got := answerTo(h, withCookie("GET")).Header().Get("Jeton-Reason"); got != ReasonTooOld {
			t.Errorf("no other token: %q, want the first refusal", got)
		}
		s.other = a.mint()
		if w := answerTo(h, withCookie("GET")); w.Code != http.StatusOK {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
}

func TestAllowCookie_PolicyForbids(t *testing.T) {
	cookieBubble(t, func(t *testing.T, a *fakeAuthority, g *Guard, s *fakeSessions) {
		allows, ignores := g.Require(letThrough, AllowCookie()), g.Require(letThrough)
		a.demand("tokens", "", "/reports", `{"no_cookie":true}`)
		if got := answerTo(allows, withCookie("GET")).Header().Get("Jeton-Reason"); got != ReasonCookieNotAllowed {
			t.Errorf("%q, want %q", got, ReasonCookieNotAllowed)
		}
		if got := answerTo(ignores, withCookie("GET")).Header().Get("Jeton-Reason"); got != ReasonMissingToken {
			t.Errorf("%q, want %q", got, ReasonMissingToken)
		}
		if got := through(allows, s.token, "GET", "/reports"); got != "" {
			t.Errorf("a token: %q", got)
		}
		a.demand("tokens", "", "", "")
		if w := answerTo(allows, withCookie("GET")); w.Code != http.StatusOK {
			t.Errorf("without the policy: %d", w.Code)
		}
	})
}

// The restrictions that a token carries hold for the cookie's request too.
func TestAllowCookie_RestrictionsHold(t *testing.T) {
	cookieBubble(t, func(t *testing.T, a *fakeAuthority, g *Guard, s *fakeSessions) {
		h := g.Require(letThrough, AllowCookie())
		s.token = a.mint(func(c *jwt.Claims) { c.URL = "https://api.example.com/other" })
		if got := answerTo(h, withCookie("GET")).Header().Get("Jeton-Reason"); got != ReasonWrongURL {
			t.Errorf("%q, want %q", got, ReasonWrongURL)
		}
		s.token = a.mint(func(c *jwt.Claims) { c.Confirmation.KeyThumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" })
		if w := answerTo(h, withCookie("GET")); w.Code != http.StatusUnauthorized {
			t.Errorf("a token bound to a key: %d", w.Code)
		}
	})
}
