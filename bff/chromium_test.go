package bff_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/bff"
	"github.com/jetonhq/jeton/internal/browsertest"
)

const calls = `fetch("/api/reports", {method: "POST", body: "a=b"}).then(r => r.status + " " + r.headers.get("Jeton-Reason"))`

// The whole life of a sign-in in a real browser, over https with the cookie as it is in production, and over http as
// in development: sign in, call the API, be attacked by pages of other origins, sign out.
func TestChromium(t *testing.T) {
	for _, test := range []struct {
		name   string
		start  func(http.Handler) *httptest.Server
		strict bool
	}{
		{"https", httptest.NewTLSServer, false},
		{"https, strict", httptest.NewTLSServer, true},
		{"http on loopback", httptest.NewServer, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := browsertest.Chromium(t)
			w := worldAt(t, newGate(t, test.start), func(c *bff.Config) { c.StrictCookie = test.strict })
			browsertest.Do(t, ctx, chromedp.Navigate(w.public+"/"), browsertest.Heading("Shop"))
			if got := browsertest.Read[string](t, ctx, calls); got != "401 "+jeton.ReasonNoSession {
				t.Errorf("before: %s", got)
			}
			browsertest.Do(t, ctx, chromedp.Navigate(w.public+"/auth/sign-in?return_to=/%3Fback"), browsertest.Heading("Sign in"),
				chromedp.SendKeys("#login", "ada"), chromedp.SendKeys("#password", password+kb.Enter), browsertest.Heading("Shop"))
			if at := browsertest.Read[string](t, ctx, `location.href`); at != w.public+"/?back" {
				t.Errorf("signing in leads to %s", at)
			}
			if got := browsertest.Read[string](t, ctx, `fetch("/auth/session").then(r => r.text())`); !strings.Contains(got, `"name":"Ada Lovelace"`) {
				t.Errorf("session: %s", got)
			}
			if got := browsertest.Read[string](t, ctx, calls); got != "200 null" {
				t.Errorf("signed in: %s", got)
			}
			if got := browsertest.Read[string](t, ctx, `document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)`); got != "{}{}" {
				t.Errorf("scripts can see %s", got)
			}
			w.attack(t, ctx)
			browsertest.Do(t, ctx, chromedp.Navigate(w.public+"/"), browsertest.Heading("Shop"))
			if got := browsertest.Read[string](t, ctx, calls); got != "200 null" {
				t.Errorf("after the attacks: %s", got)
			}
			out := `fetch("/auth/sign-out", {method: "POST", headers: {Accept: "application/json"}}).then(r => r.json()).then(v => v.end_session_url)`
			everywhere := browsertest.Read[string](t, ctx, out)
			if got := browsertest.Read[string](t, ctx, calls); got != "401 "+jeton.ReasonNoSession {
				t.Errorf("after signing out: %s", got)
			}
			// The authority asks, because anybody can link to this address.
			browsertest.Do(t, ctx, chromedp.Navigate(everywhere), browsertest.Heading("Sign out"), chromedp.Click(`button[type=submit]`), browsertest.Heading("Shop"),
				chromedp.Navigate(w.public+"/auth/sign-in"), browsertest.Heading("Sign in"))
		})
	}
}

// attack has pages of another site, and of another port of this one, post with whatever cookies the browser sends.
func (w *world) attack(t *testing.T, ctx context.Context) {
	t.Helper()
	evil := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(rw, `<!doctype html><h1>Evil</h1><form method="post" action="`+w.public+r.URL.Query().Get("to")+`"><input name="a" value="b"><button>Win</button></form>`)
	}))
	defer evil.Close()
	for _, origin := range []string{evil.URL, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)} {
		for _, to := range []string{"/api/reports", "/auth/sign-out"} {
			browsertest.Do(t, ctx, chromedp.Navigate(origin+"/?to="+to), browsertest.Heading("Evil"), chromedp.Click(`button`), chromedp.WaitVisible(`//body[contains(., "cross_origin")]`))
		}
		browsertest.Do(t, ctx, chromedp.Navigate(origin+"/"), browsertest.Heading("Evil"))
		if got := browsertest.Read[string](t, ctx, `fetch("`+w.public+`/api/reports", {credentials: "include"}).then(r => r.text(), e => "cannot be read")`); got != "cannot be read" {
			t.Errorf("%s reads %s", origin, got)
		}
	}
}
