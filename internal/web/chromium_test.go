package web_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/jetonhq/jeton/internal/browsertest"
)

// chromium starts a browser with a window of the usual size.
func chromium(t *testing.T) context.Context {
	t.Helper()
	ctx := browsertest.Chromium(t)
	browsertest.Do(t, ctx, chromedp.EmulateViewport(1000, 760))
	return ctx
}

// scripts switches scripts on or off.
func scripts(on bool) browsertest.Step {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}

// scheme makes the browser prefer "light" or "dark".
func scheme(name string) browsertest.Step {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return err
	})
}

// focused waits until what is typed goes to the element with this id: keys
// pressed before the page has given it the focus are lost.
func focused(t *testing.T, ctx context.Context, id string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if browsertest.Read[bool](t, ctx, `document.activeElement !== null && document.activeElement.id === "`+id+`"`) {
			return
		}
	}
	t.Fatalf("%s never gets the focus", id)
}

// arrived waits for what the browser brings to the client.
func (s *site) arrived() url.Values {
	s.t.Helper()
	select {
	case v := <-s.answers:
		return v
	case <-time.After(30 * time.Second):
		s.t.Fatal("nothing arrived at the client")
		return nil
	}
}

// tabTo presses Tab until the element with this text or name has the focus.
func tabTo(t *testing.T, ctx context.Context, want string) {
	t.Helper()
	var got string
	for range 12 {
		browsertest.Do(t, ctx, chromedp.KeyEvent(kb.Tab))
		got = browsertest.Read[string](t, ctx, `document.activeElement.innerText`)
		if strings.Contains(got, want) {
			return
		}
	}
	t.Fatalf("Tab never reaches %q, last %q", want, got)
}

func TestChromium_KeyboardOnlyFromSignInToCode(t *testing.T) {
	s := newSite(t, options{})
	ctx := chromium(t)
	browsertest.Do(t, ctx, chromedp.Navigate(s.authorize("reports")), browsertest.Heading("Sign in"))
	focused(t, ctx, "login")
	browsertest.Do(t, ctx, chromedp.KeyEvent("ada"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("wrong"), chromedp.KeyEvent(kb.Enter),
		chromedp.WaitVisible(`[role=alert]`))
	focused(t, ctx, "password")
	browsertest.Do(t, ctx, chromedp.KeyEvent(password), chromedp.KeyEvent(kb.Enter), // the focus is on the password now
		browsertest.Heading("Allow Reports"))
	tabTo(t, ctx, "Allow")
	if !browsertest.Read[bool](t, ctx, `document.activeElement.matches(":focus-visible") && getComputedStyle(document.activeElement).outlineStyle == "solid"`) {
		t.Error("the focus cannot be seen")
	}
	browsertest.Do(t, ctx, chromedp.KeyEvent(kb.Enter), browsertest.Heading("arrived"))
	got := s.arrived()
	if !strings.HasPrefix(got.Get("code"), "jc_") || got.Get("state") != "s1" || got.Get("iss") != s.url {
		t.Errorf("arrived %v", got)
	}
}

func TestChromium_FormPost(t *testing.T) {
	s := newSite(t, options{})
	for name, on := range map[string]bool{"with scripts": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			ctx := chromium(t)
			browsertest.Do(t, ctx, scripts(on),
				chromedp.Navigate(s.authorize("own", "response_mode", "form_post", "state", `"&<'`)))
			focused(t, ctx, "login")
			browsertest.Do(t, ctx, chromedp.KeyEvent("ada"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(password), chromedp.KeyEvent(kb.Enter))
			if !on {
				browsertest.Do(t, ctx, chromedp.WaitVisible(`//button[contains(., "Continue")]`),
					chromedp.Click(`//button[contains(., "Continue")]`))
			}
			if got := s.arrived(); got.Get("code") == "" || got.Get("state") != `"&<'` {
				t.Errorf("arrived %v", got)
			}
		})
	}
}

