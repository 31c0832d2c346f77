package web_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestHT_1_SessionCookie(t *testing.T) {
	for _, tt := range []struct {
		secure bool
		want   string
	}{
		{true, `^__Host-jeton=[\w-]{64}; Path=/; HttpOnly; Secure; SameSite=Lax$`},
		{false, `^jeton=[\w-]{64}; Path=/; HttpOnly; SameSite=Lax$`},
	} {
		s := newSite(t, options{secure: tt.secure})
		v := s.visitor()
		v.get(s.url + "/signin")
		p := v.do(v.form("login", "ada", "password", password))
		cookies := p.header.Values("Set-Cookie")
		if len(cookies) != 1 || !regexp.MustCompile(tt.want).MatchString(cookies[0]) {
			t.Errorf("secure %t: cookies %v", tt.secure, cookies)
		}
		if hsts := p.header.Get("Strict-Transport-Security"); (hsts != "") != tt.secure {
			t.Errorf("secure %t: HSTS %q", tt.secure, hsts)
		}
	}
}

func TestHT_2_SessionChangesAtSignInAndDiesAtSignOut(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	first := v.cookie()
	v.get(s.authorize("own", "prompt", "login"))
	v.signIn()
	second := v.cookie()
	if first == second {
		t.Error("the cookie stayed the same")
	}
	anonymous := func(cookie string) bool {
		other := s.visitor()
		r := other.new(http.MethodGet, s.url+"/", "")
		r.AddCookie(&http.Cookie{Name: "jeton", Value: cookie})
		return strings.Contains(other.do(r).body, "Nobody is signed in")
	}
	if !anonymous(first) || anonymous(second) {
		t.Error("the former session lives, or the new one does not")
	}
	v.get(s.url + "/")
	v.submit().wantPage(t, http.StatusOK, "You are signed out")
	if !anonymous(second) || v.cookie() != "" {
		t.Error("the session outlives the sign-out")
	}
}

func TestHT_2_SeveralTabs(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	v.get(s.authorize("own", "state", "tab-1"))
	tab1 := v.page
	v.get(s.authorize("own", "state", "tab-2"))
	if got := v.signIn().answer(t); got.Get("state") != "tab-2" || got.Get("code") == "" {
		t.Errorf("tab 2: %v", got)
	}
	if got := v.get(tab1.url.String()).answer(t); got.Get("state") != "tab-1" || got.Get("code") == "" {
		t.Errorf("tab 1, reloaded: %v", got)
	}
	v.page = tab1
	if got := v.signIn().answer(t); got.Get("state") != "tab-1" || got.Get("code") == "" {
		t.Errorf("tab 1, signing in anyway: %v", got)
	}
}

func TestHT_3_CrossOriginPosts(t *testing.T) {
	s := newSite(t, options{})
	for _, path := range []string{"/signin", "/select", "/consent", "/signout"} {
		for _, site := range []string{"cross-site", "same-site"} {
			v := s.signedIn()
			r := v.new(http.MethodPost, s.url+path, "login=bob&password=x&answer=allow")
			r.Header.Set("Sec-Fetch-Site", site)
			v.do(r).wantPage(t, http.StatusForbidden, "This form came from another site")
			if v.get(s.url + "/"); !strings.Contains(v.page.body, "You are signed in") {
				t.Errorf("%s from %s changed something", path, site)
			}
		}
		v := s.visitor()
		r := v.new(http.MethodPost, s.url+path, "")
		r.Header.Set("Origin", "https://evil.example")
		v.do(r).wantPage(t, http.StatusForbidden, "This form came from another site")
	}
	for _, path := range []string{"/authorize", "/end_session"} {
		v := s.visitor()
		r := v.new(http.MethodPost, s.url+path, "a=b")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if p := v.do(r); p.status != http.StatusSeeOther {
			t.Errorf("%s from another site: %d", path, p.status)
		}
	}
}

