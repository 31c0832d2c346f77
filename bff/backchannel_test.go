package bff_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/bff"
	"github.com/jetonhq/jeton/client"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

// signer adds a key of ours to those that the authority publishes.
func (w *world) signer() *jwk.Key {
	w.t.Helper()
	key, err := jwk.Generate(jwk.ES256)
	must(w.t, err)
	next := w.server.Handler()
	w.authority.set(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/jwks" {
			next.ServeHTTP(rw, r)
			return
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		var set struct {
			Keys []json.RawMessage `json:"keys"`
		}
		must(w.t, json.Unmarshal(rec.Body.Bytes(), &set))
		public, err := key.MarshalJSON()
		must(w.t, err)
		set.Keys = append(set.Keys, public)
		rw.Header().Set("Content-Type", "application/jwk-set+json")
		must(w.t, json.NewEncoder(rw).Encode(set))
	}))
	return key
}

const logoutEvents = `{"http://schemas.openid.net/event/backchannel-logout":{}}`

// logoutToken is a good one of the authority for the session, or for the person.
func (w *world) logoutToken(key *jwk.Key, sub, sid string, edit func(c *jwt.Claims) (typ string)) string {
	w.t.Helper()
	now := w.clock.Now()
	c := jwt.Claims{
		Issuer: w.issuer, Audience: []string{"shop"}, IssuedAt: now.Unix(), ExpiresAt: now.Add(2 * time.Minute).Unix(),
		ID: newDigest().String(), Subject: sub, SessionID: sid, Events: json.RawMessage(logoutEvents),
	}
	typ := "logout+jwt"
	if edit != nil {
		typ = edit(&c)
	}
	token, err := jwt.Sign(key, typ, &c)
	must(w.t, err)
	return token
}

// logout posts as the authority does: no browser, no cookie.
func (w *world) logout(token string) told {
	w.t.Helper()
	b := w.browser()
	return b.do(http.MethodPost, "/auth/back-channel", url.Values{"logout_token": {token}}.Encode(), "Sec-Fetch-Site", "")
}

// sidOf is the id that the session of this browser has at the authority.
func (b *browser) sidOf() (sub, sid string) {
	b.t.Helper()
	var c struct {
		Subject   string `json:"sub"`
		SessionID string `json:"sid"`
	}
	must(b.t, json.Unmarshal(b.do(http.MethodGet, "/api/x", "").seen(b.t).Claims, &c))
	return c.Subject, c.SessionID
}

func TestBackChannel_BC_2_EndsSessions(t *testing.T) {
	w := newWorld(t)
	key := w.signer()
	one, two := w.browser().signIn(), w.browser().signIn()
	sub, sid := one.sidOf()
	a := w.logout(w.logoutToken(key, sub, sid, nil))
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	one.wantSession("the session that was named", false)
	if one.cookie() == "" {
		t.Error("the cookie is gone")
	}
	two.wantSession("another session of the person", true)
	if a := w.logout(w.logoutToken(key, "", sid, nil)); a.status != http.StatusOK {
		t.Errorf("what is ended already: %d %s", a.status, a.body)
	}
	w.logout(w.logoutToken(key, sub, "", nil))
	two.wantSession("all of the person", false)
}