// A browser holds the policy of a form against every redirect after it, also
// those of the client's own servers.
func TestChromium_HT_5_PolicyDoesNotStopTheClientsRedirects(t *testing.T) {
	s := newSite(t, options{})
	elsewhere := newSite(t, options{}) // another origin
	s.onward = elsewhere.url + "/signed-out"
	ctx := chromium(t)
	browsertest.Do(t, ctx, chromedp.Navigate(s.authorize("own")), browsertest.Heading("Sign in"))
	focused(t, ctx, "login")
	browsertest.Do(t, ctx, chromedp.KeyEvent("ada"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(password), chromedp.KeyEvent(kb.Enter),
		browsertest.Heading("You are signed out"))
	if got := s.arrived(); got.Get("code") == "" {
		t.Errorf("arrived %v", got)
	}
}

func TestChromium_SignOut(t *testing.T) {
	s := newSite(t, options{})
	ctx := chromium(t)
	browsertest.Do(t, ctx, chromedp.Navigate(s.url+"/signin"), browsertest.Heading("Sign in"))
	focused(t, ctx, "login")
	browsertest.Do(t, ctx, chromedp.KeyEvent("ada"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(password), chromedp.KeyEvent(kb.Enter),
		browsertest.Heading("You are signed in"))
	if cookies := browsertest.Read[string](t, ctx, `document.cookie`); cookies != "" {
		t.Error("a script can read the cookie")
	}
	browsertest.Do(t, ctx,
		chromedp.Navigate(s.url+"/end_session?client_id=reports&post_logout_redirect_uri="+url.QueryEscape(s.app+"/bye")+"&state=x"),
		browsertest.Heading("Sign out?"))
	tabTo(t, ctx, "Sign out")
	browsertest.Do(t, ctx, chromedp.KeyEvent(kb.Enter), browsertest.Heading("arrived"))
	if got := s.arrived(); got.Get("state") != "x" {
		t.Errorf("arrived %v", got)
	}
	browsertest.Do(t, ctx, chromedp.Navigate(s.url+"/"), browsertest.Heading("Nobody is signed in"))
}

func TestChromium_NotMe(t *testing.T) {
	s := newSite(t, options{})
	for name, on := range map[string]bool{"with scripts": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			session, offline := s.stranger()
			ctx := chromium(t)
			browsertest.Do(t, ctx, scripts(on), chromedp.Navigate(s.link(s.target(session))), browsertest.Heading("Was this not you?"))
			if a, _ := s.live(session.ID, offline.ID); !a {
				t.Error("opening the page ended the session")
			}
			browsertest.Do(t, ctx, chromedp.Click(`//button[contains(., "This was not me")]`), browsertest.Heading("It is signed out"))
			if a, b := s.live(session.ID, offline.ID); a || b {
				t.Errorf("session live %v, grant live %v", a, b)
			}
		})
	}
}

// looks are the ways a page is looked at.
var looks = []struct {
	name   string
	width  int64
	height int64
	scheme string
}{
	{"light", 1000, 760, "light"},
	{"dark", 1000, 760, "dark"},
	{"phone", 320, 640, "light"},
	{"phone-dark", 390, 844, "dark"},
}

