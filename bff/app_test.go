package bff_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/bff"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func TestSignIn_SessionProxySignOut(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.wantSession("before", false)
	b.do(http.MethodGet, "/api/reports", "").wants(t, http.StatusUnauthorized, jeton.ReasonNoSession)
	b.signIn()
	who := b.who()
	if who["signed_in"] != true || who["sub"] == "" {
		t.Fatalf("%v", who)
	}
	if diff := cmp.Diff(map[string]any{"name": "Ada Lovelace", "email": "ada@example.com"}, who["claims"]); diff != "" {
		t.Errorf("claims: %s", diff)
	}
	got := b.do(http.MethodPost, "/api/reports?page=2", "a=b", "Authorization", "Bearer stolen", "DPoP", "proof").seen(t)
	if got.Method != "POST" || got.Path != "/v1/reports" || got.Query != "page=2" || got.Body != "a=b" || got.Subject != who["sub"] {
		t.Errorf("the API saw %+v", got)
	}
	for _, name := range []string{"Cookie", "DPoP", "Proxy-Authorization"} {
		if got.Header.Get(name) != "" {
			t.Errorf("the API got %s", name)
		}
	}

	a := b.do(http.MethodPost, "/auth/sign-out", "", "Accept", "application/json")
	if a.status != http.StatusOK || !strings.Contains(a.body, `"signed_out":true`) || !strings.Contains(a.body, w.issuer+"/end_session?") {
		t.Errorf("sign-out: %d %s", a.status, a.body)
	}
	if b.cookie() != "" {
		t.Error("the cookie is still there")
	}
	b.wantSession("after", false)
	if n := w.authority.count("/revoke"); n != 1 {
		t.Errorf("%d revocations, want 1", n)
	}
	// The same as a form, with nobody signed in.
	if a := b.do(http.MethodPost, "/auth/sign-out", "everywhere=1"); a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), w.issuer+"/end_session?client_id=shop") {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := b.do(http.MethodPost, "/auth/sign-out", "return_to=//evil.example"); a.header.Get("Location") != w.public+"/" {
		t.Errorf("%v", a.header)
	}
}

// What a guarded handler finds is the same by cookie and by header, and the guard's other rules hold.
func TestSessions_GuardedHandlerInTheSameProgram(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	g := w.guardOf(func(c *jeton.Config) { c.Sessions = w.app.Sessions() })
	mux := http.NewServeMux()
	mux.Handle("/auth/", w.app)
	mux.Handle("/api/", w.app)
	mux.Handle("/own/", g.Require(http.HandlerFunc(echo), jeton.Scope("read"), jeton.AllowCookie()))
	mux.Handle("/own/admin", g.Require(http.HandlerFunc(echo), jeton.Scope("write"), jeton.AllowCookie()))
	mux.Handle("/own/tokens", g.Require(http.HandlerFunc(echo)))
	w.front.set(mux)
	byCookie, byHeader := b.do(http.MethodGet, "/own/x", "").seen(t), b.do(http.MethodGet, "/api/x", "").seen(t)
	if diff := cmp.Diff(string(byHeader.Claims), string(byCookie.Claims)); diff != "" {
		t.Errorf("claims differ: %s", diff)
	}
	b.do(http.MethodGet, "/own/admin", "").wants(t, http.StatusForbidden, jeton.ReasonInsufficientScope)
	b.do(http.MethodGet, "/own/tokens", "").wants(t, http.StatusUnauthorized, jeton.ReasonMissingToken)
	b.do(http.MethodPost, "/own/x", "", "Sec-Fetch-Site", "cross-site").wants(t, http.StatusForbidden, jeton.ReasonCrossOrigin)
	b.do(http.MethodPost, "/own/x", "").seen(t)
	w.browser().do(http.MethodGet, "/own/x", "", "Cookie", "jeton-bff=0").wants(t, http.StatusUnauthorized, jeton.ReasonNoSession)
}

func TestCSRF_BRO_2(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	for _, path := range []string{"/api/reports", "/auth/sign-out"} {
		for _, from := range []string{"cross-site", "same-site"} {
			b.do(http.MethodPost, path, "", "Sec-Fetch-Site", from).wants(t, http.StatusForbidden, jeton.ReasonCrossOrigin)
		}
		b.do(http.MethodPost, path, "", "Sec-Fetch-Site", "", "Origin", "https://evil.example").wants(t, http.StatusForbidden, jeton.ReasonCrossOrigin)
	}
	b.do(http.MethodGet, "/api/socket", "", "Sec-Fetch-Site", "same-site", "Upgrade", "websocket").wants(t, http.StatusForbidden, jeton.ReasonCrossOrigin)
	b.wantSession("after forged requests", true)
}

