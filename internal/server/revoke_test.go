package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

func TestREV_1_HintsHideNothing(t *testing.T) {
	w := newWorld(t, options{})
	for _, hint := range []string{"", "access_token", "refresh_token", "nonsense"} {
		a := w.signedIn("web")
		w.revoke("web", a.text("access_token"), hint)
		w.wantDead("an access token revoked with hint "+hint, a.text("access_token"))
		w.refresh("web", a.text("refresh_token")).ok() // REV-4: an access token goes alone
		a = w.signedIn("web")
		w.revoke("web", a.text("refresh_token"), hint)
		w.refresh("web", a.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
	}
	// A public client sends its id.
	a := w.signedIn("spa")
	w.revoke("spa", a.text("refresh_token"), "")
	w.wantDead("the token of a public client", a.text("access_token"))
}

// revoke expects the empty 200 of every revocation.
func (w *world) revoke(client, token, hint string) {
	w.t.Helper()
	a := w.post("/revoke", client, "token", token, "token_type_hint", hint)
	if a.status != http.StatusOK || a.body != "" {
		w.t.Errorf("revocation: got %d %q, want an empty 200", a.status, a.body)
	}
}

func TestREV_2_Answers(t *testing.T) {
	w := newWorld(t, options{})
	expired := w.machine()
	w.clock.advance(time.Hour)
	revoked, a := w.machine(), w.signedIn("web", scope("openid"))
	w.revoke("machine", revoked, "")
	w.revoke("web", a.text("refresh_token"), "")
	for name, token := range map[string]string{
		"unknown": "x", "expired": expired, "revoked already": revoked,
		"a refresh token of the right form": "jr_" + strings.Repeat("Ab0_9", 15), "dots": "..",
	} {
		t.Run(name, func(t *testing.T) { w.revoke("machine", token, "") })
	}
	w.revoke("web", a.text("refresh_token"), "") // twice
	w.revoke("web", a.text("access_token"), "")  // died with it
	w.revoke("web", a.text("id_token"), "")
	for _, client := range []string{"web", "spa", "machine"} {
		w.post("/revoke", client).refused(http.StatusBadRequest, oauth.InvalidRequest)
	}
	w.post("/revoke", "", "token", "x").refused(http.StatusUnauthorized, oauth.InvalidClient)
	r := w.form("/revoke", "", "token", "x")
	r.SetBasicAuth("web", "wrong")
	w.do(r).refused(http.StatusUnauthorized, oauth.InvalidClient)
}

func TestREV_3_TokenOfAnotherClient(t *testing.T) {
	w := newWorld(t, options{})
	a := w.signedIn("web")
	for _, client := range []string{"other", "spa", "machine", "reports-api"} {
		for _, name := range []string{"access_token", "refresh_token"} {
			w.post("/revoke", client, "token", a.text(name)).refused(http.StatusBadRequest, oauth.UnauthorizedClient)
		}
	}
	w.wantAlive("the access token", a.text("access_token"))
	w.refresh("web", a.text("refresh_token")).ok()
}

func TestREV_4_ReachAndEffect(t *testing.T) {
	w := newWorld(t, options{})
	s := w.session(w.person)
	neighbour := w.signedIn("web", in(s))
	first := w.signedIn("web", in(s))
	second := w.refresh("web", first.text("refresh_token")).ok()
	w.wantAlive("a token that is seen before", second.text("access_token"))

	// One access token, and nothing else.
	w.revoke("web", first.text("access_token"), "")
	w.wantDead("the access token", first.text("access_token"))
	w.wantAlive("another of the grant", second.text("access_token"))
	w.wantEvents(authority.EventTokenRevoked, 1)

	// An old refresh token ends what it became as well (SPECS 20.7, /revoke RT).
	w.revoke("web", first.text("refresh_token"), "")
	w.wantDead("the access token of the successor", second.text("access_token"))
	w.refresh("web", second.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.wantEvents(authority.EventGrantEnded, 1)
	w.wantEvents(authority.EventRefreshReused, 0)
	if !w.sessionAlive(s.ID) {
		t.Error("the session ended")
	}
	w.wantAlive("another grant of the session", neighbour.text("access_token"))
	w.refresh("web", neighbour.text("refresh_token")).ok()

	// Programs: their tokens go one by one, and the next one is a new one.
	a, b := w.machine(), w.machine()
	w.revoke("machine", a, "")
	w.wantDead("the first token of the program", a)
	w.wantAlive("the second", b)
	w.wantAlive("the third", w.machine())
}

// Revoking races with refreshing: once the revocation is answered, nothing of
// the grant is alive and nothing more is made.
func TestREV_4_AgainstParallelRefreshes(t *testing.T) {
	w := newWorld(t, options{})
	for range 5 {
		first := w.signedIn("web")
		token := first.text("refresh_token")
		answers := parallel(20, func(i int) *http.Request {
			if i == 10 {
				return w.form("/revoke", "web", "token", token)
			}
			return w.form("/token", "web", "grant_type", "refresh_token", "refresh_token", token)
		}, w.do)
		for _, a := range answers {
			if access := a.text("access_token"); access != "" {
				w.wantDead("a token that raced with the revocation", access)
				w.refresh("web", a.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
			}
		}
		w.refresh("web", token).refused(http.StatusBadRequest, oauth.InvalidGrant)
	}
}

// TestEffects_20_7 has the rows of the table of SPECS 20.7 that exist and stand
// in no other test: what ends and what stays.
func TestEffects_20_7(t *testing.T) {
	type cast struct {
		*world
		session authority.Session // of the grants below, the second is another browser
		second  authority.Session
		online  answer // web, ends with the session
		offline answer // web, outlives it
		browser answer // spa with offline_access: a public client of this session
		other   answer // client other, this session
		away    answer // web, in the second session
	}
	const alive, dead = true, false
	type want struct{ session, second, online, offline, browser, other, away bool }
	for _, tt := range []struct {
		name  string
		do    func(c cast) error
		want  want
		event authority.EventType
	}{
		{"user logs out",
			func(c cast) error { return c.parts.Accounts.SignOut(t.Context(), c.session, authority.Context{}) },
			want{dead, alive, dead, alive, dead, dead, alive}, authority.EventSignedOut},
		{"operator ends the session",
			func(c cast) error { return c.parts.Accounts.EndSession(t.Context(), admin(), c.session.ID, "test") },
			want{dead, alive, dead, alive, dead, dead, alive}, authority.EventSessionEnded},
		{"signed out everywhere",
			func(c cast) error {
				return c.parts.Accounts.EndSessions(t.Context(), admin(), c.person.ID, secret.ID{}, "test")
			},
			want{dead, dead, dead, dead, dead, dead, dead}, authority.EventSessionsEnded},
		{"signed out everywhere else",
			func(c cast) error {
				return c.parts.Accounts.EndSessions(t.Context(), admin(), c.person.ID, c.session.ID, "test")
			},
			want{alive, dead, alive, dead, dead, alive, dead}, authority.EventSessionsEnded},
		{"password change",
			func(c cast) error {
				_, err := c.parts.Accounts.SetPassword(t.Context(), admin(), c.person.ID, secret.New("an entirely new passphrase"), "test")
				return err
			},
			want{dead, dead, dead, dead, dead, dead, dead}, authority.EventPasswordSet},
		{"account disabled",
			func(c cast) error {
				_, err := c.parts.Accounts.Disable(t.Context(), admin(), c.person.ID, "test")
				return err
			},
			want{dead, dead, dead, dead, dead, dead, dead}, authority.EventAccountDisabled},
		{"consent withdrawn",
			func(c cast) error {
				return c.parts.Tokens.Revoke(t.Context(), authority.Revocation{
					Consent: &authority.Consent{AccountID: c.person.ID, ClientID: "web"}, Reason: "test",
					Event: authority.Event{Type: authority.EventConsentWithdrawn, Actor: admin(), AccountID: c.person.ID, ClientID: "web"},
				})
			},
			want{alive, alive, dead, dead, alive, alive, dead}, authority.EventConsentWithdrawn},
		{"client deleted",
			func(c cast) error { return c.parts.Clients.Delete(t.Context(), admin(), "web", "test") },
			want{alive, alive, dead, dead, alive, alive, dead}, authority.EventClientDeleted},
		{"client secret compromised",
			func(c cast) error {
				_, plain, err := c.parts.Clients.RotateSecret(t.Context(), admin(), "web", clients.Rotation{Compromised: true}, "test")
				c.keys["web"] = plain.Reveal()
				return err
			},
			want{alive, alive, dead, dead, alive, alive, dead}, authority.EventClientSecretIssued},
		{"one grant ended",
			func(c cast) error {
				return c.parts.Tokens.Revoke(t.Context(), authority.Revocation{
					Grant: c.grantOf(c.online.text("access_token")).ID, Reason: "test", Event: authority.Event{Type: authority.EventGrantEnded, Actor: admin()},
				})
			},
			want{alive, alive, dead, alive, alive, alive, alive}, authority.EventGrantEnded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, options{})
			c := cast{world: w, session: w.session(w.person), second: w.session(w.person)}
			c.online, c.offline = w.signedIn("web", in(c.session)), w.signedIn("web", in(c.session), scope("read", "offline_access"))
			c.browser, c.other = w.signedIn("spa", in(c.session), scope("read", "offline_access")), w.signedIn("other", in(c.session))
			c.away = w.signedIn("web", in(c.second))
			stranger := w.signedIn("other", in(w.session(w.account("bob", "Bob"))))
			machine := w.machine()
			must(t, tt.do(c))

			if got := w.sessionAlive(c.session.ID); got != tt.want.session {
				t.Errorf("the session is alive: %t, want %t", got, tt.want.session)
			}
			if got := w.sessionAlive(c.second.ID); got != tt.want.second {
				t.Errorf("the second session is alive: %t, want %t", got, tt.want.second)
			}
			for _, g := range []struct {
				name, client string
				answer       answer
				want         bool
			}{
				{"online", "web", c.online, tt.want.online}, {"offline", "web", c.offline, tt.want.offline},
				{"browser", "spa", c.browser, tt.want.browser}, {"other", "other", c.other, tt.want.other},
				{"away", "web", c.away, tt.want.away}, {"of somebody else", "other", stranger, alive},
			} {
				if g.want {
					w.wantAlive("the access token "+g.name, g.answer.text("access_token"))
					w.refresh(g.client, g.answer.text("refresh_token")).ok()
					continue
				}
				w.wantDead("the access token "+g.name, g.answer.text("access_token"))
				a := w.refresh(g.client, g.answer.text("refresh_token"))
				if tt.event == authority.EventClientDeleted {
					a.refused(http.StatusUnauthorized, oauth.InvalidClient)
				} else {
					a.refused(http.StatusBadRequest, oauth.InvalidGrant)
				}
			}
			w.wantAlive("a program's token", machine)
			if len(w.events(tt.event)) == 0 {
				t.Errorf("no event %s", tt.event)
			}
		})
	}
}

// A program whose standing grant was ended gets a new one with its next token.
func TestEffects_20_7_StandingGrantIsReplaced(t *testing.T) {
	w := newWorld(t, options{})
	before := w.machine()
	_, plain, err := w.parts.Clients.RotateSecret(t.Context(), admin(), "machine", clients.Rotation{Compromised: true}, "test")
	must(t, err)
	w.wantDead("a token from before", before)
	w.post("/token", "machine", "grant_type", "client_credentials").refused(http.StatusUnauthorized, oauth.InvalidClient)
	w.keys["machine"] = plain.Reveal()
	w.wantAlive("a token from after", w.machine())
}

// A request that was let in before its client was disabled must not end up with
// a token that lives after it, whatever the timing.
func TestEffects_20_7_NoTokenOutlivesADisabledClient(t *testing.T) {
	w := newWorld(t, options{})
	for round := range 10 {
		id := "m" + string(rune('a'+round))
		w.client(clients.Spec{ID: id, GrantTypes: []string{oauth.ClientCredentials}, Scope: []string{"read"}, Audience: api})
		if round%2 == 0 { // with and without a standing grant
			w.post("/token", id, "grant_type", "client_credentials").ok()
		}
		c, err := w.parts.Clients.Lookup(t.Context(), id)
		must(t, err)
		spec := clients.SpecOf(c)
		spec.Disabled = true
		for _, a := range parallel(20, func(i int) *http.Request {
			if i == 4 {
				return nil
			}
			return w.form("/token", id, "grant_type", "client_credentials")
		}, func(r *http.Request) answer {
			if r != nil {
				return w.do(r)
			}
			if _, err := w.parts.Clients.Update(t.Context(), admin(), id, spec, "test"); err != nil {
				t.Error(err)
			}
			return answer{}
		}) {
			switch a.status {
			case http.StatusOK:
				w.wantDead("a token that raced with the end of its client", a.text("access_token"))
			case 0:
			default:
				a.refused(http.StatusUnauthorized, oauth.InvalidClient)
			}
		}
	}
}
