package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

// ask is a guard's registry question about tokens.
func (w *world) ask(as string, tokens ...string) answer {
	w.t.Helper()
	var q revocation.Question
	for _, token := range tokens {
		u, err := jwt.Parse(token, 0)
		must(w.t, err)
		id, err := secret.ParseID(u.Claims.ID)
		must(w.t, err)
		sum := sha256.Sum256([]byte(token))
		q.Tokens = append(q.Tokens, revocation.Sighting{ID: revocation.ID(id), Digest: revocation.ID(sum[:16]), KeyID: u.Header.KeyID})
	}
	b, err := json.Marshal(q)
	must(w.t, err)
	r := w.form("/registry/check", as)
	full := w.request(http.MethodPost, "/registry/check", string(b))
	full.Header.Set("Content-Type", "application/json")
	full.Header["Authorization"] = r.Header["Authorization"]
	return w.do(full)
}

func (w *world) wantVerdicts(want []string, tokens ...string) {
	w.t.Helper()
	var a revocation.Answer
	must(w.t, json.Unmarshal([]byte(w.ask("reports-api", tokens...).ok().body), &a))
	if strings.Join(a.Verdicts, ",") != strings.Join(want, ",") {
		w.t.Errorf("verdicts %q, want %q", a.Verdicts, want)
	}
}

// Somebody stole the signing key. What they sign verifies everywhere, and is
// refused all the same, because the authority knows what it issued.
func TestForged_PerfectTokensAreRefusedAndRaised(t *testing.T) {
	w := newWorld(t, options{})
	key := w.stolenKey()
	live := w.signedIn("web", scope("openid", "read")).text("access_token")
	u, err := jwt.Parse(live, 0)
	must(t, err)
	g := w.grantOf(live)

	fresh := w.perfect(g)
	fresh.Subject, fresh.ClientID, fresh.Scope = w.person.Subject(), "web", "openid read admin"
	borrowed := fresh
	borrowed.ID = u.Claims.ID // of a live token, with other claims
	alone := fresh            // without any grant at all
	alone.ID, alone.GrantID = secret.NewID(w.clock.Now()).String(), ""
	named := fresh // an id that is none of ours
	named.ID = "admin-token-1"

	for name, claims := range map[string]jwt.Claims{"fresh jti": fresh, "jti of a live token": borrowed, "no grant": alone, "foreign jti": named} {
		t.Run(name, func(t *testing.T) {
			w.clock.advance(2 * time.Second) // one event a second
			forged, err := jwt.Sign(key, "at+jwt", claims)
			must(t, err)
			before := len(w.events(authority.EventForgedToken))
			w.wantDead("introspection", forged)
			if got := len(w.events(authority.EventForgedToken)); got != before+1 {
				t.Errorf("%d events, want one more than %d", got, before)
			}
			a := w.userinfo(forged)
			if a.status != http.StatusUnauthorized || a.header.Get("Jeton-Reason") != "unknown_token" {
				t.Errorf("userinfo: %d %q", a.status, a.header.Get("Jeton-Reason"))
			}
			if name != "foreign jti" {
				w.wantVerdicts([]string{"unknown_token"}, forged)
			}
			w.post("/revoke", "web", "token", forged).ok() // says nothing
			if g := w.grantOf(live); !g.EndedAt.IsZero() {
				t.Error("a forged token ended a grant")
			}
		})
	}
	w.wantAlive("the live token", live)
	w.wantVerdicts([]string{""}, live)

	// The operator sees it.
	list, err := (&adminclient.Client{BaseURL: w.manage, Token: w.admin}).Events(t.Context(), adminclient.EventFilter{Type: string(authority.EventForgedToken)}, adminclient.Page{})
	must(t, err)
	if len(list.Items) != 4 {
		t.Fatalf("the admin API lists %d events, want 4", len(list.Items))
	}
	for _, e := range list.Items {
		if e.Data["kid"] != key.ID() || e.Data["sightings"] == "" {
			t.Errorf("event %+v", e)
		}
	}
	if !strings.Contains(w.log.String(), "never issued") {
		t.Error("the log has no warning")
	}
}

