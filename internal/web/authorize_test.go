package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/tokens"
)

func TestAZ_10_SignInConsentCode(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	v.get(s.authorize("reports")).wantPage(t, http.StatusOK, "to continue to <strong>Reports</strong>")
	v.signIn().wantPage(t, http.StatusOK, "Allow <strong>Reports</strong> to use your account?")
	for _, text := range []string{"Know that it is you", "Read your reports", "Ada Lovelace", strings.TrimPrefix(s.app, "http://"), "Until you sign out here"} {
		if !strings.Contains(v.page.body, text) {
			t.Errorf("the consent page does not say %q", text)
		}
	}
	p := v.submit("answer", "allow")
	got := p.answer(t)
	if !strings.HasPrefix(got.Get("code"), "jc_") || got.Get("state") != "s1" || got.Get("iss") != s.url || got.Has("error") {
		t.Fatalf("answer %v", got)
	}
	id, ok := tokens.CodeID(got.Get("code"))
	if !ok {
		t.Fatal("not a code")
	}
	code, err := s.store.Code(t.Context(), id)
	if err != nil || code.AccountID != s.ada.ID || code.Context.Network != "192.0.2.0/24" || code.Digest != secret.Digest(got.Get("code")) {
		t.Errorf("stored %+v, %v", code, err)
	}
	if got := v.get(s.authorize("reports")).answer(t); got.Get("code") == "" {
		t.Errorf("the second time: %v", got)
	}
	if p.header.Get("Cache-Control") != "no-store" || p.status != http.StatusSeeOther {
		t.Errorf("answered with %d, Cache-Control %q", p.status, p.header.Get("Cache-Control"))
	}
}

func TestAZ_1_AZ_2_PagesNeverRedirect(t *testing.T) {
	s := newSite(t, options{})
	for _, v := range []*visitor{s.visitor(), s.signedIn()} {
		for _, pairs := range [][]string{
			{"client_id", "nobody"}, {"redirect_uri", s.app + "/cb/"}, {"redirect_uri", "https://evil.example"}, {"response_mode", "x"},
		} {
			v.get(s.authorize("reports", pairs...)).wantPage(t, http.StatusBadRequest, "This link does not work")
			if !strings.Contains(v.page.body, "req-4711") {
				t.Error("no reference on the error page")
			}
			if strings.Contains(v.page.body, "evil") || strings.Contains(v.page.body, "nobody") {
				t.Error("the page repeats the request")
			}
		}
	}
}

func TestAZ_8_Deny(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	v.get(s.authorize("reports"))
	got := v.submit("answer", "deny").answer(t)
	if got.Get("error") != "access_denied" || got.Get("state") != "s1" || got.Get("iss") != s.url || got.Has("code") {
		t.Errorf("answer %v", got)
	}
	if _, err := s.store.Consent(t.Context(), s.ada.ID, "reports"); err == nil {
		t.Error("a consent was recorded")
	}
}

func TestAZ_8_FaultReachesTheClient(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	v.get(s.authorize("own", "state", "s2"))
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	// The client is still known from a moment ago; the session cannot be looked up.
	got := v.get(s.authorize("own", "state", "s2")).answer(t)
	if got.Get("error") != "server_error" || got.Get("state") != "s2" || got.Get("iss") != s.url {
		t.Errorf("answer %v", got)
	}
	v.get(s.url+"/").wantPage(t, http.StatusInternalServerError, "Something went wrong on our side")
	if strings.Contains(v.page.body, "sql") || !strings.Contains(s.log.String(), `"level":"ERROR"`) {
		t.Error("the cause belongs in the log, and only there")
	}
}

