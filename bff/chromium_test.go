package bff_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/bff"
)

// chromium starts a browser with a profile of its own. Without one on PATH the test is skipped, or fails where
// everything must run.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("JETON_TEST_ALL") == "1" {
			t.Fatal("chromium is not on PATH")
		}
		t.Skip("chromium is not on PATH")
	}
	profile, err := os.MkdirTemp(t.TempDir(), "profile")
	must(t, err)
	t.Cleanup(func() { // its processes may write there for a moment after it stopped
		for range 100 {
			if os.RemoveAll(profile) == nil {
				return
			}
			<-time.After(50 * time.Millisecond)
		}
	})
	allocator, stop := chromedp.NewExecAllocator(t.Context(),
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("ignore-certificate-errors", true), // of our own servers
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(time.Minute),
	)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func browse(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func heading(text string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(`//h1[contains(normalize-space(.), "` + text + `")]`)
}

// read evaluates an expression in the page, and waits for it if it is a promise.
func read(t *testing.T, ctx context.Context, expression string) string {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

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
			ctx := chromium(t)
			w := worldAt(t, newGate(t, test.start), func(c *bff.Config) { c.StrictCookie = test.strict })
			browse(t, ctx, chromedp.Navigate(w.public+"/"), heading("Shop"))
			if got := read(t, ctx, calls); got != "401 "+jeton.ReasonNoSession {
				t.Errorf("before: %s", got)
			}
			browse(t, ctx, chromedp.Navigate(w.public+"/auth/sign-in?return_to=/%3Fback"), heading("Sign in"),
				chromedp.SendKeys("#login", "ada"), chromedp.SendKeys("#password", password+kb.Enter), heading("Shop"))
			if at := read(t, ctx, `location.href`); at != w.public+"/?back" {
				t.Errorf("signing in leads to %s", at)
			}
			if got := read(t, ctx, `fetch("/auth/session").then(r => r.text())`); !strings.Contains(got, `"name":"Ada Lovelace"`) {
				t.Errorf("session: %s", got)
			}
			if got := read(t, ctx, calls); got != "200 null" {
				t.Errorf("signed in: %s", got)
			}
			if got := read(t, ctx, `document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)`); got != "{}{}" {
				t.Errorf("scripts can see %s", got)
			}
			w.attack(t, ctx)
			browse(t, ctx, chromedp.Navigate(w.public+"/"), heading("Shop"))
			if got := read(t, ctx, calls); got != "200 null" {
				t.Errorf("after the attacks: %s", got)
			}
			out := `fetch("/auth/sign-out", {method: "POST", headers: {Accept: "application/json"}}).then(r => r.json()).then(v => v.end_session_url)`
			everywhere := read(t, ctx, out)
			if got := read(t, ctx, calls); got != "401 "+jeton.ReasonNoSession {
				t.Errorf("after signing out: %s", got)
			}
			// The authority asks, because anybody can link to this address.
			browse(t, ctx, chromedp.Navigate(everywhere), heading("Sign out"), chromedp.Click(`button[type=submit]`), heading("Shop"),
				chromedp.Navigate(w.public+"/auth/sign-in"), heading("Sign in"))
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
			browse(t, ctx, chromedp.Navigate(origin+"/?to="+to), heading("Evil"), chromedp.Click(`button`), chromedp.WaitVisible(`//body[contains(., "cross_origin")]`))
		}
		browse(t, ctx, chromedp.Navigate(origin+"/"), heading("Evil"))
		if got := read(t, ctx, `fetch("`+w.public+`/api/reports", {credentials: "include"}).then(r => r.text(), e => "cannot be read")`); got != "cannot be read" {
			t.Errorf("%s reads %s", origin, got)
		}
	}
}