func TestBackChannel_BC_2_Refusals(t *testing.T) {
	w := newWorld(t)
	key := w.signer()
	b := w.browser().signIn()
	sub, _ := b.sidOf()
	stranger, err := jwk.Generate(jwk.ES256)
	must(t, err)
	kind := func(f func(c *jwt.Claims)) func(*jwt.Claims) string {
		return func(c *jwt.Claims) string { f(c); return "logout+jwt" }
	}
	for name, token := range map[string]string{
		"no token":          "",
		"nonsense":          "a.b.c",
		"foreign key":       w.logoutToken(stranger, sub, "", nil),
		"another issuer":    w.logoutToken(key, sub, "", kind(func(c *jwt.Claims) { c.Issuer += "/x" })),
		"another audience":  w.logoutToken(key, sub, "", kind(func(c *jwt.Claims) { c.Audience = []string{"other"} })),
		"expired":           w.logoutToken(key, sub, "", kind(func(c *jwt.Claims) { c.ExpiresAt = c.IssuedAt - 1 })),
		"old":               w.logoutToken(key, sub, "", kind(func(c *jwt.Claims) { c.IssuedAt -= 3600 })),
		"of the future":     w.logoutToken(key, sub, "", kind(func(c *jwt.Claims) { c.IssuedAt += 60 })),
		"no jti":            w.logoutToken(key, sub, "", kind(func(c *jwt.Claims) { c.ID = "" })),
		"no exp":            w.logoutToken(key, sub, "", kind(func(c *jwt.Claims) { c.ExpiresAt = 0 })),
		"no events":         w.logoutToken(key, sub, "", kind(func(c *jwt.Claims) { c.Events = nil })),
		"another event":     w.logoutToken(key, sub, "", kind(func(c *jwt.Claims) { c.Events = json.RawMessage(`{"x":{}}`) })),
		"event is no event": w.logoutToken(key, sub, "", kind(func(c *jwt.Claims) { c.Events = json.RawMessage(strings.Replace(logoutEvents, "{}", "1", 1)) })),
		"nonce":             w.logoutToken(key, sub, "", kind(func(c *jwt.Claims) { c.Nonce = "n" })),
		"nobody":            w.logoutToken(key, "", "", nil),
		"an ID token":       w.logoutToken(key, sub, "", func(*jwt.Claims) string { return "JWT" }),
		"an access token":   w.logoutToken(key, sub, "", func(*jwt.Claims) string { return "at+jwt" }),
	} {
		t.Run(name, func(t *testing.T) {
			a := w.logout(token)
			if a.status != http.StatusBadRequest || !strings.Contains(a.body, `"error":"invalid_request"`) || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	b.wantSession("after all that", true)
	if a := w.browser().do(http.MethodGet, "/auth/back-channel", ""); a.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.status)
	}
	if a := w.browser().do(http.MethodPost, "/auth/back-channel?logout_token="+w.logoutToken(key, sub, "", nil), "x=y", "Sec-Fetch-Site", ""); a.status != http.StatusBadRequest {
		t.Errorf("in the query: %d", a.status)
	}
	b.wantSession("after a token in the query", true)
}

// A token counts once, also at another server that shares the store.
func TestBackChannel_Replay(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, inDirectory(dir))
	key := w.signer()
	b := w.browser().signIn()
	sub, _ := b.sidOf()
	token := w.logoutToken(key, sub, "", nil)
	if a := w.logout(token); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	b.signIn()
	if a := w.logout(token); a.status != http.StatusBadRequest {
		t.Errorf("%d %s", a.status, a.body)
	}
	inDirectory(dir)(&w.config)
	w.start()
	if a := w.logout(token); a.status != http.StatusBadRequest {
		t.Errorf("after a restart: %d %s", a.status, a.body)
	}
	b.wantSession("after replays", true)
}

// While the store cannot write, a logout is not acknowledged, and works when it comes again.
func TestBackChannel_NothingIsAcknowledgedThatWasNotDone(t *testing.T) {
	store := &failing{Store: bff.NewMemoryStore(0)}
	w := newWorld(t, func(c *bff.Config) { c.Store, c.Keys = store, []client.Secret{oneKey} })
	key := w.signer()
	b := w.browser().signIn()
	sub, sid := b.sidOf()
	store.fail.Store(true)
	token := w.logoutToken(key, sub, sid, nil)
	if a := w.logout(token); a.status != http.StatusInternalServerError {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.wantSession("not acknowledged", true)
	store.fail.Store(false)
	if a := w.logout(token); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.wantSession("acknowledged", false)
}

// The authority itself tells the app: of one session when it ends, and of nothing else.
func TestBackChannel_FromTheAuthority(t *testing.T) {
	w := newWorld(t)
	one, two := w.browser().signIn(), w.browser().signIn()
	_, sid := one.sidOf()
	id, err := secret.ParseID(sid)
	must(t, err)
	must(t, w.parts.Accounts.EndSession(t.Context(), authority.System, id, "test"))
	until(t, "the app is told", func() bool { return w.app.Stats().Ended == 1 })
	one.do(http.MethodGet, "/api/x", "").wants(t, http.StatusUnauthorized, jeton.ReasonNoSession)
	if one.cookie() == "" {
		t.Error("the cookie is gone")
	}
	two.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "")
}