// SPECS BRO-2, HT-1: on https the names have the prefix, and every attribute is there.
func TestCookies_HT_1(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		public, name, attributes string
	}{
		{"https://shop.example.com", "__Host-jeton-bff-signin-", "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"},
		{w.public, "jeton-bff-signin-", "; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"},
	} {
		c := w.config
		c.PublicURL = test.public
		app, err := bff.New(c)
		must(t, err)
		w.front.set(app)
		a := w.browser().do(http.MethodGet, "/auth/sign-in", "")
		set := a.header.Get("Set-Cookie")
		if !strings.HasPrefix(set, test.name) || !strings.HasSuffix(set, test.attributes) || len(set) > 1024 {
			t.Errorf("%s: %s", test.public, set)
		}
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("Cache-Control %q", a.header.Get("Cache-Control"))
		}
	}
}

// SPECS HT-2, ASVS 7.2.4: a new id at each sign-in; the old one is dead, and so is its grant.
func TestSignIn_RotatesTheSession(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	old := b.cookie()
	b.signIn()
	if b.cookie() == old {
		t.Error("the cookie is the same")
	}
	w.browser().do(http.MethodGet, "/api/x", "", "Cookie", "jeton-bff="+old).wants(t, http.StatusUnauthorized, jeton.ReasonNoSession)
	until(t, "the old grant is ended", func() bool { return w.authority.count("/revoke") == 1 })
	b.do(http.MethodGet, "/api/x", "").seen(t)
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func TestSignIn_Refused(t *testing.T) {
	w := newWorld(t)
	// begin is a sign-in that the authority has answered, and the callback it answered with.
	begin := func() (*browser, url.Values) {
		b := w.browser()
		a := b.do(http.MethodGet, "/auth/sign-in", "")
		at, err := url.Parse(a.header.Get("Location"))
		must(t, err)
		return b, url.Values{"state": {at.Query().Get("state")}, "iss": {w.issuer}, "code": {"made-up"}}
	}
	for name, edit := range map[string]func(q url.Values){
		"no state":                func(q url.Values) { q.Del("state") },
		"another state":           func(q url.Values) { q.Set("state", q.Get("state")[:20]+strings.Repeat("A", 23)) },
		"made-up state":           func(q url.Values) { q.Set("state", "x") },
		"no issuer, RFC 9207":     func(q url.Values) { q.Del("iss") },
		"another issuer":          func(q url.Values) { q.Set("iss", "https://evil.example") },
		"error of another issuer": func(q url.Values) { q.Set("iss", "https://evil.example"); q.Set("error", "access_denied") },
		"error":                   func(q url.Values) { q.Set("error", "access_denied") },
		"parameter twice":         func(q url.Values) { q.Add("code", "other") },
		"code that is none":       func(url.Values) {},
	} {
		t.Run(name, func(t *testing.T) {
			b, q := begin()
			before := w.authority.count("/token")
			edit(q)
			a := b.do(http.MethodGet, "/auth/callback?"+q.Encode(), "")
			if a.status < 400 || !strings.Contains(a.body, "Not signed in") || b.cookie() != "" {
				t.Errorf("%d %s", a.status, a.body)
			}
			if asked := w.authority.count("/token") > before; asked != (name == "code that is none") {
				t.Errorf("the code was presented: %v", asked)
			}
		})
	}
	t.Run("another browser", func(t *testing.T) {
		_, q := begin()
		if a := w.browser().do(http.MethodGet, "/auth/callback?"+q.Encode(), ""); a.status != http.StatusBadRequest {
			t.Errorf("%d", a.status)
		}
	})
	t.Run("too late", func(t *testing.T) {
		b, q := begin()
		w.clock.advance(11 * time.Minute)
		if a := b.do(http.MethodGet, "/auth/callback?"+q.Encode(), ""); a.status != http.StatusBadRequest {
			t.Errorf("%d", a.status)
		}
	})
}

func TestSignIn_ReturnsToOwnPathsOnly(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	for asked, want := range map[string]string{
		"/reports?year=2026#top": "/reports?year=2026#top",
		"":                       "/", "reports": "/", "https://evil.example/": "/", "//evil.example": "/", `/\evil.example`: "/",
		"/\t/evil.example": "/", "/\n/evil": "/", "javascript:alert(1)": "/", "/é": "/",
		"/..//evil.example":            "/..//evil.example", // behind our origin, a path of ours
		"/" + strings.Repeat("x", 300): "/",
	} {
		a := b.do(http.MethodGet, "/auth/sign-in?"+url.Values{"return_to": {asked}}.Encode(), "")
		for a.header.Get("Location") != "" && !strings.HasPrefix(a.header.Get("Location"), w.public+"/auth/callback") {
			next, err := a.at.Parse(a.header.Get("Location"))
			must(t, err)
			a = b.do(http.MethodGet, next.String(), "")
		}
		if a = b.do(http.MethodGet, a.header.Get("Location"), ""); a.status != http.StatusSeeOther || a.header.Get("Location") != w.public+want {
			t.Errorf("%q leads to %d %q", asked, a.status, a.header.Get("Location"))
		}
	}
}

// Several tabs sign in at once, in any order; what is not finished does not pile up.
func TestSignIn_Tabs(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	first, second := b.do(http.MethodGet, "/auth/sign-in", ""), b.do(http.MethodGet, "/auth/sign-in", "")
	for _, tab := range []told{second, first} {
		if a := b.follow(tab); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	for range 20 {
		b.do(http.MethodGet, "/auth/sign-in", "")
	}
	u, err := url.Parse(w.public)
	must(t, err)
	if n := len(b.http.Jar.Cookies(u)); n > 11 {
		t.Errorf("%d cookies", n)
	}
}

func TestRefresh_FiftyRequestsOneRefresh(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	before := w.authority.count("/token")
	w.clock.advance(10 * time.Minute) // the token has expired
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "") })
	}
	all.Wait()
	if n := w.authority.count("/token") - before; n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
}

