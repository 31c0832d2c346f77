package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// party registers a client that wants to be told of sessions that ended, at the
// receiver that it returns.
func (w *world) party(id, algorithm string) *receiver {
	w.t.Helper()
	r := w.receiver()
	w.client(clients.Spec{
		ID: id, GrantTypes: []string{oauth.AuthorizationCode}, RedirectURIs: []string{"https://rp.example.com/cb"}, Scope: everything,
		Audience: api, IDTokenAlg: algorithm, BackchannelLogoutURI: r.URL + "/out?tenant=1", BackchannelLogoutSessionRequired: true,
	})
	return r
}

func private(c *config.Config) { c.Notify.PrivateLogout = true }

// logoutToken is the token of one request, verified as a client does.
func (w *world) logoutToken(r received, client string, algorithm jwk.Algorithm) *jwt.Token {
	w.t.Helper()
	form, err := url.ParseQuery(string(r.body))
	must(w.t, err)
	if len(form) != 1 || len(form["logout_token"]) != 1 || r.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		w.t.Fatalf("got %s with %v", form, r.header)
	}
	w.remember("logout token", form.Get("logout_token"))
	keys, err := jwk.NewRemoteSet(jwk.RemoteConfig{URL: w.issuer + "/jwks"})
	must(w.t, err)
	v, err := jwt.NewVerifier(jwt.Config{
		Profile: jwt.LogoutToken, Issuer: w.issuer, Audience: []string{client}, Algorithms: []jwk.Algorithm{algorithm}, Keys: keys, Now: w.clock.Now,
	})
	must(w.t, err)
	token, err := v.Verify(w.t.Context(), form.Get("logout_token"))
	must(w.t, err)
	return token
}

// However a session ends, each client that got tokens in it is told, with the
// session that it knows.
func TestBC_1_LogoutToken(t *testing.T) {
	w := newWorld(t, options{edit: private})
	rsa, es := w.party("rp-rsa", ""), w.party("rp-es", "ES256")
	other := w.account("bea", "Bea")
	otherSession := w.session(other)
	w.signedIn("rp-rsa", in(otherSession), scope("openid"))
	told := 0
	for what, end := range map[string]func(s authority.Session) error{
		"sign-out": func(s authority.Session) error {
			return w.parts.Accounts.SignOut(t.Context(), s, authority.Context{})
		},
		"an administrator": func(s authority.Session) error { return w.operator().EndSession(t.Context(), s.ID.String(), "") },
		"everywhere":       func(authority.Session) error { return w.operator().EndSessions(t.Context(), "ada", "") },
		"a new password": func(authority.Session) error {
			return w.operator().SetPassword(t.Context(), "ada", "another horse battery staple", "")
		},
		"disabled": func(authority.Session) error {
			defer func() { must(t, w.operator().EnableAccount(t.Context(), "ada", "")) }()
			return w.operator().DisableAccount(t.Context(), "ada", "")
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := w.session(w.person)
			w.signedIn("rp-rsa", in(s), scope("openid"))
			w.signedIn("rp-es", in(s), scope("openid", "offline_access"))
			w.signedIn("web", in(s), scope("openid"))
			must(t, end(s))
			for client, r := range map[string]*receiver{"rp-rsa": rsa, "rp-es": es} {
				algorithm := jwk.RS256
				if client == "rp-es" {
					algorithm = jwk.ES256
				}
				got := r.await(told + 1)
				token := w.logoutToken(got[told], client, algorithm)
				c := token.Claims
				if c.SessionID != s.ID.String() || c.Subject != w.person.Subject() || c.ExpiresAt-c.IssuedAt > 120 || c.IssuedAt != w.clock.Now().Unix() || c.ID == "" ||
					!slices.Equal(c.Audience, []string{client}) || c.Has("nonce") {
					t.Errorf("%s: got %+v", client, c)
				}
				var events map[string]map[string]any
				must(t, json.Unmarshal(c.Events, &events))
				if about, ok := events["http://schemas.openid.net/event/backchannel-logout"]; len(events) != 1 || !ok || len(about) != 0 {
					t.Errorf("events: %s", c.Events)
				}
			}
			told++
		})
	}
	w.deliveries("delivered", 2*told)
	if a, b := len(rsa.messages()), len(es.messages()); a != told || b != told {
		t.Errorf("%d and %d messages, want %d each: some came twice, or the other account's session was told", a, b, told)
	}
}

// A browser that signs in again has another session, but its clients know the
// one that they were told of.
func TestBC_1_SessionThatWasReplaced(t *testing.T) {
	w := newWorld(t, options{edit: private})
	rp := w.party("rp", "")
	first := w.session(w.person)
	w.signedIn("rp", in(first), scope("openid"))
	second := first
	second.ID = secret.NewID(w.clock.Now())
	must(t, w.parts.Store.CreateSession(t.Context(), second, first.ID, w.event(authority.EventSignedIn)))
	must(t, w.operator().EndSession(t.Context(), second.ID.String(), ""))
	if c := w.logoutToken(rp.await(1)[0], "rp", jwk.RS256).Claims; c.SessionID != first.ID.String() {
		t.Errorf("told of %s, want %s", c.SessionID, first.ID)
	}
}