func TestForged_WrongKeysAreNoForgery(t *testing.T) {
	w := newWorld(t, options{})
	live := w.machine()
	g := w.grantOf(live)
	stranger, err := jwk.Generate(jwk.ES256)
	must(t, err)
	stranger, err = stranger.WithID(w.stolenKey().ID()) // claims to be ours
	must(t, err)
	token, err := jwt.Sign(stranger, "at+jwt", w.perfect(g))
	must(t, err)
	w.wantDead("a token with a stranger's signature", token)
	if a := w.userinfo(token); a.header.Get("Jeton-Reason") != "bad_signature" {
		t.Errorf("reason %q", a.header.Get("Jeton-Reason"))
	}
	w.wantEvents(authority.EventForgedToken, 0)
}

// A flood of forgeries must not fill the disk.
func TestForged_FloodWritesFewEvents(t *testing.T) {
	w := newWorld(t, options{})
	key := w.stolenKey()
	g := w.grantOf(w.machine())
	const each, rounds = 250, 4
	for range rounds {
		var batch []string
		for range each {
			token, err := jwt.Sign(key, "at+jwt", w.perfect(g))
			must(t, err)
			batch = append(batch, token)
		}
		for _, token := range batch[:each/2] {
			w.wantDead("a forged token", token)
		}
		want := make([]string, each-each/2)
		for i := range want {
			want[i] = "unknown_token"
		}
		w.wantVerdicts(want, batch[each/2:]...)
		w.clock.advance(500 * time.Millisecond)
	}
	if n := len(w.events(authority.EventForgedToken)); n < 1 || n > 3 {
		t.Errorf("%d events for 1000 forgeries in two seconds", n)
	}
	if n := bytes.Count([]byte(w.log.String()), []byte("never issued")); n > 3 {
		t.Errorf("%d warnings", n)
	}
}

func TestRegistryCheck_OnlyResourcesMayAsk(t *testing.T) {
	w := newWorld(t, options{})
	token := w.machine()
	w.ask("", token).refused(http.StatusUnauthorized, "invalid_client")
	w.ask("spa", token).refused(http.StatusUnauthorized, "invalid_client")
	w.ask("machine", token).refused(http.StatusBadRequest, "unauthorized_client")
	w.ask("reports-api").refused(http.StatusBadRequest, "invalid_request")
	if a := w.get("/revocations"); a.status != http.StatusUnauthorized {
		t.Errorf("the feed for nobody: %d", a.status)
	}
}

func TestRegistryCheck_Verdicts(t *testing.T) {
	w := newWorld(t, options{})
	live, revoked, expired, ended := w.machine(), w.machine(), w.machine(), w.signedIn("web")
	w.revoke("machine", revoked, "")
	w.revoke("web", ended.text("refresh_token"), "")
	w.wantVerdicts([]string{"", "revoked", "revoked", ""}, live, revoked, ended.text("access_token"), live)
	w.clock.advance(5 * time.Minute)
	w.wantVerdicts([]string{"expired"}, expired)
	w.wantEvents(authority.EventForgedToken, 0)
}

// A guard whose clock runs behind asks about a token that has expired here. That
// is no forgery, also after upkeep has been by.
func TestRegistryCheck_ExpiredIsNotForged(t *testing.T) {
	w := newWorld(t, options{})
	token := w.machine()
	w.clock.advance(5*time.Minute + 90*time.Second)
	w.server.Sweep(t.Context())
	w.wantVerdicts([]string{"expired"}, token)
	w.wantEvents(authority.EventForgedToken, 0)
	id, err := secret.ParseID(claimsOf(t, token).ID)
	must(t, err)
	w.clock.advance(time.Minute) // and in the end its row does go
	w.server.Sweep(t.Context())
	rows, err := w.parts.Store.Tokens(t.Context(), []secret.ID{id})
	must(t, err)
	if len(rows) != 0 {
		t.Error("the row of an expired token stays")
	}
}

func claimsOf(t *testing.T, token string) jwt.Claims {
	t.Helper()
	u, err := jwt.Parse(token, 0)
	must(t, err)
	return u.Claims
}
