package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// balanced has the nodes answer in turn: each request of a flow goes to another
// node than the one before it.
func (w *world) balanced(nodes ...*server.Server) {
	turn := func(of func(*server.Server) http.Handler) http.Handler {
		var n atomic.Uint64
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			of(nodes[n.Add(1)%uint64(len(nodes))]).ServeHTTP(rw, r)
		})
	}
	public, within := turn((*server.Server).Handler), turn((*server.Server).ManageHandler)
	w.public.Store(&public)
	w.within.Store(&within)
}

// TestNodes_PagesOfOneFlow: a sign-in that begins at A goes on at B, the consent
// that B asks for is given at A, and so on: no page knows which node the last came from.
func TestNodes_PagesOfOneFlow(t *testing.T) {
	w := newWorld(t, onPostgres(pgtest.Database(t)))
	a, b := w.server, w.node()

	v := w.visitor()
	w.at(a)
	v.open(http.MethodGet, w.authorize("web"), "")
	w.at(b)
	if v.signIn(); !strings.Contains(v.page.body, `value="allow"`) {
		t.Fatalf("a form of A, sent to B, ends with %d: %s", v.page.status, v.page.body)
	}
	w.at(a)
	if v.submit("answer", "allow"); !strings.Contains(v.page.location, "code=") {
		t.Fatalf("a consent that B asked for, given at A, ends with %d: %s", v.page.status, v.page.body)
	}
	where, err := url.Parse(v.page.location)
	must(t, err)
	w.remember("code", where.Query().Get("code"))
	w.at(b)
	first := w.redeem("web", where.Query().Get("code")).ok()
	w.at(a)
	w.userinfo(first.text("access_token")).ok()

	// The session is everybody's, and so is its end.
	w.at(b)
	if v.open(http.MethodGet, w.authorize("web", "prompt", "none"), ""); !strings.Contains(v.page.location, "code=") {
		t.Errorf("B does not know the session: %s", v.page.location)
	}
	v.open(http.MethodGet, "/signout", "")
	w.at(a)
	v.submit()
	w.at(b)
	if v.open(http.MethodGet, w.authorize("web", "prompt", "none"), ""); !strings.Contains(v.page.location, "error=login_required") {
		t.Errorf("signed out at A, and B goes on: %s", v.page.location)
	}
	w.refresh("web", first.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
}

// TestNodes_EachRequestElsewhere walks whole flows through a balancer that never
// sends two requests in a row to the same node.
func TestNodes_EachRequestElsewhere(t *testing.T) {
	w := newWorld(t, onPostgres(pgtest.Database(t)))
	nodes := []*server.Server{w.server, w.node(), w.node()}
	w.balanced(nodes...)
	for range 4 { // from whichever node is next
		answer := w.visitor().walk(w.authorize("web", "prompt", "consent"))
		first := w.redeem("web", answer.Get("code")).ok()
		refresh := first.text("refresh_token")
		for range 4 {
			next := w.refresh("web", refresh).ok()
			again := w.refresh("web", refresh).ok() // the answer was lost
			if again.text("refresh_token") != next.text("refresh_token") {
				t.Fatal("two nodes answer a repeated refresh with different tokens")
			}
			refresh = next.text("refresh_token")
			w.wantAlive("a refreshed token", next.text("access_token"))
		}
		w.refresh("web", first.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant) // a replay
		for range nodes {
			w.refresh("web", refresh).refused(http.StatusBadRequest, oauth.InvalidGrant)
		}
	}
}

// TestNodes_Nonces: a nonce that A gave is good at B, and a proof is used up at all.
func TestNodes_Nonces(t *testing.T) {
	w := newWorld(t, onPostgres(pgtest.Database(t), func(c *config.Config) { c.Tokens.DPoPNonce = config.Required }))
	nodes := []*server.Server{w.server, w.node()}
	for i, s := range nodes {
		p := w.prover()
		w.at(s)
		refused := w.redeemWith("spa", w.code("spa"), p.token())
		refused.refused(http.StatusBadRequest, oauth.UseDPoPNonce)
		nonce := refused.header.Get("DPoP-Nonce")
		proof := p.token(func(c *jwt.Claims) { c.Nonce = nonce })
		w.at(nodes[1-i])
		w.redeemWith("spa", w.code("spa"), proof).ok()
		w.at(s)
		w.redeemWith("spa", w.code("spa"), proof).refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
	}
}

// TestNodes_WebhooksOnce: events of both nodes are delivered, each once, although
// both nodes look for what there is to send.
func TestNodes_WebhooksOnce(t *testing.T) {
	w := newWorld(t, onPostgres(pgtest.Database(t)))
	nodes := []*server.Server{w.server, w.node()}
	r := w.receiver()
	w.webhook("hook", r.URL, "grant_ended")
	const each = 20
	for range each {
		for i, s := range nodes {
			w.at(s)
			token := w.signedIn("web").text("refresh_token")
			w.at(nodes[1-i])
			w.post("/revoke", "web", "token", token).ok()
		}
	}
	r.await(len(nodes) * each)
	// What is to be sent was sent: a second delivery of an event would be one of these.
	eventually(t, "nothing waits", 20*time.Second, func() bool {
		stats, err := w.parts.Store.DeliveryStats(t.Context())
		must(t, err)
		return stats.Pending == 0
	})
	seen := map[string]int{}
	for _, m := range r.messages() {
		seen[m.message(t).ID]++
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("event %s came %d times", id, n)
		}
	}
	if len(seen) != len(nodes)*each {
		t.Errorf("%d events came, want %d", len(seen), len(nodes)*each)
	}
}

// TestNodes_Throttle: what fails at one node counts at the others.
func TestNodes_Throttle(t *testing.T) {
	const limit = 3
	w := newWorld(t, onPostgres(pgtest.Database(t), func(c *config.Config) {
		c.SignIn.AccountFailures, c.SignIn.Delay = limit, time.Minute
	}))
	a, b := w.server, w.node()
	heard := func(s *server.Server, some bool) func() bool {
		return func() bool { w.at(s); return metric(w, "jeton_throttle_heard_keys") > 0 == some }
	}
	try := func(s *server.Server, typed string) int {
		w.at(s)
		v := w.visitor()
		v.open(http.MethodGet, "/signin", "")
		v.submit("login", "ada", "password", typed)
		return v.page.status
	}
	for range limit - 1 {
		if got := try(a, "not the password"); got == http.StatusTooManyRequests {
			t.Fatal("too many before the limit")
		}
	}
	eventually(t, "B has heard of it", 10*time.Second, heard(b, true))
	if got := try(b, "not the password"); got == http.StatusTooManyRequests {
		t.Fatal("too many before the limit, over both nodes")
	}
	if got := try(b, password); got != http.StatusTooManyRequests {
		t.Errorf("past the limit at B: %d", got)
	}
	eventually(t, "A has heard of it", 10*time.Second, heard(a, true))
	if got := try(a, password); got != http.StatusTooManyRequests {
		t.Errorf("past the limit at A: %d", got)
	}

	w.clock.advance(2 * time.Minute) // past the wait
	if got := try(a, password); got == http.StatusTooManyRequests {
		t.Fatal("after the wait")
	}
	for n := range limit - 1 { // those before are forgotten
		if got := try(a, "not the password"); got == http.StatusTooManyRequests {
			t.Errorf("failure %d at A after a success", n+1)
		}
	}
}
