package server_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/feed"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

// hasty is a schedule in which a rotation takes seconds.
func hasty(c *config.Config) {
	c.Keys.Staging, c.Keys.CacheTime, c.Keys.ClockSkew = 1500*time.Millisecond, time.Second, 0
	c.Keys.AccessPeriod, c.Keys.IDPeriod, c.Keys.FlowPeriod = 2*time.Second, 2*time.Second, 2*time.Second
	c.Keys.IDAlgorithms = []string{"RS256"}
}

// peer is another node, as far as minting goes: its own rings, its own tail of the
// log, on the store of the world's server.
type peer struct {
	rings *keys.Rings
	mint  *tokens.Service
}

func (w *world) peer() peer {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	masters, err := w.config.Masters()
	must(w.t, err)
	sealing, err := seal.Open(ctx, seal.Config{Store: w.parts.Store, Masters: masters})
	must(w.t, err)
	s := w.parts.Keys.Schedule()
	rings, err := keys.Open(ctx, keys.Config{Store: w.parts.Store, Sealer: sealing.Sealer(), Schedule: s, Now: w.clock.Now, IDAlgorithms: algorithmsOf(w.config)})
	must(w.t, err)
	log, err := feed.Open(ctx, feed.Config{Log: w.parts.Store, Now: w.clock.Now, Heartbeat: w.config.Feed.Heartbeat})
	must(w.t, err)
	log.View().Subscribe(func(e revocation.Entry) {
		if e.Kind == revocation.KeyRing {
			rings.Stir()
		}
	})
	var work sync.WaitGroup
	work.Go(func() { log.Run(ctx) })
	work.Go(func() { rings.Run(ctx) })
	w.t.Cleanup(func() {
		stop()
		work.Wait()
	})
	mint, err := tokens.New(tokens.Config{Issuer: w.issuer, Store: w.parts.Store, Keys: rings, View: log.View(), Log: log, Now: w.clock.Now})
	must(w.t, err)
	return peer{rings, mint}
}

// token is one for the machine, made by a node.
func (w *world) minted(mint *tokens.Service) (token, kid string, err error) {
	c, err := w.parts.Clients.Lookup(context.Background(), "machine")
	if err != nil {
		return "", "", err
	}
	issued, err := mint.ForClient(context.Background(), tokens.ClientRequest{
		Client: c, Scope: []string{"read"}, Audience: []string{api}, Still: func(context.Context) error { return nil },
	})
	if err != nil {
		return "", "", err
	}
	token = issued.AccessToken.Reveal()
	u, err := jwt.Parse(token, 0)
	if err != nil {
		return "", "", err
	}
	return token, u.Header.KeyID, nil
}

// wire is a network that can be cut.
type wire struct {
	cut   atomic.Bool
	inner *http.Transport
	mu    sync.Mutex
	ends  map[*context.CancelFunc]struct{} // guarded by mu: requests that are open
	sets  atomic.Int64                     // key sets that were asked for
}

func (x *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if x.cut.Load() {
		return nil, errors.New("no network")
	}
	if r.URL.Path == "/jwks" {
		x.sets.Add(1)
	}
	ctx, end := context.WithCancel(r.Context())
	x.mu.Lock()
	if x.ends == nil {
		x.ends = make(map[*context.CancelFunc]struct{})
	}
	x.ends[&end] = struct{}{}
	x.mu.Unlock()
	return x.inner.RoundTrip(r.WithContext(ctx))
}

// set cuts the network, or mends it.
func (x *wire) set(cut bool) {
	x.cut.Store(cut)
	x.mu.Lock()
	defer x.mu.Unlock()
	for end := range x.ends {
		(*end)()
	}
	clear(x.ends)
}

func (w *world) wired() (*jeton.Guard, *wire) {
	x := &wire{inner: &http.Transport{}}
	w.t.Cleanup(x.inner.CloseIdleConnections)
	c := w.guardConfig()
	c.HTTPClient, c.MaxStaleness = &http.Client{Transport: x}, time.Second
	return guard(w.t, c), x
}

