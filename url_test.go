package jeton

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/jetonhq/jeton/jwt"
)

func TestURL_Enforced(t *testing.T) {
	const origin = "https://api.example.com"
	forURL := func(u string) func(*jwt.Claims) { return func(c *jwt.Claims) { c.URL = u } }
	hashed := func(u string) func(*jwt.Claims) { return func(c *jwt.Claims) { c.URLHash = urlHash(u) } }
	tests := []struct {
		name   string
		claims func(*jwt.Claims)
		method string
		target string
		public string
		want   string
	}{
		{name: "its URL", claims: forURL(origin + "/reports/7"), target: "/reports/7"},
		{name: "its URL with a query it does not name", claims: forURL(origin + "/reports/7"), target: "/reports/7?page=2"},
		{name: "its query", claims: forURL(origin + "/reports?id=7&b=1"), target: "/reports?id=7&b=1"},
		{name: "another query", claims: forURL(origin + "/reports?id=7"), target: "/reports?id=8", want: ReasonWrongURL},
		{name: "more query", claims: forURL(origin + "/reports?id=7"), target: "/reports?id=7&id=8", want: ReasonWrongURL},
		{name: "no query", claims: forURL(origin + "/reports?id=7"), target: "/reports", want: ReasonWrongURL},
		{name: "an empty query is named", claims: forURL(origin + "/reports?"), target: "/reports?id=7", want: ReasonWrongURL},
		{name: "another path", claims: forURL(origin + "/reports/7"), target: "/reports/8", want: ReasonWrongURL},
		{name: "a longer path", claims: forURL(origin + "/reports/7"), target: "/reports/7/all", want: ReasonWrongURL},
		{name: "a shorter path", claims: forURL(origin + "/reports/7"), target: "/reports", want: ReasonWrongURL},
		{name: "a slash more", claims: forURL(origin + "/reports/7"), target: "/reports/7/", want: ReasonWrongURL},
		{name: "another case", claims: forURL(origin + "/reports/a"), target: "/reports/A", want: ReasonWrongURL},
		{name: "written in another way", claims: forURL(origin + "/reports/~a"), target: "/reports/%7Ea", want: ReasonWrongURL},
		{name: "an escaped slash is none", claims: forURL(origin + "/reports/a/b"), target: "/reports/a%2Fb", want: ReasonWrongURL},
		{name: "an escaped slash", claims: forURL(origin + "/reports/a%2Fb"), target: "/reports/a%2Fb"},
		{name: "the root", claims: forURL(origin + "/"), target: "/"},
		{name: "another origin", claims: forURL("https://evil.example.com/reports/7"), target: "/reports/7", want: ReasonWrongURL},
		{name: "an origin that begins alike", claims: forURL("https://api.example.com.evil.test/reports/7"), target: "/reports/7", want: ReasonWrongURL},
		{name: "http", claims: forURL("http://api.example.com/reports/7"), target: "/reports/7", want: ReasonWrongURL},
		{name: "the host of the request counts for nothing", claims: forURL("https://evil.example.com/x"), target: "https://evil.example.com/x", want: ReasonWrongURL},
		{name: "its hash", claims: hashed(origin + "/reports/7"), target: "/reports/7"},
		{name: "its hash, any query", claims: hashed(origin + "/reports/7"), target: "/reports/7?page=2"},
		{name: "its hash with a query", claims: hashed(origin + "/reports?id=7"), target: "/reports?id=7"},
		{name: "hash of another query", claims: hashed(origin + "/reports?id=7"), target: "/reports?id=8", want: ReasonWrongURL},
		{name: "hash of another path", claims: hashed(origin + "/reports/7"), target: "/reports/8", want: ReasonWrongURL},
		{name: "both, one wrong", claims: func(c *jwt.Claims) { c.URL, c.URLHash = origin+"/a", urlHash(origin+"/b") }, target: "/a", want: ReasonWrongURL},
		{name: "its method", claims: func(c *jwt.Claims) { c.Method = http.MethodPost }, method: http.MethodPost, target: "/x"},
		{name: "another method", claims: func(c *jwt.Claims) { c.Method = http.MethodPost }, target: "/x", want: ReasonWrongURL},
		{name: "HEAD is not GET", claims: func(c *jwt.Claims) { c.Method = http.MethodGet }, method: http.MethodHead, target: "/x", want: ReasonWrongURL},
		{name: "URL right, method wrong", claims: func(c *jwt.Claims) { c.URL, c.Method = origin+"/x", http.MethodPost }, target: "/x", want: ReasonWrongURL},
		{name: "behind a proxy that takes a part away", public: "https://example.com/api", claims: forURL("https://example.com/api/reports/7"), target: "/reports/7"},
		{name: "the same token elsewhere", public: "https://example.com/other", claims: forURL("https://example.com/api/reports/7"), target: "/reports/7", want: ReasonWrongURL},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
				token := a.mint(test.claims)
				h := g.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
				method := test.method
				if method == "" {
					method = http.MethodGet
				}
				for sight := range 2 {
					r := httptest.NewRequest(method, test.target, nil)
					r.Header.Set("Authorization", "Bearer "+token)
					r.Header.Set("X-Forwarded-Host", "evil.example.com")
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					if got := w.Header().Get("Jeton-Reason"); got != test.want {
						t.Errorf("sight %d: %q, want %q", sight, got, test.want)
					}
					if test.want == "" && w.Code != http.StatusOK || test.want != "" && w.Code != http.StatusForbidden {
						t.Errorf("sight %d: status %d", sight, w.Code)
					}
					if w.Header().Get("WWW-Authenticate") != "" {
						t.Error("a challenge, and yet another token of this kind would not help")
					}
				}
				// By hand: only with the request.
				if got := check(t, g, token); got != ReasonWrongURL {
					t.Errorf("without a request: %q", got)
				}
				if _, err := g.Check(context.Background(), token, ForRequest(httptest.NewRequest(method, test.target, nil))); reasonOf(t, err) != test.want {
					t.Errorf("for a request: %v, want %q", err, test.want)
				}
			}, func(c *Config) { c.PublicURL = test.public })
		})
	}
}

func TestURL_UnknownOrigin(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint(func(c *jwt.Claims) { c.Audience, c.URL = []string{"reports"}, "https://api.example.com/x" })
		if got, want := check(t, g, token, ForRequest(httptest.NewRequest(http.MethodGet, "/x", nil))), ReasonUnsupported; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}, func(c *Config) { c.Audience = "reports" })
}

func TestURL_PublicURLIsChecked(t *testing.T) {
	for _, bad := range []string{"api.example.com", "https://api.example.com/", "https://u@api.example.com", "https://api.example.com?x", "ftp://api.example.com"} {
		c := newFakeAuthority(t).config()
		c.PublicURL = bad
		if g, err := NewGuard(c); err == nil {
			_ = g.Close()
			t.Errorf("%q was taken", bad)
		}
	}
}
