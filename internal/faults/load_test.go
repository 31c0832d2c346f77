package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/jetonhq/jeton/client"
)

// load is what callers do while things break.
type load struct {
	*authority
	browser *browser
	ctx     context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup

	mu      sync.Mutex
	counts  map[string]int  // guarded by mu, as are the fields below
	issued  []string        // access tokens that were answered
	asked   map[string]bool // their revocation was asked for
	revoked map[string]bool // their revocation was answered
}

// crowd has callers begin. They go on until calm.
func (a *authority) crowd() *load {
	a.t.Helper()
	l := &load{authority: a, browser: a.signIn(a.nodes[0]), counts: make(map[string]int), asked: make(map[string]bool), revoked: make(map[string]bool)}
	l.ctx, l.cancel = context.WithCancel(a.t.Context())
	for i := range 3 {
		l.work.Go(func() { l.each(fmt.Sprint("lineages ", i), l.lineage) })
	}
	for i := range 2 {
		l.work.Go(func() { l.each(fmt.Sprint("counted ", i), l.counted) })
	}
	for i := range 2 {
		l.work.Go(func() { l.honest(dice(fmt.Sprint("honest ", i))) })
	}
	l.work.Go(func() { l.issue(dice("issue")) })
	a.t.Cleanup(l.calm)
	return l
}

// calm ends the load.
func (l *load) calm() {
	l.cancel()
	l.work.Wait()
}

// each goes on with a part of the load, one history after the other.
func (l *load) each(name string, run func(*rand.Rand)) {
	for r := dice(name); l.ctx.Err() == nil; {
		run(r)
	}
}

// any is a node by chance, as a balancer chooses it that knows of no fault.
func (l *load) any(r *rand.Rand) *node { return l.nodes[r.IntN(len(l.nodes))] }

// pause is the time that callers leave each other.
func (l *load) pause(r *rand.Rand) {
	select {
	case <-l.ctx.Done():
	case <-time.After(time.Duration(r.IntN(8_000)) * time.Microsecond):
	}
}

// rest is the time after which callers try again.
func (l *load) rest() {
	select {
	case <-l.ctx.Done():
	case <-time.After(50 * time.Millisecond):
	}
}

func (l *load) count(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[what]++
}

func (l *load) sofar(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[what]
}

// record makes a call of a history and counts what came of it. Callers wait for
// answers also after the load has ended.
func (l *load) record(h *history, o op, call func(context.Context) (int, error)) answer {
	got := h.do(o, func() (answer, int, error) {
		n, err := call(l.t.Context())
		return said(err), n, err
	})
	l.count(fmt.Sprint(o.kind, " ", got))
	if got == unknown {
		l.rest()
	}
	return got
}

func said(err error) answer {
	switch e := err.(type) { //nolint:errorlint // the callers' own, never wrapped
	case nil:
		return yes
	case *refusal:
		return no
	case spent:
		return usedUp
	default:
		_ = e
		return unknown
	}
}

// honest refreshes as package client does for a program, on and on, with the token
// that it holds. It is never signed out.
func (l *load) honest(r *rand.Rand) {
	store := &unsharing{client.NewMemoryStore(client.SignIn{RefreshToken: client.NewSecret(l.newGrant(r).refresh)})}
	for l.ctx.Err() == nil {
		if err := l.renew(r, store); err == nil {
			l.count("honest")
		} else if l.ctx.Err() == nil {
			l.count("honest: no answer")
			l.rest()
		}
		l.pause(r)
	}
}

// renew is one refresh of a program that has just started.
func (l *load) renew(r *rand.Rand, store client.Store) error {
	keeper, err := client.Refresh(client.Config{
		Issuer: l.issuer, ID: "web", Secret: client.NewSecret(l.secret), Store: store, HTTPClient: &http.Client{Transport: balancer{l, r}, Timeout: 5 * time.Second},
	})
	must(l.t, err)
	_, err = keeper.Token(l.t.Context())
	if isSignedOut(err) {
		l.t.Errorf("-seed %d: an honest client was signed out: %v", *seed, err)
	}
	return err
}

// balancer sends each request to some node.
type balancer struct {
	l *load
	r *rand.Rand
}

func (b balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	return b.l.any(b.r).http.Transport.RoundTrip(r)
}

// unsharing is a store that keeps refresh tokens only, so that every start of a
// program refreshes.
type unsharing struct{ *client.MemoryStore }

func (u *unsharing) Load(ctx context.Context) (client.SignIn, error) {
	s, err := u.MemoryStore.Load(ctx)
	return client.SignIn{RefreshToken: s.RefreshToken}, err
}

func (u *unsharing) Update(ctx context.Context, change func(client.SignIn) (client.SignIn, error)) error {
	return u.MemoryStore.Update(ctx, func(s client.SignIn) (client.SignIn, error) {
		return change(client.SignIn{RefreshToken: s.RefreshToken})
	})
}

// newGrant signs a program in, however long it takes.
func (l *load) newGrant(r *rand.Rand) tokens {
	for l.t.Context().Err() == nil {
		at := l.any(r)
		code, err := l.browser.code(l.t.Context(), at)
		if err == nil {
			if got, err := l.redeem(l.t.Context(), at, code); err == nil {
				return got
			}
		}
		l.pause(r)
	}
	return tokens{}
}

// issue gets tokens and revokes some.
func (l *load) issue(r *rand.Rand) {
	for l.ctx.Err() == nil {
		at := l.any(r)
		got, err := l.tokens(l.t.Context(), at, "machine", "grant_type", "client_credentials")
		if err == nil {
			l.count("issued")
			drop := r.IntN(5) == 0
			l.mu.Lock()
			l.issued = append(l.issued, got.access)
			l.asked[got.access] = drop
			l.mu.Unlock()
			if drop && l.revoke(l.t.Context(), at, "machine", got.access) == nil {
				l.mu.Lock()
				l.revoked[got.access] = true
				l.mu.Unlock()
			}
		}
		l.pause(r)
	}
}

// wantNothingLost ends the load and holds every node, when all is well again, to
// every token and every revocation that was answered.
func (l *load) wantNothingLost() {
	l.t.Helper()
	l.calm()
	for _, n := range l.nodes {
		n.front.Reset()
		n.http.CloseIdleConnections()
		n.wantReady()
	}
	last := l.issued[max(0, len(l.issued)-2000):] // young enough not to have expired
	for i, token := range last {
		n := l.nodes[i%len(l.nodes)]
		alive, err := l.active(l.t.Context(), n, token)
		if err != nil {
			l.t.Fatalf("introspection when all is well: %v", err)
		}
		switch {
		case l.revoked[token] && alive:
			l.t.Errorf("-seed %d: an answered revocation is lost", *seed)
		case !l.asked[token] && !alive:
			l.t.Errorf("-seed %d: an answered token is lost", *seed)
		}
	}
	l.t.Logf("%v", l.counts)
}

// wantPower goes on until enough has happened to show anything: how much that takes
// is a matter of the machine.
func (l *load) wantPower(least map[string]int) {
	l.t.Helper()
	for what, n := range least {
		eventually(l.t, fmt.Sprint(n, " times ", what), func() bool { return l.sofar(what) >= n })
	}
}

// progress waits until the load has got n more of something answered.
func (l *load) progress(what string, n int) {
	l.t.Helper()
	before := l.sofar(what)
	eventually(l.t, fmt.Sprint(n, " more times ", what), func() bool { return l.sofar(what) >= before+n })
}
