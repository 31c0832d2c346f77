package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/jwt"
)

// onPostgres puts a world on a database of PostgreSQL.
func onPostgres(url string, edit ...func(*config.Config)) options {
	return options{runs: true, edit: func(c *config.Config) {
		c.Store.URL = url
		for _, f := range edit {
			f(c)
		}
	}}
}

// node opens another server on the world's database.
func (w *world) node() *server.Server {
	w.t.Helper()
	s, err := server.Open(context.Background(), w.config, server.Options{Logger: w.logger, Now: w.clock.Now})
	must(w.t, err)
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return s
}

// at has a node answer the requests that come from now on.
func (w *world) at(s *server.Server) {
	public, within := s.Handler(), s.ManageHandler()
	w.public.Store(&public)
	w.within.Store(&within)
}

// guardOf is a guard that reaches a node directly, whoever answers the others.
func (w *world) guardOf(s *server.Server) *jeton.Guard {
	w.t.Helper()
	var h atomic.Pointer[http.Handler]
	public := s.Handler()
	h.Store(&public)
	there, err := url.Parse(serve(w.t, &h))
	must(w.t, err)
	inner := &http.Transport{}
	w.t.Cleanup(inner.CloseIdleConnections)
	c := w.guardConfig()
	c.HTTPClient = &http.Client{Transport: detour{inner, there.Host}}
	return guard(w.t, c)
}

// detour connects to another host than the one that is asked for.
type detour struct {
	http.RoundTripper
	host string
}

func (e detour) RoundTrip(r *http.Request) (*http.Response, error) {
	moved := r.Clone(r.Context())
	moved.Host, moved.URL.Host = r.URL.Host, e.host
	return e.RoundTripper.RoundTrip(moved)
}

// TestNodes_OneDatabase: two nodes on one PostgreSQL are one authority.
func TestNodes_OneDatabase(t *testing.T) {
	w := newWorld(t, onPostgres(pgtest.Database(t)))
	a, b := w.server, w.node()

	// A guard that is connected to B hears of what A revokes.
	w.at(b)
	g := w.fleet(1)[0]
	w.at(a)
	code := w.code("web")
	w.at(b)
	first := w.redeem("web", code).ok()
	w.at(a)
	second := w.refresh("web", first.text("refresh_token")).ok()
	token := second.text("access_token")
	w.at(b)
	w.wantAlive("a token that A refreshed", token)
	if got := refusal(t, g, token); got != "" {
		t.Fatalf("a guard of B refuses a token of A: %s", got)
	}
	w.at(a)
	w.post("/revoke", "web", "token", second.text("refresh_token")).ok()
	began := time.Now()
	eventually(t, "a guard of B refuses what A revoked", 5*time.Second, func() bool { return refusal(t, g, token) != "" })
	t.Logf("the guard of B refused %v after A had answered", time.Since(began).Round(time.Millisecond))
	w.at(b)
	w.wantDead("a token that A revoked", token)
	w.refresh("web", second.text("refresh_token")).refused(http.StatusBadRequest, "invalid_grant")

	// What is used once is used once over all nodes.
	w.redeem("web", code).refused(http.StatusBadRequest, "invalid_grant")
	p := w.prover()
	proof := p.token()
	w.at(a)
	if got := w.askWith("machine", []string{proof}, "grant_type", "client_credentials"); got.status != http.StatusOK {
		t.Fatalf("a proof at A: %d %s", got.status, got.body)
	}
	w.at(b)
	w.askWith("machine", []string{proof}, "grant_type", "client_credentials").refused(http.StatusBadRequest, "invalid_dpop_proof")

	// One of many wins, whichever node they ask.
	code = w.code("web")
	var won atomic.Int32
	var work sync.WaitGroup
	for n := range 16 {
		w.at([]*server.Server{a, b}[n%2])
		work.Go(func() {
			if w.redeem("web", code).status == http.StatusOK {
				won.Add(1)
			}
		})
	}
	work.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 16 redeemed one code", won.Load())
	}
}

