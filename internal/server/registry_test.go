package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/client"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/redistest"
)

// onRedis puts the registry of a world into Redis.
func onRedis(url string, edit ...func(*config.Config)) options {
	return options{edit: func(c *config.Config) {
		c.Store.Registry.URL = url
		for _, f := range edit {
			f(c)
		}
	}}
}

// settle moves the clock past the time in which a registry that has just begun
// cannot know which proofs were used before.
func (w *world) settle() { w.clock.advance(12 * time.Second) }

// TestRegistry_Flushed: Redis loses everything. Tokens are refused, refresh tokens
// give new ones, no proof is good a second time, and nobody is accused of forgery.
func TestRegistry_Flushed(t *testing.T) {
	redis := redistest.Start(t)
	w := newWorld(t, onRedis(redis.URL()))
	w.settle()
	first := w.redeem("web", w.code("web")).ok()
	revoked := w.redeem("web", w.code("web")).ok()
	w.wantAlive("a token", first.text("access_token"))
	w.post("/revoke", "web", "token", revoked.text("access_token")).ok()
	w.wantDead("a revoked token", revoked.text("access_token"))
	p := w.prover()
	proof := p.token()
	if got := w.askWith("machine", []string{proof}, "grant_type", "client_credentials"); got.status != http.StatusOK {
		t.Fatalf("a proof: %d %s", got.status, got.body)
	}
	guard := w.fleet(1)[0]
	unseen := w.redeem("web", w.code("web")).ok()
	if got := refusal(t, guard, first.text("access_token")); got != "" {
		t.Fatalf("the guard refuses a token: %s", got)
	}

	redis.Do("FLUSHALL")

	if got := refusal(t, guard, unseen.text("access_token")); got != "unknown_token" {
		t.Errorf("a token that Redis has lost: got %q, want unknown_token", got)
	}
	if got := refusal(t, guard, first.text("access_token")); got != "" {
		t.Errorf("a token that the guard has seen before: refused as %s", got)
	}
	w.wantDead("a revoked token", revoked.text("access_token"))
	w.wantEvents(authority.EventForgedToken, 0)

	second := w.refresh("web", unseen.text("refresh_token")).ok()
	w.wantAlive("a refreshed token", second.text("access_token"))

	// The proof was used before, and nobody remembers it.
	w.askWith("machine", []string{proof}, "grant_type", "client_credentials").refused(http.StatusServiceUnavailable, "temporarily_unavailable")
	w.askWith("machine", []string{p.token()}, "grant_type", "client_credentials").refused(http.StatusServiceUnavailable, "temporarily_unavailable")
	w.settle()
	w.askWith("machine", []string{proof}, "grant_type", "client_credentials").refused(http.StatusServiceUnavailable, "temporarily_unavailable")
	later := p.token()
	if got := w.askWith("machine", []string{later}, "grant_type", "client_credentials"); got.status != http.StatusOK {
		t.Errorf("a proof that was made after the loss: %d %s", got.status, got.body)
	}
	w.askWith("machine", []string{later}, "grant_type", "client_credentials").refused(http.StatusBadRequest, "invalid_dpop_proof")
}

// TestRegistry_Down: without Redis nothing is issued and nothing hangs; what needs
// no registry goes on; and when it is back, so is everything.
func TestRegistry_Down(t *testing.T) {
	redis := redistest.Start(t, "appendonly yes")
	w := newWorld(t, onRedis(redis.URL()))
	seen, unseen := w.redeem("web", w.code("web")).ok(), w.redeem("web", w.code("web")).ok()
	guard := w.fleet(1)[0]
	w.wantAlive("a token", seen.text("access_token"))
	if got := refusal(t, guard, seen.text("access_token")); got != "" {
		t.Fatalf("the guard refuses a token: %s", got)
	}
	code := w.code("web")

	redis.Kill()

	began := time.Now()
	w.post("/token", "machine", "grant_type", "client_credentials").refused(http.StatusServiceUnavailable, "temporarily_unavailable")
	w.redeem("web", code).refused(http.StatusServiceUnavailable, "temporarily_unavailable")
	w.refresh("web", seen.text("refresh_token")).refused(http.StatusServiceUnavailable, "temporarily_unavailable")
	w.wantAlive("a token that this node has seen", seen.text("access_token"))
	if got := refusal(t, guard, seen.text("access_token")); got != "" {
		t.Errorf("a token that the guard has seen: refused as %s", got)
	}
	if got := refusal(t, guard, unseen.text("access_token")); got == "" {
		t.Error("a token that nobody could ask about is accepted")
	}
	if a := w.get(w.manage + "/readyz"); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "registry") {
		t.Errorf("/readyz: %d %s", a.status, a.body)
	}
	w.code("web")
	// A revocation needs no registry, unless it is of one access token alone.
	w.post("/revoke", "web", "token", unseen.text("access_token")).refused(http.StatusServiceUnavailable, "temporarily_unavailable")
	w.post("/revoke", "web", "token", unseen.text("refresh_token")).ok()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("all that took %v: callers wait for a Redis that is not there", took)
	}

	must(t, redis.Resume())
	eventually(t, "the node is ready again", 30*time.Second, func() bool { return w.get(w.manage+"/readyz").status == http.StatusOK })
	w.wantAlive("a token of before", seen.text("access_token"))
	w.wantDead("a token whose grant was revoked meanwhile", unseen.text("access_token"))
	w.redeem("web", code).ok() // nothing of it was used up
	second := w.refresh("web", seen.text("refresh_token")).ok()
	w.wantAlive("a refreshed token", second.text("access_token"))
}

