package agent_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/internal/agent"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jetontest"
	"github.com/jetonhq/jeton/oauth"
)

// callerSecret is long enough for an agent, and has characters that form encoding changes.
const callerSecret = "0123456789+/0123456789+/0123456789=="

func TestINT_4_Active(t *testing.T) {
	authority := jetontest.New(t)
	a := start(t, authority)
	token := authority.Token(t, jetontest.Subject("ada"), jetontest.Scope("reports:read", "profile"))
	w := introspect(a, token)
	var got oauth.Introspection
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.ExpiresAt-got.IssuedAt < 60 || got.ID == "" || got.GrantID == "" || got.SessionID == "" || got.AuthTime == 0 {
		t.Errorf("%s", w.Body)
	}
	want := oauth.Introspection{
		Active: true, Scope: "reports:read profile", ClientID: "app", TokenType: "Bearer", Subject: authority.Account("ada"),
		Issuer: authority.Issuer, Audience: oauth.Audience{jetontest.Audience},
		ExpiresAt: got.ExpiresAt, IssuedAt: got.IssuedAt, ID: got.ID, GrantID: got.GrantID, SessionID: got.SessionID,
		AuthTime: got.AuthTime, ACR: got.ACR, AMR: got.AMR,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Jeton-Reason") != "" ||
		w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
}

// What is not active is {"active":false} and not a byte more; the reason is beside it.
func TestINT_3_Inactive(t *testing.T) {
	authority := jetontest.New(t)
	a := start(t, authority)
	elsewhere := open(t, authority, settings{Config: agent.Config{Audience: "https://other.example.com"}})
	until(t, "ready", elsewhere.Ready)
	good := authority.Token(t)
	revoked := authority.Token(t)
	authority.Revoke(t, revoked)
	ended := authority.Token(t, jetontest.Subject("bob"))
	authority.SignOut(t, "bob")
	for _, test := range []struct {
		name   string
		agent  *agent.Agent
		token  string
		reason string
	}{
		{"garbage", a, "garbage", jeton.ReasonMalformed},
		{"garbage with spaces and newlines", a, " a\r\nJeton-Reason: x", jeton.ReasonMalformed},
		{"a refresh token", a, "jr_0123456789", jeton.ReasonMalformed},
		{"a long one", a, strings.Repeat(".", 60_000), jeton.ReasonMalformed},
		{"altered", a, good[:len(good)-8] + "AAAAAAAA", jeton.ReasonBadSignature},
		{"for another API", elsewhere, good, jeton.ReasonWrongAudience},
		{"revoked", a, revoked, jeton.ReasonRevoked},
		{"its session ended", a, ended, jeton.ReasonSessionEnded},
	} {
		t.Run(test.name, func(t *testing.T) {
			until(t, "refused for this reason", func() bool {
				w := introspect(test.agent, test.token)
				if got := w.Header().Get("Jeton-Reason"); got != test.reason {
					t.Logf("reason %q, want %q", got, test.reason)
					return false
				}
				if got, want := w.Body.String(), `{"active":false}`; w.Code != http.StatusOK || got != want {
					t.Errorf("status %d, body %q, want %q", w.Code, got, want)
				}
				return true
			})
		})
	}
	if w := introspect(a, good); !strings.Contains(w.Body.String(), `"active":true`) {
		t.Errorf("the good one: %s", w.Body)
	}
}

func TestINT_2_BadRequests(t *testing.T) {
	authority := jetontest.New(t)
	a := start(t, authority)
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, test := range []struct {
		name, method, target string
		header               http.Header
		form                 url.Values
		status               int
	}{
		{name: "no token", method: "POST", target: "/introspect", form: url.Values{"token_type_hint": {"access_token"}}, status: 400},
		{name: "empty token", method: "POST", target: "/introspect", form: url.Values{"token": {""}}, status: 400},
		{name: "two tokens", method: "POST", target: "/introspect", form: url.Values{"token": {"a", "b"}}, status: 400},
		{name: "too much", method: "POST", target: "/introspect", form: url.Values{"token": {strings.Repeat("a", 1<<17)}}, status: 413},
		{name: "token in the query", method: "POST", target: "/introspect?token=a", header: form, status: 400},
		{name: "no form", method: "POST", target: "/introspect", header: http.Header{"Content-Type": {"application/json"}}, status: 400},
		{name: "GET", method: "GET", target: "/introspect?token=a", status: 405},
	} {
		t.Run(test.name, func(t *testing.T) {
			if w := ask(a, test.method, test.target, test.header, test.form); w.Code != test.status {
				t.Errorf("status %d, want %d: %s", w.Code, test.status, w.Body)
			}
		})
	}
}

func TestINT_1_CallerSecret(t *testing.T) {
	authority := jetontest.New(t)
	a := open(t, authority, settings{Config: agent.Config{CallerSecret: secret.New(callerSecret)}})
	until(t, "ready", a.Ready)
	token := authority.Token(t)
	basic := func(password string) http.Header {
		r, _ := http.NewRequest("POST", "/", nil)
		r.SetBasicAuth("anybody", password)
		return r.Header
	}
	for _, test := range []struct {
		name   string
		header http.Header
		status int
	}{
		{"none", nil, 401},
		{"Basic", basic(callerSecret), 200},
		{"Basic, form-encoded", basic(url.QueryEscape(callerSecret)), 200},
		{"Basic, wrong", basic(callerSecret + "x"), 401},
		{"Basic, empty", basic(""), 401},
		{"Bearer", bearer(callerSecret), 200},
		{"Bearer, wrong", bearer(token), 401},
		{"another scheme", http.Header{"Authorization": {"Digest " + callerSecret}}, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := ask(a, "POST", "/introspect", test.header, url.Values{"token": {token}})
			if w.Code != test.status || strings.Contains(w.Body.String(), "active") != (test.status == 200) {
				t.Errorf("status %d, want %d: %s", w.Code, test.status, w.Body)
			}
			if (w.Header().Get("WWW-Authenticate") != "") != (test.status == 401) {
				t.Errorf("challenge %q", w.Header().Get("WWW-Authenticate"))
			}
		})
	}
	for _, test := range []struct {
		name, secret string
		status       int
	}{{"none", "", 500}, {"wrong", callerSecret[1:], 500}, {"right", callerSecret, 200}} {
		t.Run("check, "+test.name, func(t *testing.T) {
			h := bearer(token)
			h.Set("X-Jeton-Secret", test.secret)
			if w := ask(a, "GET", "/check", h, nil); w.Code != test.status {
				t.Errorf("status %d, want %d", w.Code, test.status)
			}
		})
	}
}