func TestHT_5_HeadersOnEveryPage(t *testing.T) {
	s := newSite(t, options{secure: true})
	nobody, ada := s.visitor(), s.signedIn()
	pages := map[string]*page{
		"sign in":         nobody.get(s.authorize("reports")),
		"sign in refused": nobody.submit("login", "ada", "password", "no"),
		"error":           nobody.get(s.authorize("nobody")),
		"home":            nobody.get(s.url + "/"),
		"signed out":      nobody.get(s.url + "/signed-out"),
		"consent":         ada.get(s.authorize("reports")),
		"select":          ada.get(s.authorize("own", "prompt", "select_account")),
		"sign out":        ada.get(s.url + "/end_session"),
		"form post":       ada.get(s.authorize("own", "response_mode", "form_post")),
		"redirect":        ada.get(s.authorize("own")),
		"cross-site":      ada.do(crossSite(ada.new(http.MethodPost, s.url+"/signin", ""))),
	}
	for name, p := range pages {
		for header, want := range map[string]string{
			"X-Frame-Options":              "DENY",
			"X-Content-Type-Options":       "nosniff",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Cache-Control":                "no-store",
			"Strict-Transport-Security":    "max-age=63072000; includeSubDomains",
		} {
			if got := p.header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		csp := p.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "style-src 'self'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: policy %q lacks %q", name, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") || name != "form post" && !strings.Contains(csp, "form-action 'self';") {
			t.Errorf("%s: policy %q", name, csp)
		}
		if strings.Contains(p.body, "style=") || name != "form post" && strings.Contains(p.body, "<script") {
			t.Errorf("%s: inline style or script", name)
		}
		if p.body != "" && !strings.Contains(p.body, `<html lang="en">`) {
			t.Errorf("%s: no language", name)
		}
	}
}

func crossSite(r *http.Request) *http.Request {
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	return r
}

func TestHT_6_StylesheetIsKeptForever(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	body := v.get(s.url + "/").body
	href := regexp.MustCompile(`<link rel="stylesheet" href="([^"]+)">`).FindStringSubmatch(body)
	if href == nil {
		t.Fatal(body)
	}
	p := v.get(s.server.URL + href[1])
	if p.status != http.StatusOK || p.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || p.header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%d %v", p.status, p.header)
	}
	if p := v.get(s.url + "/assets/style-0000000000000000.css"); p.status != http.StatusNotFound || strings.Contains(p.header.Get("Cache-Control"), "immutable") {
		t.Errorf("another name: %d %v", p.status, p.header)
	}
	if regexp.MustCompile(`url\(|@import|https?://`).MatchString(p.body) {
		t.Error("the stylesheet fetches something")
	}
}

func TestReturnTargetsAreOurs(t *testing.T) {
	s := newSite(t, options{})
	for _, target := range []string{"https://evil.example", "//evil.example", `/\evil.example`, `\\evil.example`, "javascript:alert(1)"} {
		for _, name := range []string{"return_to", "continue", "next", "flow"} {
			v := s.visitor()
			v.get(s.url + "/signin?" + name + "=" + target)
			if p := v.signIn(); !strings.Contains(p.body, "You are signed in") || p.url.Host != v.page.url.Host {
				t.Errorf("%s=%s leads to %s %s", name, target, p.url, p.header.Get("Location"))
			}
		}
		v := s.visitor()
		v.get(s.url+"/signin?flow=x&"+target).wantPage(t, http.StatusBadRequest, "This link does not work")
	}
}

func TestSignInRefused(t *testing.T) {
	s := newSite(t, options{})
	bodies := map[string]string{}
	for _, login := range []string{"ada", "nobody"} {
		v := s.visitor()
		v.get(s.authorize("reports"))
		v.submit("login", login, "password", "wrong").wantPage(t, http.StatusUnprocessableEntity, `role="alert"`)
		if strings.Contains(v.page.body, "wrong") {
			t.Error("the page repeats the password")
		}
		bodies[login] = strings.ReplaceAll(v.page.body, `value="`+login+`"`, "")
		v.signIn().wantPage(t, http.StatusOK, "Allow <strong>Reports</strong>")
	}
	if bodies["ada"] != bodies["nobody"] {
		t.Error("the page tells whether the login exists")
	}
}

func TestGEN_11_Throttled(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	v.get(s.authorize("reports"))
	for range 20 {
		if p := v.submit("login", "ada", "password", "wrong"); p.status == http.StatusTooManyRequests {
			p.wantPage(t, http.StatusTooManyRequests, "There were too many attempts. Try again in")
			if !regexp.MustCompile(`^[1-9]\d*$`).MatchString(p.header.Get("Retry-After")) {
				t.Errorf("Retry-After %q", p.header.Get("Retry-After"))
			}
			return
		}
	}
	t.Error("never throttled")
}

func TestBrowserThatKeepsNoCookie(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	v.http.Jar = nil
	v.get(s.authorize("own"))
	v.signIn().wantPage(t, http.StatusBadRequest, "Your browser did not keep our cookie")
}

func TestMethodNotAllowed(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	p := v.do(v.new(http.MethodDelete, s.url+"/authorize", ""))
	if p.status != http.StatusMethodNotAllowed || !strings.Contains(p.header.Get("Allow"), "POST") {
		t.Errorf("got %d, Allow %q", p.status, p.header.Get("Allow"))
	}
}