// TestRegistry_RestartedOnOldData: a Redis that comes back with an older copy of its
// data has forgotten proofs, and knows that it may have.
func TestRegistry_RestartedOnOldData(t *testing.T) {
	redis := redistest.Start(t)
	w := newWorld(t, onRedis(redis.URL()))
	w.settle()
	redis.Do("SAVE")
	p := w.prover()
	proof := p.token()
	if got := w.askWith("machine", []string{proof}, "grant_type", "client_credentials"); got.status != http.StatusOK {
		t.Fatalf("a proof: %d %s", got.status, got.body)
	}
	token := w.machine()
	redis.Kill()
	must(t, redis.Resume())
	if redis.Text("GET", "jeton:{ticket-00}born") == "" {
		t.Fatal("the copy was not loaded: the test has no power")
	}
	eventually(t, "the node is ready again", 30*time.Second, func() bool { return w.get(w.manage+"/readyz").status == http.StatusOK })
	w.askWith("machine", []string{proof}, "grant_type", "client_credentials").refused(http.StatusServiceUnavailable, "temporarily_unavailable")
	w.wantDead("a token that was lost", token)
	w.wantEvents(authority.EventForgedToken, 0)
}

// TestRegistry_TwoNodes: two nodes on one PostgreSQL and one Redis are one authority.
func TestRegistry_TwoNodes(t *testing.T) {
	redis := redistest.Start(t)
	o := onPostgres(pgtest.Database(t), onRedis(redis.URL()).edit)
	w := newWorld(t, o)
	a, b := w.server, w.node()
	code := w.code("web")
	w.at(b)
	first := w.redeem("web", code).ok()
	g := w.fleet(1)[0]
	w.at(a)
	w.wantAlive("a token of B", first.text("access_token"))
	second := w.refresh("web", first.text("refresh_token")).ok()
	w.at(b)
	if got := refusal(t, g, second.text("access_token")); got != "" {
		t.Fatalf("a guard of B refuses a token of A: %s", got)
	}
	// One token alone.
	w.at(a)
	w.post("/revoke", "web", "token", first.text("access_token")).ok()
	w.wantDead("a token that A revoked, at A", first.text("access_token"))
	w.at(b)
	eventually(t, "B refuses a token that A revoked", 5*time.Second, func() bool {
		return w.introspect(first.text("access_token")).json["active"] != true
	})
	// And the whole grant.
	w.post("/revoke", "web", "token", second.text("refresh_token")).ok()
	eventually(t, "a guard of B refuses what ended", 5*time.Second, func() bool { return refusal(t, g, second.text("access_token")) != "" })
	w.at(a)
	w.refresh("web", second.text("refresh_token")).refused(http.StatusBadRequest, "invalid_grant")
}

// TestRegistry_FlushedUnderAProgram: a program with the library does not notice.
func TestRegistry_FlushedUnderAProgram(t *testing.T) {
	redis := redistest.Start(t)
	w := newWorld(t, onRedis(redis.URL()))
	store := client.NewMemoryStore(client.SignIn{RefreshToken: client.NewSecret(w.signedIn("spa").text("refresh_token"))})
	tokens, err := client.Refresh(client.Config{Issuer: w.issuer, ID: "spa", Store: store})
	must(t, err)
	var reports []string
	for _, g := range w.fleet(2) {
		api := httptest.NewServer(g.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), jeton.Scope("read")))
		t.Cleanup(api.Close)
		reports = append(reports, api.URL)
	}
	program := &http.Client{Transport: &client.Transport{Source: tokens, Origins: reports}}
	read := func(url string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		must(t, err)
		resp, err := program.Do(r)
		must(t, err)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	held := func() string {
		in, err := store.Load(t.Context())
		must(t, err)
		w.remember("access token", in.Token.AccessToken.Reveal())
		return in.Token.AccessToken.Reveal()
	}
	if status := read(reports[0]); status != http.StatusOK {
		t.Fatalf("the program gets %d", status)
	}
	before := held()
	redis.Do("FLUSHALL")
	// The second API has not seen the token, and nobody knows it any more.
	if status := read(reports[1]); status != http.StatusOK {
		t.Errorf("after the loss the program gets %d", status)
	}
	if held() == before {
		t.Error("the program has no new token: the test has no power")
	}
	w.wantEvents(authority.EventForgedToken, 0)
}