// TestNodes_KeyRotation: whichever node turns the key, both sign with the new one,
// and each accepts what the other has signed all the while.
func TestNodes_KeyRotation(t *testing.T) {
	w := newWorld(t, onPostgres(pgtest.Database(t), hasty))
	nodes := []*server.Server{w.server, w.node()}
	signer := func(token string) string {
		u, err := jwt.Parse(token, 0)
		must(t, err)
		return u.Header.KeyID
	}
	seen := map[string]bool{}
	eventually(t, "three keys have signed at both nodes", 60*time.Second, func() bool {
		for i, s := range nodes {
			w.at(s)
			token := w.machine()
			w.at(nodes[1-i])
			w.wantAlive("a token of the other node", token)
			seen[string(rune('a'+i))+signer(token)] = true
		}
		return len(seen) >= 6
	})
}

// TestNodes_DatabaseKilled: what was answered is there after PostgreSQL was killed,
// /readyz tells, and the server goes on by itself.
func TestNodes_DatabaseKilled(t *testing.T) {
	db := pgtest.Own(t)
	w := newWorld(t, onPostgres(db.URL("postgres")))
	var mu sync.Mutex
	var answered []string
	stop := make(chan struct{})
	var work sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		work.Wait()
	})
	defer end()
	for range 8 {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a := w.post("/token", "machine", "grant_type", "client_credentials"); a.status == http.StatusOK {
					mu.Lock()
					answered = append(answered, a.text("access_token"))
					mu.Unlock()
				}
			}
		})
	}
	readyz := func() int { return w.get(w.manage + "/readyz").status }
	enough := func(n int) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(answered) >= n
		}
	}
	eventually(t, "tokens are issued", 30*time.Second, enough(100))
	db.Kill()
	eventually(t, "the node says that it is not ready", 30*time.Second, func() bool { return readyz() == http.StatusServiceUnavailable })
	mu.Lock()
	before := len(answered)
	mu.Unlock()
	must(t, db.Resume())
	eventually(t, "the node is ready again", 30*time.Second, func() bool { return readyz() == http.StatusOK })
	eventually(t, "tokens are issued again", 30*time.Second, enough(before+100))
	end()
	for i := 0; i < len(answered); i += 100 {
		w.wantAlive("a token that was answered", answered[i])
	}
	for _, token := range answered[max(0, before-50):before] {
		w.wantAlive("a token that was answered just before the database was killed", token)
	}
}

// TestNodes_FewConnections: 64 callers of a node with two connections all get
// their answers: nobody holds a connection while waiting for another.
func TestNodes_FewConnections(t *testing.T) {
	w := newWorld(t, onPostgres(pgtest.Database(t), func(c *config.Config) { c.Store.MaxConnections = 2 }))
	var work sync.WaitGroup
	for range 64 {
		code := w.code("web")
		work.Go(func() {
			first := w.redeem("web", code).ok()
			second := w.refresh("web", first.text("refresh_token")).ok()
			w.wantAlive("a token", second.text("access_token"))
			w.userinfo(w.machine())
			w.post("/revoke", "web", "token", second.text("refresh_token")).ok()
			w.wantDead("a revoked token", second.text("access_token"))
			if a := w.get(w.manage + "/readyz"); a.status != http.StatusOK {
				t.Errorf("not ready under load: %s", strings.TrimSpace(a.body))
			}
		})
	}
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(90 * time.Second):
		t.Fatal("callers of a node with two connections wait for each other")
	}
}

// metric is the value of a series in a node's answer to a scrape, -1 if it is not there.
func metric(w *world, series string) float64 {
	w.t.Helper()
	for line := range strings.Lines(w.do(w.request("GET", w.manage+"/metrics", "")).ok().body) {
		if text, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			must(w.t, err)
			return v
		}
	}
	return -1
}