// recent are tokens that live, of which load and checks take what they like.
type recent struct {
	mu   sync.Mutex
	list []string // guarded by mu
	kids map[string]int
}

func (r *recent) put(token, kid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, token)
	r.kids[kid]++
}

func (r *recent) any() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		return ""
	}
	return r.list[rand.IntN(len(r.list))]
}

func (r *recent) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		return ""
	}
	return r.list[len(r.list)-1]
}

// Three nodes rotate every two seconds while they sign, and twenty guards check what
// they sign; one guard is cut off for half of the time. No token that lives is
// refused, and no key is unknown to anybody. JETON_TEST_LONG=1 makes it minutes.
func TestKeys_RotationUnderLoad(t *testing.T) {
	lasts := 8 * time.Second
	if os.Getenv("JETON_TEST_LONG") != "" {
		lasts = 3 * time.Minute
	}
	w := newWorld(t, options{runs: true, edit: hasty})
	nodes := []peer{{w.parts.Keys, w.parts.Tokens}, w.peer(), w.peer()}
	const fleet = 20
	guards := w.fleet(fleet - 1)
	lonely, line := w.wired()
	eventually(t, "the last guard is ready", 30*time.Second, lonely.Ready)

	ctx, stop := context.WithTimeout(t.Context(), lasts)
	defer stop()
	live := &recent{kids: map[string]int{}}
	var work sync.WaitGroup
	for _, n := range nodes {
		work.Go(func() {
			for ctx.Err() == nil {
				token, kid, err := w.minted(n.mint)
				if err != nil {
					t.Errorf("a node does not sign: %v", err)
					return
				}
				live.put(token, kid)
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	var checks, refused, unknown atomic.Int64
	for _, g := range guards {
		work.Go(func() {
			for ctx.Err() == nil {
				for _, token := range []string{live.last(), live.any()} {
					if token == "" {
						continue
					}
					checks.Add(1)
					if reason := refusal(t, g, token); reason != "" && ctx.Err() == nil {
						refused.Add(1)
						t.Errorf("a live token is refused: %s", reason)
					}
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	work.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			time.Sleep(lasts / 8)
			line.set(i%2 == 0)
		}
		line.set(false)
	})
	work.Go(func() {
		for ctx.Err() == nil {
			ready := lonely.Ready()
			token := live.last()
			if token == "" {
				continue
			}
			reason := refusal(t, lonely, token)
			if reason == jeton.ReasonUnknownKey {
				unknown.Add(1)
			}
			// That the registry could not be asked, just after the network came back, is no matter of keys.
			if ready && reason != "" && reason != jeton.ReasonAuthorityUnavailable && lonely.Ready() && !line.cut.Load() && ctx.Err() == nil {
				t.Errorf("a guard that is back, and ready, refuses a live token: %s", reason)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	work.Wait()
	if n := unknown.Load(); n > 0 {
		t.Errorf("the guard that was cut off said %d times that a key is unknown", n)
	}
	eventually(t, "the guard that was cut off is back", 30*time.Second, lonely.Ready)
	for range 50 {
		if reason := refusal(t, lonely, live.any()); reason != "" {
			t.Errorf("the guard that was cut off refuses a live token: %s", reason)
		}
	}
	t.Logf("%d keys signed %d tokens, %d checks, %d refused", len(live.kids), len(live.list), checks.Load(), refused.Load())
	if want := int(lasts/(8*time.Second)) + 1; len(live.kids) < want {
		t.Errorf("%d keys signed, want at least %d: there was no rotation to speak of", len(live.kids), want)
	}
	if int64(len(live.list)) < 20 || checks.Load() < 500 {
		t.Error("there was no load to speak of")
	}
}

func algorithmsOf(c config.Config) []jwk.Algorithm {
	var algs []jwk.Algorithm
	for _, a := range c.Keys.IDAlgorithms {
		algs = append(algs, jwk.Algorithm(a))
	}
	return algs
}
