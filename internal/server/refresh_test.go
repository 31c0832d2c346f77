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

// grantOf finds the record behind an access token.
func (w *world) grantOf(accessToken string) authority.Grant {
	w.t.Helper()
	id, err := secret.ParseID(w.introspect(accessToken).text("gid"))
	must(w.t, err)
	g, err := w.parts.Store.Grant(w.t.Context(), id)
	must(w.t, err)
	return g
}

// phone registers a native app.
func (w *world) phone() {
	w.t.Helper()
	w.client(clients.Spec{ID: "phone", AuthMethod: oauth.NoAuthentication, Native: true, GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken},
		RedirectURIs: []string{"com.example.phone:/cb"}, Scope: everything, Audience: api})
}

func TestREF_1_BoundToItsClient(t *testing.T) {
	w := newWorld(t, options{})
	token := w.signedIn("web").text("refresh_token")
	for _, client := range []string{"other", "spa"} {
		w.refresh(client, token).refused(http.StatusBadRequest, oauth.InvalidGrant)
	}
	w.post("/token", "", "grant_type", "refresh_token", "refresh_token", token, "client_id", "web").
		refused(http.StatusUnauthorized, oauth.InvalidClient)
	w.refresh("web", token).ok()
}

func TestREF_1_MalformedAndForeign(t *testing.T) {
	w := newWorld(t, options{})
	a := w.signedIn("web")
	good := a.text("refresh_token")
	for name, token := range map[string]string{
		"garbage":         "x",
		"an access token": a.text("access_token"),
		"cut":             good[:len(good)-1],
		"longer":          good + "A",
		"a bit turned":    strings.Replace(good, good[40:41], string(good[40]^1), 1),
		"made up":         "jr_" + strings.Repeat("Ab0_9", 15),
		"space at an end": good + " ",
	} {
		t.Run(name, func(t *testing.T) { w.refresh("web", token).refused(http.StatusBadRequest, oauth.InvalidGrant) })
	}
	w.refresh("web", good).ok()
	w.wantEvents(authority.EventRefreshReused, 0)
}

func TestREF_2_ScopeNarrowsOneAccessToken(t *testing.T) {
	w := newWorld(t, options{})
	token := w.signedIn("web", scope("openid", "read", "write")).text("refresh_token")
	a := w.refresh("web", token, "scope", "read").ok()
	if a.text("scope") != "read" || w.introspect(a.text("access_token")).text("scope") != "read" || a.text("id_token") != "" {
		t.Errorf("narrowed: %v", a.json)
	}
	token = a.text("refresh_token")
	for _, wide := range []string{"read admin", "email", "READ"} {
		w.refresh("web", token, "scope", wide).refused(http.StatusBadRequest, oauth.InvalidScope)
	}
	w.refresh("web", token, "scope", "read  write").refused(http.StatusBadRequest, oauth.InvalidScope)
	if a := w.refresh("web", token).ok(); a.text("scope") != "openid read write" {
		t.Errorf("without scope after narrowing: %q, want the granted one", a.text("scope"))
	}
}

func TestREF_3_Rotation(t *testing.T) {
	w := newWorld(t, options{})
	for _, client := range []string{"web", "spa"} {
		tokens := []string{w.signedIn(client).text("refresh_token")}
		for range 4 {
			a := w.refresh(client, tokens[len(tokens)-1]).ok()
			tokens = append(tokens, a.text("refresh_token"))
		}
		seen := make(map[string]bool)
		for _, token := range tokens {
			if seen[token] {
				t.Errorf("%s: a refresh token was given out twice", client)
			}
			seen[token] = true
		}
	}
}

