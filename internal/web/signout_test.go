package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/tokens"
)

// mine makes "mine" an ID token of the visitor's session.
func (v *visitor) mine() {
	v.t.Helper()
	sessions, err := v.store.Sessions(v.t.Context(), v.ada.ID, authority.Page{})
	if err != nil || len(sessions) == 0 {
		v.t.Fatal(err)
	}
	v.hints["mine"] = tokens.Hint{Subject: v.ada.Subject(), SessionID: sessions[len(sessions)-1].ID.String(), ClientID: "reports"}
}

func (v *visitor) signedOut() bool {
	v.t.Helper()
	return strings.Contains(v.get(v.url+"/").body, "Nobody is signed in")
}

func TestLO_1_HintEndsTheSessionAndReturns(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	v.mine()
	q := url.Values{"id_token_hint": {"mine"}, "post_logout_redirect_uri": {s.app + "/bye"}, "state": {"a b&c"}}
	p := v.get(s.url + "/end_session?" + q.Encode())
	u, err := url.Parse(p.header.Get("Location"))
	if err != nil || !strings.HasPrefix(p.header.Get("Location"), s.app+"/bye?") || u.Query().Get("state") != "a b&c" {
		t.Fatalf("%d to %q", p.status, p.header.Get("Location"))
	}
	if !v.signedOut() {
		t.Error("still signed in")
	}
	if got := v.get(s.authorize("reports", "prompt", "none")).answer(t); got.Get("error") != "login_required" {
		t.Errorf("prompt=none afterwards: %v", got)
	}
	p = v.get(s.url + "/end_session?" + q.Encode()) // LO-5: once more is no error
	if !strings.HasPrefix(p.header.Get("Location"), s.app+"/bye?") {
		t.Errorf("again: %d to %q", p.status, p.header.Get("Location"))
	}
}

func TestLO_2_AsksWithoutAHintOfThisSession(t *testing.T) {
	s := newSite(t, options{})
	for name, q := range map[string]url.Values{
		"nothing":    {},
		"only state": {"state": {"x"}},
		"client":     {"client_id": {"reports"}, "post_logout_redirect_uri": {s.app + "/bye"}, "state": {"x"}},
		"old hint":   {"id_token_hint": {"old"}, "post_logout_redirect_uri": {s.app + "/bye"}, "state": {"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := s.signedIn()
			s.hints["old"] = tokens.Hint{Subject: s.ada.Subject(), SessionID: secret.NewID(time.Now()).String(), ClientID: "reports"}
			v.get(s.url+"/end_session?"+q.Encode()).wantPage(t, http.StatusOK, "Sign out?")
			confirm := v.page
			if v.signedOut() {
				t.Fatal("signed out without being asked")
			}
			v.page = confirm
			p := v.submit()
			if q.Has("post_logout_redirect_uri") {
				if p.header.Get("Location") != s.app+"/bye?state=x" {
					t.Errorf("%d to %q", p.status, p.header.Get("Location"))
				}
			} else {
				p.wantPage(t, http.StatusOK, "You are signed out")
			}
			if !v.signedOut() {
				t.Error("still signed in")
			}
		})
	}
}

func TestLO_3_BadRequestsRedirectNowhere(t *testing.T) {
	s := newSite(t, options{})
	for name, q := range map[string]url.Values{
		"forged hint":        {"id_token_hint": {"forged"}, "post_logout_redirect_uri": {s.app + "/bye"}},
		"unregistered":       {"client_id": {"reports"}, "post_logout_redirect_uri": {"https://evil.example/"}},
		"modified":           {"id_token_hint": {"mine"}, "post_logout_redirect_uri": {s.app + "/bye?a=b"}},
		"nobody says who":    {"post_logout_redirect_uri": {s.app + "/bye"}},
		"client unlike hint": {"id_token_hint": {"mine"}, "client_id": {"own"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := s.signedIn()
			v.mine()
			v.get(s.url+"/end_session?"+q.Encode()).wantPage(t, http.StatusBadRequest, "You can still sign out here.")
			v.submit().wantPage(t, http.StatusOK, "You are signed out")
			s.visitor().get(s.url+"/end_session?"+q.Encode()).wantPage(t, http.StatusBadRequest, "This sign-out link does not work")
		})
	}
	t.Run("the confirmation is checked again", func(t *testing.T) {
		v := s.signedIn()
		v.get(s.url + "/end_session")
		v.submit("request", "client_id=reports&post_logout_redirect_uri=https://evil.example/").wantPage(t, http.StatusOK, "You are signed out")
	})
}

func TestLO_4_PostFromAnotherSite(t *testing.T) {
	s := newSite(t, options{})
	v := s.signedIn()
	v.mine()
	form := url.Values{"id_token_hint": {"mine"}, "post_logout_redirect_uri": {s.app + "/bye"}}
	r := v.new(http.MethodPost, s.url+"/end_session", form.Encode())
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if p := v.follow(v.do(r)); p.header.Get("Location") != s.app+"/bye" {
		t.Errorf("%d to %q", p.status, p.header.Get("Location"))
	}
	if !v.signedOut() {
		t.Error("still signed in")
	}
	v = s.signedIn()
	v.get(s.url + "/end_session")
	r = v.form()
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	v.do(r).wantPage(t, http.StatusForbidden, "This form came from another site")
	if v.signedOut() {
		t.Error("another site confirmed")
	}
}

func TestLO_5_NobodySignedIn(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	v.get(s.url+"/end_session").wantPage(t, http.StatusOK, "You are signed out")
	v.get(s.url+"/signout").wantPage(t, http.StatusOK, "You are signed out")
	if p := v.get(s.url + "/end_session?" + url.Values{"client_id": {"reports"}, "post_logout_redirect_uri": {s.app + "/bye"}}.Encode()); p.header.Get("Location") != s.app+"/bye" {
		t.Errorf("%d to %q", p.status, p.header.Get("Location"))
	}
}