// TestChromium_Looks holds every page against what can be measured: no
// scrolling sideways on a small phone, dark when asked, and contrast of text
// (WCAG 2.2, 1.4.3). With JETON_TEST_SHOTS set it leaves pictures there.
func TestChromium_Looks(t *testing.T) {
	s := newSite(t, options{})
	ctx := chromium(t)
	shots := os.Getenv("JETON_TEST_SHOTS")
	look := func(name string) {
		t.Helper()
		for _, l := range looks {
			browsertest.Do(t, ctx, chromedp.EmulateViewport(l.width, l.height), scheme(l.scheme))
			wide := browsertest.Read[bool](t, ctx, `document.documentElement.scrollWidth > innerWidth`)
			background := browsertest.Read[string](t, ctx, `getComputedStyle(document.body).backgroundColor`)
			low := browsertest.Read[string](t, ctx, lowContrast)
			shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			if wide {
				t.Errorf("%s, %s: scrolls sideways", name, l.name)
			}
			if dark := strings.HasPrefix(background, "rgb(15,") || strings.HasPrefix(background, "rgb(24,"); dark != (l.scheme == "dark") {
				t.Errorf("%s, %s: background %s", name, l.name, background)
			}
			if low != "" {
				t.Errorf("%s, %s: low contrast: %s", name, l.name, low)
			}
			if shots != "" {
				if err := os.WriteFile(filepath.Join(shots, name+"-"+l.name+".png"), shot, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		browsertest.Do(t, ctx, chromedp.EmulateViewport(1000, 760))
	}
	browsertest.Do(t, ctx, chromedp.Navigate(s.url+"/"), browsertest.Heading("Nobody"))
	look("nobody")
	browsertest.Do(t, ctx, chromedp.Navigate(s.authorize("reports", "scope", "openid profile email reports:read x:y offline_access")), browsertest.Heading("Sign in"))
	look("signin")
	browsertest.Do(t, ctx, chromedp.KeyEvent("ada"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("wrong"), chromedp.KeyEvent(kb.Enter),
		chromedp.WaitVisible(`[role=alert]`))
	look("refused")
	browsertest.Do(t, ctx, chromedp.KeyEvent(password), chromedp.KeyEvent(kb.Enter), browsertest.Heading("Allow Reports"))
	look("consent")
	browsertest.Do(t, ctx, chromedp.Navigate(s.authorize("evil", "redirect_uri", s.app+"/cb", "scope", "openid")), browsertest.Heading("Allow"))
	look("consent-evil")
	browsertest.Do(t, ctx, chromedp.Navigate(s.authorize("own", "prompt", "select_account")), browsertest.Heading("Choose"))
	look("select")
	browsertest.Do(t, ctx, chromedp.Navigate(s.authorize("own", "prompt", "login")), browsertest.Heading("Confirm"))
	look("again")
	browsertest.Do(t, ctx, chromedp.Navigate(s.url+"/"), browsertest.Heading("You are signed in"))
	look("home")
	browsertest.Do(t, ctx, chromedp.Navigate(s.url+"/end_session?client_id=reports"), browsertest.Heading("Sign out?"))
	look("signout")
	browsertest.Do(t, ctx, chromedp.Navigate(s.url+"/end_session?client_id=nobody"), browsertest.Heading("does not work"))
	look("signout-bad")
	browsertest.Do(t, ctx, chromedp.Navigate(s.authorize("nobody")), browsertest.Heading("does not work"))
	look("error")
	browsertest.Do(t, ctx, scripts(false), chromedp.Navigate(s.authorize("own", "response_mode", "form_post")), scripts(true))
	look("post")
	browsertest.Do(t, ctx, chromedp.Navigate(s.url+"/signout"), browsertest.Heading("Sign out?"))
	tabTo(t, ctx, "Sign out")
	browsertest.Do(t, ctx, chromedp.KeyEvent(kb.Enter), browsertest.Heading("You are signed out"))
	look("signedout")
	session, offline := s.stranger()
	target := s.target(session)
	target.Grant = offline.ID
	browsertest.Do(t, ctx, chromedp.Navigate(s.link(target)), browsertest.Heading("Was this not you?"))
	look("notme")
	tabTo(t, ctx, "This was not me")
	browsertest.Do(t, ctx, chromedp.KeyEvent(kb.Enter), browsertest.Heading("It is signed out"))
	look("notme-done")
	browsertest.Do(t, ctx, chromedp.Navigate(s.url+"/not-me?link=x"), browsertest.Heading("does not work"))
	look("notme-bad")
}

// lowContrast names the texts of a page whose contrast is below 4.5:1.
const lowContrast = `(() => {
	const parse = c => c.match(/[\d.]+/g).map(Number);
	const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b };
	const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c } return [255, 255, 255] };
	const out = [];
	for (const e of document.querySelectorAll("body *")) {
		if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || e.closest("script")) continue;
		const a = light(parse(getComputedStyle(e).color).slice(0, 3)), b = light(behind(e).slice(0, 3));
		const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (ratio < 4.5) out.push(e.textContent.trim() + " " + ratio.toFixed(2));
	}
	return out.join(", ");
})()`