func TestAZ_11_HT_1_PostBecomesAGetOfItself(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	r := v.new(http.MethodPost, s.url+"/authorize?client_id=ignored", s.request("own", "state", "a&b=c%d+e f").Encode())
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Origin", "https://app.example.com")
	first := v.do(r)
	if first.status != http.StatusSeeOther || !strings.HasPrefix(first.header.Get("Location"), "/authorize?") {
		t.Fatalf("got %d to %q", first.status, first.header.Get("Location"))
	}
	got := v.follow(first).answer(t)
	if got.Get("code") == "" || got.Get("state") != "a&b=c%d+e f" {
		t.Errorf("answer %v", got)
	}
	for media, want := range map[string]int{
		"application/json":    http.StatusBadRequest,
		"multipart/form-data": http.StatusBadRequest,
		"":                    http.StatusBadRequest,
		"application/x-www-form-urlencoded; charset=UTF-8": http.StatusSeeOther,
	} {
		r := v.new(http.MethodPost, s.url+"/authorize", s.request("own").Encode())
		r.Header.Set("Content-Type", media)
		if p := v.do(r); p.status != want {
			t.Errorf("Content-Type %q: got %d, want %d", media, p.status, want)
		}
	}
	long := v.new(http.MethodPost, s.url+"/authorize", "x="+strings.Repeat("x", 20<<10))
	if p := v.do(long); p.status != http.StatusRequestEntityTooLarge {
		t.Errorf("20 KiB: got %d", p.status)
	}
}

func TestGEN_3_RepeatedParametersSurviveThePost(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	got := v.follow(v.do(v.new(http.MethodPost, s.url+"/authorize", s.request("own").Encode()+"&state=s2"))).answer(t)
	if got.Get("error") != "invalid_request" || got.Has("state") {
		t.Errorf("answer %v", got)
	}
}

func TestGEN_9_OnlyStatus303(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	v.get(s.authorize("own", "prompt", "consent")) // get and submit check every redirect on the way
	v.signIn()
	p := v.do(v.form("answer", "allow"))
	if p.status != http.StatusSeeOther {
		t.Errorf("after consent: %d", p.status)
	}
}

func TestGEN_10_NoCORS(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	for _, method := range []string{http.MethodGet, http.MethodOptions, http.MethodPost} {
		for _, path := range []string{"/authorize", "/signin", "/consent", "/end_session"} {
			r := v.new(method, s.url+path, "")
			r.Header.Set("Origin", "https://app.example.com")
			r.Header.Set("Access-Control-Request-Method", "GET")
			for name := range v.do(r).header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s %s: %s", method, path, name)
				}
			}
		}
	}
}

func TestGEN_8_StateThroughThePages(t *testing.T) {
	s := newSite(t, options{})
	for _, state := range []string{"a&b=c%d+e f", strings.Repeat(`aZ9%+ &=/?#"'<>\~|{}^`+"`", 95), "flow=x&continue=//evil"} {
		v := s.visitor()
		v.get(s.authorize("reports", "state", state, "prompt", "login consent"))
		v.signIn()
		if got := v.submit("answer", "allow").answer(t); got.Get("state") != state || got.Get("code") == "" {
			t.Errorf("sent %q, got %v", state, got)
		}
	}
}

func TestGEN_2_ParametersOfOursFromAClient(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	v.get(s.authorize("reports", "flow", "x", "continue", "//evil.example", "return_to", "https://evil.example", "seen", "y", "answer", "allow"))
	v.signIn().wantPage(t, http.StatusOK, "Allow <strong>Reports</strong>")
}