// Nobody waits for a refresh that comes ahead of expiry.
func TestRefresh_AheadOfExpiry(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	before := w.authority.count("/token")
	w.clock.advance(4*time.Minute + 30*time.Second)
	b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "")
	until(t, "refreshed", func() bool { return w.app.Stats().Refreshes == 1 })
	b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "")
	if n := w.authority.count("/token") - before; n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
}

// A refusal that another token mends is mended on the server, for any method.
func TestProxy_RefusedTokenIsReplaced(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	w.clock.advance(2 * time.Minute)
	if got := b.do(http.MethodPost, "/api/fresh", "a=b").seen(t); got.Body != "a=b" {
		t.Errorf("%+v", got)
	}
	b.do(http.MethodGet, "/api/never", "").wants(t, http.StatusForbidden, jeton.ReasonInsufficientScope)
}

func TestOutage_KeepsPeopleSignedIn(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	cookie := b.cookie()
	w.shut()
	w.clock.advance(10 * time.Minute)
	for range 3 {
		a := b.do(http.MethodGet, "/api/x", "")
		a.wants(t, http.StatusServiceUnavailable, jeton.ReasonSessionUnavailable)
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		w.clock.advance(2 * time.Second)
	}
	b.wantSession("while the authority is down", true)
	w.open()
	w.clock.advance(time.Minute)
	until(t, "the guard is ready again", w.guard.Ready)
	b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "")
	if b.cookie() != cookie {
		t.Error("the cookie has changed")
	}
}

// Only the authority's word ends a session, and not even that takes the cookie.
func TestRefresh_InvalidGrantEndsTheSession(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	w.front.set(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth/back-channel" { // which would be faster
			http.NotFound(rw, r)
			return
		}
		w.app.ServeHTTP(rw, r)
	}))
	sub, _ := b.who()["sub"].(string)
	id, err := secret.ParseID(sub)
	must(t, err)
	must(t, w.parts.Accounts.EndSessions(t.Context(), authority.System, id, secret.ID{}, "test"))
	w.clock.advance(10 * time.Minute)
	b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusUnauthorized, jeton.ReasonNoSession)
	b.wantSession("after", false)
	if b.cookie() == "" {
		t.Error("the cookie is gone")
	}
	if got := w.app.Stats().Ended; got != 1 {
		t.Errorf("%d ended", got)
	}
}

func TestLifetimes_ASVS_7_3(t *testing.T) {
	w := newWorld(t, func(c *bff.Config) { c.Idle, c.Absolute = time.Hour, 3*time.Hour })
	idle, busy := w.browser().signIn(), w.browser().signIn()
	for range 5 {
		w.clock.advance(30 * time.Minute)
		busy.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "")
	}
	idle.wantSession("after 150 idle minutes", false)
	busy.wantSession("after 150 busy minutes", true)
	w.clock.advance(31 * time.Minute)
	busy.wantSession("after three hours", false)
	busy.do(http.MethodGet, "/api/x", "").wants(t, http.StatusUnauthorized, jeton.ReasonNoSession)
}

func TestProxy_AnswersAreCleaned(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	a := b.do(http.MethodGet, "/api/talks", "")
	h := a.header
	if h.Get("Set-Cookie") != "" || h.Get("Access-Control-Allow-Origin") != "" || h.Get("Cache-Control") != "private, max-age=60" || !strings.Contains(h.Get("Vary"), "Cookie") {
		t.Errorf("%v", h)
	}
	if got := b.do(http.MethodGet, "/api/x", "").header.Get("Cache-Control"); got != "private, no-store" {
		t.Errorf("Cache-Control %q", got)
	}
}

func TestProxy_StaysBelowItsUpstream(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	for _, path := range []string{"/api/..%2f..%2fadmin", "/api/%2e%2e/admin", "/api/a/%2e%2e%5c/x", "/%61pi/x"} {
		a := b.do(http.MethodGet, path, "")
		if a.status == http.StatusOK {
			t.Errorf("%s reached %s", path, a.body)
		}
	}
	if got := b.do(http.MethodGet, "/api/a%2Fb/c", "").seen(t); got.Path != "/v1/a/b/c" {
		t.Errorf("%+v", got)
	}
}