// What the client answers decides whether the token is sent again.
func TestBC_2_Answers(t *testing.T) {
	w := newWorld(t, options{edit: private})
	rp := w.party("rp", "")
	n := 0
	for code, want := range map[int]string{
		http.StatusOK: "delivered", http.StatusNoContent: "delivered", http.StatusBadRequest: "failed", http.StatusNotImplemented: "pending",
		http.StatusNotFound: "failed", http.StatusFound: "failed", http.StatusTooManyRequests: "pending", http.StatusInternalServerError: "pending",
	} {
		rp.answers(status(code))
		s := w.session(w.person)
		w.signedIn("rp", in(s), scope("openid"))
		must(t, w.operator().EndSession(t.Context(), s.ID.String(), ""))
		n++
		rp.await(n)
		deadline := time.Now().Add(10 * time.Second)
		for done := false; !done; time.Sleep(2 * time.Millisecond) {
			list, err := w.operator().Deliveries(t.Context(), adminclient.DeliveryFilter{Channel: "logout", Target: "rp"}, adminclient.Page{})
			must(t, err)
			d := newest(w, list.Items, s)
			done = d.State == want && d.Attempts == 1 && (want == "delivered" || d.LastError != "")
			if !done && time.Now().After(deadline) {
				t.Fatalf("%d: got %+v, want %s", code, d, want)
			}
		}
	}
}

// newest is the delivery about the end of a session.
func newest(w *world, ds []adminclient.Delivery, s authority.Session) adminclient.Delivery {
	w.t.Helper()
	for _, d := range ds {
		shown, err := w.operator().Delivery(w.t.Context(), d.ID)
		must(w.t, err)
		if strings.Contains(shown.Body, s.ID.String()) {
			return shown
		}
	}
	return adminclient.Delivery{}
}

// A client that is down holds up neither the sign-out nor the others, and gets a
// fresh token when it is up again.
func TestBC_3_RetriedWithAFreshToken(t *testing.T) {
	w := newWorld(t, options{edit: private})
	down, up := w.party("down", ""), w.party("up", "")
	down.answers(status(http.StatusServiceUnavailable))
	s := w.session(w.person)
	w.signedIn("down", in(s), scope("openid"))
	w.signedIn("up", in(s), scope("openid"))
	must(t, w.operator().EndSession(t.Context(), s.ID.String(), ""))
	w.logoutToken(up.await(1)[0], "up", jwk.RS256)
	first := w.logoutToken(down.await(1)[0], "down", jwk.RS256).Claims

	down.answers(func(http.ResponseWriter, *http.Request) {})
	w.clock.advance(10 * time.Minute) // the first token is long dead
	second := w.logoutToken(down.await(2, time.Second)[1], "down", jwk.RS256).Claims
	if second.ID == first.ID || second.IssuedAt <= first.IssuedAt || second.SessionID != first.SessionID {
		t.Errorf("got %+v after %+v", second, first)
	}
	w.deliveries("delivered", 2)
}

// The URI is one on the internet, by https, unless the operator says otherwise.
func TestBC_3_LogoutURI(t *testing.T) {
	w := newWorld(t, options{})
	for uri, good := range map[string]bool{
		"https://rp.example.com/out?x=1": true, "http://127.0.0.1:8080/out": true, "http://localhost/out": true,
		"http://rp.example.com/out": false, "https://rp.example.com/out#x": false, "https://rp.example.com/out#": false,
		"https://user@rp.example.com/": false, "/out": false, "ftp://rp.example.com/": false, "https:///out": false,
		"https://rp.example.com/" + strings.Repeat("x", 2048): false,
	} {
		_, err := w.operator().CreateClient(t.Context(), adminclient.NewClient{ClientSpec: adminclient.ClientSpec{
			ID: "rp-" + secret.Token("").Reveal()[:8], GrantTypes: []string{oauth.AuthorizationCode}, RedirectURIs: []string{"https://rp.example.com/cb"},
			BackchannelLogoutURI: uri,
		}}, "")
		if (err == nil) != good {
			t.Errorf("%s: %v", uri, err)
		}
	}
	if _, err := w.operator().CreateClient(t.Context(), adminclient.NewClient{ClientSpec: adminclient.ClientSpec{
		ID: "no-uri", BackchannelLogoutSessionRequired: true,
	}}, ""); err == nil {
		t.Error("a session is required where nothing is sent")
	}

	rp := w.party("rp", "")
	s := w.session(w.person)
	w.signedIn("rp", in(s), scope("openid"))
	must(t, w.operator().EndSession(t.Context(), s.ID.String(), ""))
	if d := w.deliveries("failed", 1)[0]; !strings.Contains(d.LastError, "loopback") || len(rp.messages()) > 0 {
		t.Errorf("got %+v and %d messages", d, len(rp.messages()))
	}
}

func TestBC_1_Metadata(t *testing.T) {
	w := newWorld(t, options{})
	m := w.get(oauth.WellKnownOpenID).ok().json
	if m["backchannel_logout_supported"] != true || m["backchannel_logout_session_supported"] != true {
		t.Errorf("got %v", m)
	}
}