func TestOP_3_PromptLoginMakesANewSignIn(t *testing.T) {
	s := newSite(t, options{})
	for _, pairs := range [][]string{{"prompt", "login"}, {"max_age", "0"}} {
		v := s.signedIn()
		before := v.cookie()
		v.get(s.authorize("own", pairs...)).wantPage(t, http.StatusOK, "Confirm that it is you")
		if !strings.Contains(v.page.body, `value="ada"`) {
			t.Error("the login is not put in")
		}
		got := v.signIn().answer(t)
		id, ok := tokens.CodeID(got.Get("code"))
		if !ok {
			t.Fatalf("%v: answer %v", pairs, got)
		}
		if v.cookie() == before {
			t.Error("the session is the old one")
		}
		code, err := s.store.Code(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if session, err := s.store.Session(t.Context(), code.SessionID); err != nil || !session.AuthTime.Equal(code.AuthTime) {
			t.Errorf("auth_time %v, session %v, %v", code.AuthTime, session.AuthTime, err)
		}
		v.get(s.authorize("own", pairs...)).wantPage(t, http.StatusOK, "Confirm that it is you")
	}
}

func TestOP_3_SelectAccount(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	v.get(s.authorize("own", "prompt", "select_account")).wantPage(t, http.StatusOK, "Choose an account")
	if got := v.submit("choice", "current").answer(t); got.Get("code") == "" {
		t.Errorf("current: %v", got)
	}
	v.get(s.authorize("own", "prompt", "select_account"))
	v.submit("choice", "other").wantPage(t, http.StatusOK, "Sign in")
	got := v.submit("login", "bob", "password", password).answer(t)
	id, ok := tokens.CodeID(got.Get("code"))
	if !ok {
		t.Fatalf("answer %v", got)
	}
	if code, err := s.store.Code(t.Context(), id); err != nil || code.AccountID != s.bob.ID {
		t.Errorf("the code is for %v, want bob", code.AccountID)
	}
	t.Run("the account shown is no longer the one signed in", func(t *testing.T) {
		v := s.signedIn()
		v.get(s.authorize("own", "prompt", "select_account"))
		v.submit("choice", "current", "account", s.bob.Subject()).wantPage(t, http.StatusOK, "Choose an account")
	})
}

func TestOP_3_PromptNoneNeverShowsAPage(t *testing.T) {
	s := newSite(t, options{})
	for want, v := range map[string]*visitor{"login_required": s.visitor(), "consent_required": s.signedIn()} {
		for _, mode := range []string{"query", "form_post"} {
			p := v.do(v.new(http.MethodGet, s.authorize("reports", "prompt", "none", "response_mode", mode), ""))
			if mode == "query" && p.answer(t).Get("error") != want || mode == "form_post" && !strings.Contains(p.body, `value="`+want+`"`) {
				t.Errorf("%s by %s: %d %s", want, mode, p.status, p.header.Get("Location"))
			}
		}
	}
}

func TestOP_4_IDTokenHintOfSomebodyElse(t *testing.T) {
	s := newSite(t, options{})
	s.hints["bob"] = tokens.Hint{Subject: s.bob.Subject(), ClientID: "own"}
	v := s.signedIn()
	v.get(s.authorize("own", "id_token_hint", "bob")).wantPage(t, http.StatusOK, "Sign in")
	if got := v.signIn().answer(t); got.Get("error") != "login_required" {
		t.Errorf("ada signed in instead of bob: %v", got)
	}
	v.get(s.authorize("own", "id_token_hint", "bob"))
	if got := v.submit("login", "bob", "password", password).answer(t); got.Get("code") == "" {
		t.Errorf("bob signed in: %v", got)
	}
}

func TestAZ_FormPost(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	p := v.get(s.authorize("own", "response_mode", "form_post", "state", `"><b>&`))
	p.wantPage(t, http.StatusOK, `<form method="post" action="`+s.app+`/cb">`)
	csp := p.header.Get("Content-Security-Policy")
	if p.header.Get("Cache-Control") != "no-store" || !strings.Contains(csp, "script-src 'sha256-") || strings.Contains(csp, "unsafe") {
		t.Errorf("headers %v", p.header)
	}
	if strings.Contains(p.body, `"><b>`) || strings.Count(p.body, "<script>") != 1 || !strings.Contains(p.body, `<button type="submit"`) {
		t.Errorf("body %s", p.body)
	}
	r := v.form()
	r.Header.Del("Sec-Fetch-Site")
	v.do(r)
	got := <-s.answers
	if got.Get("code") == "" || got.Get("state") != `"><b>&` || got.Get("iss") != s.url {
		t.Errorf("arrived %v", got)
	}
}

func TestAZ_13_ConsentCountsForTheAccountOnTheScreen(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	v.get(s.authorize("reports"))
	answer := v.form("answer", "allow")
	// In another tab, bob takes over the browser.
	v.get(s.authorize("own", "prompt", "login"))
	v.submit("login", "bob", "password", password)
	if p := v.follow(v.do(answer)); !strings.Contains(p.body, "Allow <strong>Reports</strong>") || !strings.Contains(p.body, "bob") {
		t.Errorf("got %d %s", p.status, p.body)
	}
	if _, err := s.store.Consent(t.Context(), s.bob.ID, "reports"); err == nil {
		t.Error("bob allowed what ada was asked")
	}
}

func TestAZ_13_NotYou(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	v.get(s.authorize("reports"))
	v.submit("answer", "switch").wantPage(t, http.StatusOK, "Sign in")
	v.submit("login", "bob", "password", password).wantPage(t, http.StatusOK, "Allow <strong>Reports</strong>")
	if !strings.Contains(v.page.body, `<span class="name">bob</span>`) {
		t.Error("bob is not asked")
	}
}

func TestAZ_13_ConsentEscapesTheClientName(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	v.get(s.authorize("evil", "scope", "openid x:y"))
	if strings.Contains(v.page.body, "<script>") || !strings.Contains(v.page.body, "&lt;script&gt;") {
		t.Errorf("body %s", v.page.body)
	}
}

func TestAZ_13_OwnSchemeGoesStraightFromTheClick(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	p := v.get(s.authorize("phone", "redirect_uri", "com.example.phone:/cb"))
	if csp := p.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' com.example.phone:;") {
		t.Errorf("policy %s", csp)
	}
	r := v.form("answer", "allow")
	r.Header.Set("Accept", "text/html")
	if p := v.do(r); p.status != http.StatusSeeOther || !strings.HasPrefix(p.header.Get("Location"), "com.example.phone:/cb?code=") {
		t.Errorf("got %d to %q", p.status, p.header.Get("Location"))
	}
}

