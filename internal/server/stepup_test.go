package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// claims are those of a token that the world made.
func (w *world) claims(token string) *jwt.Claims {
	w.t.Helper()
	parsed, err := jwt.Parse(token, 0)
	must(w.t, err)
	return &parsed.Claims
}

// asked is what a guarded route wants of a sign-in.
func asked(t *testing.T, h http.Handler, token string) (oauth.StepUp, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/payments", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if reason := rec.Header().Get("Jeton-Reason"); reason != "" && rec.Code != http.StatusUnauthorized {
		t.Errorf("%s is answered with %d", reason, rec.Code)
	}
	wants, _ := oauth.StepUpOf(rec.Header().Values("WWW-Authenticate"))
	return wants, rec.Header().Get("Jeton-Reason")
}

// signInFor takes the visitor to /authorize with what the API wants, and
// returns the tokens and whether the password was asked for.
func (v *visitor) signInFor(wants oauth.StepUp) (got answer, asked bool) {
	v.t.Helper()
	address, err := url.Parse(v.authorize("web"))
	must(v.t, err)
	query := address.Query()
	wants.AddTo(query)
	address.RawQuery = query.Encode()
	before := v.cookie()
	answered := v.walk(address.String())
	if answered.Get("code") == "" {
		v.t.Fatalf("the app is told %v", answered)
	}
	return v.redeem("web", answered.Get("code")).ok(), v.cookie() != before
}

// The whole way: refused, to /authorize with the values of the challenge, signed
// in again, accepted.
func TestSTE_1_2_SignInAgainWhenTheSignInIsTooOld(t *testing.T) {
	w := newWorld(t, options{})
	g := w.fleet(1)[0]
	pay := guarded(g, jeton.AuthAge(5*time.Minute), jeton.ACR("urn:jeton:pwd"))
	v := w.visitor()
	first, _ := v.signInFor(oauth.StepUp{})
	old := w.claims(first.text("access_token"))
	if old.ACR != "urn:jeton:pwd" || old.AuthTime != w.clock.Now().Unix() || len(old.AMR) != 1 || old.AMR[0] != "pwd" {
		t.Errorf("acr %q, auth_time %d, amr %v", old.ACR, old.AuthTime, old.AMR)
	}
	if id := w.claims(first.text("id_token")); id.ACR != old.ACR || id.AuthTime != old.AuthTime {
		t.Errorf("the ID token says acr %q, auth_time %d", id.ACR, id.AuthTime)
	}
	if got := w.introspect(first.text("access_token")); got.text("acr") != old.ACR {
		t.Errorf("introspection says %s", got.body)
	}
	if _, reason := asked(t, pay, first.text("access_token")); reason != "" {
		t.Fatalf("just signed in: %s", reason)
	}

	w.clock.advance(5*time.Minute + time.Second)
	refreshed := w.refresh("web", first.text("refresh_token")).ok()
	wants, reason := asked(t, pay, refreshed.text("access_token"))
	if reason != jeton.ReasonSignInTooOld {
		t.Fatalf("five minutes later, with a refreshed token: %q", reason)
	}
	if now := w.claims(refreshed.text("access_token")); now.AuthTime != old.AuthTime || now.IssuedAt == old.IssuedAt {
		t.Errorf("a refresh moves auth_time from %d to %d", old.AuthTime, now.AuthTime)
	}
	if id := w.claims(refreshed.text("id_token")); id.AuthTime != old.AuthTime {
		t.Errorf("a refresh moves auth_time of the ID token")
	}

	again, signedIn := v.signInFor(wants)
	if !signedIn {
		t.Error("the password was not asked for")
	}
	if _, reason := asked(t, pay, again.text("access_token")); reason != "" {
		t.Errorf("signed in again: %s", reason)
	}
	// The grant from before goes on, and stays as old as it was.
	older := w.refresh("web", refreshed.text("refresh_token")).ok()
	if _, reason := asked(t, pay, older.text("access_token")); reason != jeton.ReasonSignInTooOld {
		t.Errorf("the grant from before the sign-in: %q", reason)
	}
	// Fresh enough: nobody is asked twice.
	if _, signedIn := v.signInFor(wants); signedIn {
		t.Error("the password was asked for although the sign-in is fresh")
	}
	// A program cannot sign in.
	if _, reason := asked(t, pay, w.machine()); reason != jeton.ReasonSignInTooOld {
		t.Errorf("a program's token: %q", reason)
	}
}

// What a central policy demands, live, is met in the same way.
func TestSTE_1_2_ByPolicy(t *testing.T) {
	w := newWorld(t, options{})
	h := guarded(w.fleet(1)[0])
	v := w.visitor()
	first, _ := v.signInFor(oauth.StepUp{})
	w.clock.advance(2 * time.Minute)
	token := w.refresh("web", first.text("refresh_token")).ok().text("access_token")
	_, err := w.operator().PutPolicy(t.Context(), adminclient.PolicySpec{
		Name: "payments", Audience: api, Method: http.MethodPost, Pattern: "/payments",
		AuthAge: new(adminclient.Duration(time.Minute)), ACR: []string{"urn:jeton:pwd", "urn:jeton:mfa"},
	}, "")
	must(t, err)
	eventually(t, "the guard has the policy", 10*time.Second, func() bool { _, reason := asked(t, h, token); return reason != "" })
	wants, reason := asked(t, h, token)
	if reason != jeton.ReasonSignInTooOld || len(wants.ACRValues) != 2 || *wants.MaxAge != time.Minute {
		t.Errorf("%s, asks for %+v", reason, wants)
	}
	again, signedIn := v.signInFor(wants)
	if _, reason := asked(t, h, again.text("access_token")); reason != "" || !signedIn {
		t.Errorf("signed in again (%v): %q", signedIn, reason)
	}
}

// The way in which a session was signed in can become too weak.
func TestSTE_2_SessionTooWeak(t *testing.T) {
	w := newWorld(t, options{edit: func(c *config.Config) { c.SignIn.PasswordACR = "urn:example:old" }})
	v := w.visitor()
	v.signIn()
	w.stop()
	w.config.SignIn.PasswordACR = "urn:example:new"
	w.start()
	pay := guarded(w.fleet(1)[0], jeton.ACR("urn:example:new"))
	weak, asks := v.signInFor(oauth.StepUp{})
	if asks {
		t.Fatal("the session was not taken")
	}
	wants, reason := asked(t, pay, weak.text("access_token"))
	if reason != jeton.ReasonStepUpNeeded || len(wants.ACRValues) != 1 || wants.MaxAge != nil {
		t.Errorf("%s, asks for %+v", reason, wants)
	}
	strong, asks := v.signInFor(wants)
	if _, reason := asked(t, pay, strong.text("access_token")); reason != "" || !asks {
		t.Errorf("signed in again (%v): %q", asks, reason)
	}
	if told := v.walk(w.authorize("web", "acr_values", "urn:example:unknown")); told.Get("error") != "unmet_authentication_requirements" || told.Get("state") != "s1" {
		t.Errorf("the app is told %v", told)
	}
}

func TestSTE_2_Metadata(t *testing.T) {
	w := newWorld(t, options{edit: func(c *config.Config) { c.SignIn.PasswordACR = "urn:example:pwd" }})
	for _, path := range []string{oauth.WellKnownServer, oauth.WellKnownOpenID} {
		if got := w.get(path); !strings.Contains(got.body, `"acr_values_supported":["urn:example:pwd"]`) {
			t.Errorf("%s says %s", path, got.body)
		}
	}
}