// SPECS 20.7, reuse after rotation: the grant ends, the session stays, and the
// audit trail has both contexts.
func TestREF_3_ReplayEndsTheGrant(t *testing.T) {
	w := newWorld(t, options{})
	s := w.session(w.person)
	bystander := w.signedIn("other", in(s))
	first := w.signedIn("web", in(s))
	second := w.refresh("web", first.text("refresh_token")).ok()
	third := w.refresh("web", second.text("refresh_token")).ok()

	thief := w.form("/token", "web", "grant_type", "refresh_token", "refresh_token", first.text("refresh_token"))
	thief.Header.Set("User-Agent", "thief/9")
	w.do(thief).refused(http.StatusBadRequest, oauth.InvalidGrant)
	for name, a := range map[string]answer{"first": first, "second": second, "third": third} {
		w.wantDead("the "+name+" access token", a.text("access_token"))
		w.refresh("web", a.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
	}
	events := w.events(authority.EventRefreshReused)
	if len(events) != 1 {
		t.Fatalf("%d events, want 1", len(events))
	}
	if e := events[0]; e.Context.UserAgent != "thief/9" || !strings.HasPrefix(e.Data["last_user_agent"], "Go-http-client") ||
		e.AccountID != w.person.ID || e.ClientID != "web" || e.SessionID != s.ID {
		t.Errorf("the event is %+v", e)
	}
	if !w.sessionAlive(s.ID) {
		t.Error("the session ended")
	}
	w.wantAlive("the token of another grant", bystander.text("access_token"))
	w.refresh("other", bystander.text("refresh_token")).ok()
}

func TestREF_4_AbsoluteLifetime(t *testing.T) {
	for client, lifetime := range map[string]time.Duration{"spa": 24 * time.Hour, "web": 90 * 24 * time.Hour, "phone": 90 * 24 * time.Hour} {
		t.Run(client, func(t *testing.T) {
			w := newWorld(t, options{})
			w.phone()
			token := w.signedIn(client, scope("read", "offline_access")).text("refresh_token")
			step := min(lifetime/4, 13*24*time.Hour)
			end := w.clock.Now().Add(lifetime)
			for w.clock.Now().Add(step).Before(end) {
				w.clock.advance(step)
				token = w.refresh(client, token).ok().text("refresh_token")
			}
			w.clock.advance(end.Sub(w.clock.Now()))
			w.refresh(client, token).refused(http.StatusBadRequest, oauth.InvalidGrant)
		})
	}
}

// A grant that is not for offline access ends with its session at the latest.
func TestREF_4_EndsWithTheSession(t *testing.T) {
	w := newWorld(t, options{})
	token := w.signedIn("web").text("refresh_token") // the session has 24 h
	w.clock.advance(23 * time.Hour)
	token = w.refresh("web", token).ok().text("refresh_token")
	w.clock.advance(time.Hour)
	w.refresh("web", token).refused(http.StatusBadRequest, oauth.InvalidGrant)
}

func TestREF_6_IdleRefreshTokenDies(t *testing.T) {
	w := newWorld(t, options{})
	used, idle := w.signedIn("web", scope("read", "offline_access")).text("refresh_token"), w.signedIn("web", scope("read", "offline_access")).text("refresh_token")
	w.clock.advance(13 * 24 * time.Hour)
	used = w.refresh("web", used).ok().text("refresh_token")
	w.clock.advance(24 * time.Hour)
	w.refresh("web", idle).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.refresh("web", used).ok()
}

func TestREF_6_FiftyParallelRefreshesOverHTTP(t *testing.T) {
	w := newWorld(t, options{})
	for _, client := range []string{"web", "spa"} {
		s := w.session(w.person)
		first := w.signedIn(client, in(s))
		before := w.grantOf(first.text("access_token"))
		answers := parallel(50, func(int) *http.Request {
			return w.form("/token", client, "grant_type", "refresh_token", "refresh_token", first.text("refresh_token"))
		}, w.do)
		for i, a := range answers {
			if a.status != http.StatusOK {
				t.Fatalf("%s, caller %d: got %d %s", client, i, a.status, a.body)
			}
			if a.text("refresh_token") != answers[0].text("refresh_token") {
				t.Fatalf("%s: two callers hold different refresh tokens: one of them will be signed out", client)
			}
			w.wantAlive("an access token of the 50", a.text("access_token"))
		}
		w.wantAlive("the first access token", first.text("access_token"))
		after := w.grantOf(answers[0].text("access_token"))
		if after.ID != before.ID || after.Generation != before.Generation+1 {
			t.Errorf("%s: generation went from %d to %d in grant %t, want one step in one grant", client, before.Generation, after.Generation, after.ID == before.ID)
		}
		grants, err := w.parts.Store.Grants(t.Context(), w.person.ID, client, authority.Page{})
		must(t, err)
		if len(grants) != 1 {
			t.Errorf("%s: %d grant rows, want 1", client, len(grants))
		}
		if !w.sessionAlive(s.ID) {
			t.Error("the session ended")
		}
		w.refresh(client, answers[49].text("refresh_token")).ok()
	}
	w.wantEvents(authority.EventRefreshReused, 0)
}

// The answer of a refresh was lost. The same request a day later works, and
// leads to the same refresh token.
func TestREF_6_LostAnswerADayLater(t *testing.T) {
	w := newWorld(t, options{})
	w.phone()
	for _, client := range []string{"web", "phone"} {
		first := w.signedIn(client, scope("read", "offline_access")).text("refresh_token")
		lost := w.refresh(client, first).ok()
		w.clock.advance(24 * time.Hour)
		again := w.refresh(client, first).ok()
		if again.text("refresh_token") != lost.text("refresh_token") {
			t.Errorf("%s: a second branch of the family", client)
		}
		w.wantAlive("the access token of the retry", again.text("access_token"))
		next := w.refresh(client, again.text("refresh_token")).ok()
		w.wantAlive("the next access token", next.text("access_token"))
		w.wantEvents(authority.EventRefreshReused, 0)
	}
}

// With the strict policy a predecessor works for ten seconds, and one of many
// parallel callers is never signed out.
func TestREF_6_PolicyStrictOverHTTP(t *testing.T) {
	w := newWorld(t, options{})
	w.client(clients.Spec{ID: "strict", GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken}, RedirectURIs: []string{"https://s.example.com/cb"},
		Scope: everything, Audience: api, RefreshPolicy: authority.RefreshStrict})
	first := w.signedIn("strict").text("refresh_token")
	for _, a := range parallel(20, func(int) *http.Request {
		return w.form("/token", "strict", "grant_type", "refresh_token", "refresh_token", first)
	}, w.do) {
		a.ok()
	}
	w.clock.advance(11 * time.Second)
	w.refresh("strict", first).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.wantEvents(authority.EventRefreshReused, 1)
}

func TestREF_PolicyBoundOverHTTP(t *testing.T) {
	w := newWorld(t, options{})
	w.client(clients.Spec{ID: "fapi", GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken}, RedirectURIs: []string{"https://f.example.com/cb"},
		Scope: everything, Audience: api, RefreshPolicy: authority.RefreshBound})
	first := w.signedIn("fapi").text("refresh_token")
	for range 3 {
		if a := w.refresh("fapi", first).ok(); a.text("refresh_token") != first {
			t.Error("the token was rotated")
		}
	}
}

// One row, updated in place: a grant that is refreshed often does not grow.
func TestREF_OneRowPerGrant(t *testing.T) {
	w := newWorld(t, options{})
	token := w.signedIn("web").text("refresh_token")
	for range 100 {
		token = w.refresh("web", token).ok().text("refresh_token")
	}
	grants, err := w.parts.Store.Grants(t.Context(), w.person.ID, "web", authority.Page{})
	must(t, err)
	if len(grants) != 1 || grants[0].Generation != 100 {
		t.Errorf("%d grants, generation %d", len(grants), grants[0].Generation)
	}
}