// TestNodes_Upkeep: one node does it; when that one is stopped, the other does.
// Each says who does, when it was done, and the one that does says what is left.
func TestNodes_Upkeep(t *testing.T) {
	w := newWorld(t, onPostgres(pgtest.Database(t)))
	b, c := w.server, w.node()
	a, err := server.Open(t.Context(), w.config, server.Options{Logger: w.logger, Now: w.clock.Now})
	must(t, err)
	holds := func(s *server.Server) float64 { w.at(s); return metric(w, "jeton_upkeep_holder") }
	a.Sweep(t.Context())
	b.Sweep(t.Context())
	if holds(a) != 1 || holds(b) != 0 || metric(w, `jeton_upkeep_backlog{kind="code"}`) != -1 {
		t.Errorf("a holds: %v, b holds: %v", holds(a), holds(b))
	}
	w.code("web") // which nobody redeems
	w.clock.advance(time.Hour)
	w.at(a)
	a.Sweep(t.Context())
	if removed := metric(w, `jeton_upkeep_removed_total{kind="code"}`); removed != 1 {
		t.Errorf("a removed %v codes", removed)
	}
	if left := metric(w, `jeton_upkeep_backlog{kind="code"}`); left != 0 {
		t.Errorf("%v codes are left", left)
	}
	b.Sweep(t.Context()) // to know of it
	w.at(b)
	if ran := metric(w, "jeton_upkeep_last_run_timestamp_seconds"); time.Unix(int64(ran), 0).Sub(w.clock.Now()).Abs() > time.Minute {
		t.Errorf("b says that upkeep was done at %v", ran)
	}
	must(t, a.Close())
	c.Sweep(t.Context())
	b.Sweep(t.Context())
	if holds(b)+holds(c) != 1 {
		t.Errorf("after a was stopped: b %v, c %v", holds(b), holds(c))
	}
}

// TestNodes_Rehearsal: the node that is asked answers for guards at any node. They
// are forgotten when they go, and when their node goes.
func TestNodes_Rehearsal(t *testing.T) {
	w := newWorld(t, onPostgres(pgtest.Database(t)))
	b, err := server.Open(t.Context(), w.config, server.Options{Logger: w.logger, Now: w.clock.Now})
	must(t, err)
	stopB := sync.OnceFunc(func() { must(t, b.Close()) })
	defer stopB()
	here, there := w.guardOf(w.server), w.guardOf(b)
	away := w.guardOf(b)
	for _, g := range []*jeton.Guard{here, there, away} {
		eventually(t, "a guard is ready", 30*time.Second, g.Ready)
	}
	api := w.operator() // of A
	nodes := map[string]bool{}
	holders := func(kid string) (have, lack int) {
		held, err := api.KeyHolders(t.Context(), kid)
		must(t, err)
		for _, g := range held.Guards {
			if g.Client != "reports-api" || g.From == "" || g.Since.IsZero() || g.Node == "" {
				t.Errorf("guard %+v", g)
			}
			nodes[g.Node] = true
			if g.Holds {
				have++
			} else {
				lack++
			}
		}
		return have, lack
	}
	list, err := api.Keys(t.Context(), "access")
	must(t, err)
	eventually(t, "A knows of all three", 20*time.Second, func() bool { have, lack := holders(list.Items[0].ID); return have == 3 && lack == 0 })
	if len(nodes) != 2 {
		t.Errorf("the guards are at %v", nodes)
	}
	staged, err := api.StageKey(t.Context(), "access", adminclient.NewKey{}, "rehearsal")
	must(t, err)
	if have, lack := holders(staged.ID); have+lack != 3 {
		t.Errorf("right after it was staged, %d hold the key and %d do not", have, lack)
	}
	eventually(t, "all hold the staged key", 20*time.Second, func() bool { have, lack := holders(staged.ID); return have == 3 && lack == 0 })
	must(t, away.Close())
	eventually(t, "one has gone from B", 20*time.Second, func() bool { have, _ := holders(staged.ID); return have == 2 })
	stopB()
	eventually(t, "B has gone", 20*time.Second, func() bool { have, _ := holders(staged.ID); return have == 1 })
}