func TestOP_8_ConsentSaysHowLongOfflineAccessLasts(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	p := v.get(s.authorize("reports", "scope", "openid offline_access"))
	p.wantPage(t, http.StatusOK, "Up to 90 days, also after you sign out")
	v.submit("answer", "allow")
	p = v.get(s.authorize("reports", "scope", "openid offline_access email"))
	if strings.Count(p.body, `<span class="badge">new</span>`) != 1 {
		t.Error("what is new is not marked")
	}
}

func TestMD_6_IssuerWithAPath(t *testing.T) {
	s := newSite(t, options{path: "/t1"})
	v := s.visitor()
	v.get(s.authorize("reports")).wantPage(t, http.StatusOK, "Sign in")
	v.signIn().wantPage(t, http.StatusOK, "Allow <strong>Reports</strong>")
	if !strings.HasPrefix(v.page.url.Path, "/t1/consent") {
		t.Errorf("at %s", v.page.url.Path)
	}
	if got := v.submit("answer", "allow").answer(t); got.Get("iss") != s.url || got.Get("code") == "" {
		t.Errorf("answer %v", got)
	}
	for _, path := range []string{"", "/"} {
		v.get(s.url+path).wantPage(t, http.StatusOK, `action="/t1/signout"`)
	}
	v.submit().wantPage(t, http.StatusOK, "You are signed out")
	if p := v.get(s.server.URL + "/signin"); p.status != http.StatusNotFound {
		t.Errorf("outside the issuer's path: %d", p.status)
	}
}

func TestNothingIsWrittenBeforeSignIn(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	p := v.get(s.authorize("reports"))
	if c := p.header.Values("Set-Cookie"); len(c) != 0 {
		t.Errorf("cookies %v", c)
	}
	if u, _ := url.Parse(s.url); len(v.http.Jar.Cookies(u)) != 0 {
		t.Error("cookies were kept")
	}
}

func TestLogHasNoSecrets(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	v.get(s.authorize("reports", "state", "state-to-hide", "nonce", "nonce-to-hide"))
	v.submit("login", "ada", "password", "wrong "+password)
	v.signIn()
	code := v.submit("answer", "allow").answer(t).Get("code")
	v.get(s.authorize("reports", "state", "state-to-hide", "response_type", "token"))
	v.get(s.authorize("nobody", "state", "state-to-hide"))
	log := s.log.String()
	for _, hide := range []string{code, v.cookie(), password, "state-to-hide", "nonce-to-hide", challenge} {
		if hide == "" || strings.Contains(log, hide) {
			t.Errorf("the log has %q", hide)
		}
	}
	if !strings.Contains(log, "unsupported_response_type") || !strings.Contains(log, "This link does not work") {
		t.Errorf("the log lacks the refusals: %s", log)
	}
}
