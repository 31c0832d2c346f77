package jeton

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/internal/network"
	"github.com/jetonhq/jeton/internal/seen"
	"github.com/jetonhq/jeton/revocation"
)

// NetworkMode says what to do with a token that comes from another network than it was issued to.
type NetworkMode uint8

const (
	// Flag lets it pass, and reports it to the authority once per token, which makes an event of it.
	Flag NetworkMode = iota + 1
	// Enforce refuses it (wrong_network), and reports it too. It also refuses tokens that are for no network.
	Enforce
)

// Network demands that the token comes from the network it was issued to: the /24 of its IPv4 address, or the
// /56 of its IPv6 address. Behind proxies, [Config.TrustedProxies] must name them. An honest client that has
// moved refreshes once, and its next token is for where it is now. A token that knows no network of the
// caller's address family passes: nothing says whether an IPv4 and an IPv6 address are one place.
//
// Tokens of clients that are registered with "ip": "enforce" are held to it on every route, without this demand.
func Network(mode NetworkMode) Demand { return Demand{kind: demandNetwork, network: mode} }

// place is what the guard knows of a token's networks.
type place struct {
	binding network.Binding
	none    bool          // the token is for no network
	passed  atomic.Uint64 // network from which it passed last, as network.Code
	other   atomic.Uint64 // network from which it should not have come
	told    atomic.Bool   // the authority knows
}

// enforced is the place of a token that says itself that it is for some networks only, nil for others: of
// those nothing is kept until a route asks.
func enforced(claim string) *place {
	if p := placeOf(claim); p.binding.Enforce {
		return p
	}
	return nil
}

func placeOf(claim string) *place {
	b, ok := network.Parse(claim)
	return &place{binding: b, none: !ok}
}

// placed holds the caller's network against those the token is for.
func (g *Guard) placed(ctx context.Context, e *seen.Entry[record], r *rule) *Refusal {
	p := e.Value.place.Load()
	if p == nil {
		p = placeOf(e.Value.Claims().Network)
		if !e.Value.place.CompareAndSwap(nil, p) {
			p = e.Value.place.Load()
		}
	}
	mode := r.network
	if p.binding.Enforce {
		mode = Enforce
	}
	if mode == 0 || p.none && mode == Flag {
		return nil
	}
	var addr netip.Addr
	if r.request != nil {
		addr = network.Caller(r.request, g.config.TrustedProxies)
	}
	code := network.Code(addr)
	switch {
	case p.none || code == 0:
		return wrongNetwork(mode)
	case code == p.passed.Load():
		return nil
	case code == p.other.Load():
		return wrongNetwork(mode)
	}
	return g.compare(ctx, e, p, mode, addr, r.request)
}

func wrongNetwork(mode NetworkMode) *Refusal {
	if mode == Enforce {
		return refuse(ReasonWrongNetwork)
	}
	return nil
}

// compare does so for a network that the token did not come from last.
func (g *Guard) compare(ctx context.Context, e *seen.Entry[record], p *place, mode NetworkMode, addr netip.Addr, req *http.Request) *Refusal {
	if g.movements == nil {
		if mode == Enforce {
			return refuse(ReasonUnsupported) // without credentials there is no key
		}
		return nil
	}
	key, err := g.movements.keyFor(ctx, &p.binding, mode)
	if err != nil && mode == Enforce {
		return refuseCause(ReasonAuthorityUnavailable, err)
	}
	if key == nil {
		return wrongNetwork(mode) // its key is gone, or, for Flag, has not come yet
	}
	code := network.Code(addr)
	if key.Compare(&p.binding, e.Value.GrantID, addr) != network.Other {
		p.passed.Store(code)
		return nil
	}
	p.other.Store(code)
	if p.told.CompareAndSwap(false, true) {
		s := sightingOf(&e.Value)
		g.movements.report(revocation.Movement{
			ID: s.ID, Digest: s.Digest, Network: network.Name(network.Of(addr)), UserAgent: network.UserAgent(strings.Clone(req.UserAgent())),
			Refused: mode == Enforce,
		})
		if len(g.config.TrustedProxies) == 0 && req.Header.Get("X-Forwarded-For") != "" {
			g.proxyUnnamed.Do(func() {
				g.log.Warn("a token came from another network, by a proxy that Config.TrustedProxies does not name: it may be the proxy's")
			})
		}
	}
	return wrongNetwork(mode)
}

// maxMovements is how many reports may wait. More are dropped: what they are about is told by the next token.
const maxMovements = 256

// movements tells the authority of tokens that came from elsewhere, and has the key by which that shows. No
// request waits for a report.
type movements struct {
	url      string
	registry *registry // how the authority is asked
	key      atomic.Pointer[network.Key]

	mu       sync.Mutex // guards the fields below
	waiting  []revocation.Movement
	trip     *trip     // under way
	fetched  time.Time // when the last one ended well
	failures int       // in a row
	retry    time.Time // not before, when there are failures
	later    *time.Timer
	closed   bool
	work     sync.WaitGroup
}

// trip is one round trip. err is written before done is closed.
type trip struct {
	done chan struct{}
	err  error
}

// keyFor is the key a binding was made with. It is nil when the authority has another one by now; and with an
// error, or for a caller that does not wait, when it is not known.
func (m *movements) keyFor(ctx context.Context, b *network.Binding, mode NetworkMode) (*network.Key, error) {
	if key := m.key.Load(); key != nil && b.MadeWith(*key) {
		return key, nil
	}
	t, err := m.fetch()
	if err != nil || t != nil && mode == Flag {
		return nil, err
	}
	if t != nil {
		select {
		case <-t.done:
			if t.err != nil {
				return nil, t.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if key := m.key.Load(); key != nil && b.MadeWith(*key) {
		return key, nil
	}
	return nil, nil
}

// fetch begins a round trip, or joins the one under way; nil when one ended well just now.
func (m *movements) fetch() (*trip, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.registry.now()
	switch {
	case m.closed:
		return nil, errClosed
	case m.trip != nil:
		return m.trip, nil
	case m.failures > 0 && now.Before(m.retry):
		return nil, errDown
	case !m.fetched.IsZero() && now.Sub(m.fetched) < time.Second:
		return nil, nil
	}
	m.begin()
	return m.trip, nil
}

func (m *movements) report(v revocation.Movement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || len(m.waiting) >= maxMovements {
		return
	}
	m.waiting = append(m.waiting, v)
	if m.trip == nil && (m.failures == 0 || !m.registry.now().Before(m.retry)) {
		m.begin()
	}
}

// begin starts a round trip. The caller holds mu.
func (m *movements) begin() {
	t := &trip{done: make(chan struct{})}
	m.trip = t
	m.work.Go(func() { m.fly(t) })
}

// fly makes round trips for as long as reports wait.
func (m *movements) fly(t *trip) {
	for t != nil {
		batch := m.next()
		key, err := m.ask(batch)
		t.err = err
		next := m.landed(batch, key, err)
		close(t.done)
		t = next
	}
}

func (m *movements) next() []revocation.Movement {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(len(m.waiting), revocation.MaxMovements)
	batch := m.waiting[:n:n]
	if m.waiting = m.waiting[n:]; len(m.waiting) == 0 {
		m.waiting = nil
	}
	return batch
}

func (m *movements) ask(batch []revocation.Movement) (*network.Key, error) {
	var answer revocation.NetworkKey
	if err := m.registry.post(m.url, revocation.Report{Moved: batch}, &answer); err != nil {
		return nil, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(answer.Key)
	if err != nil || len(raw) != len(network.Key{}) {
		return nil, errWrongAnswer
	}
	return (*network.Key)(raw), nil
}

// landed takes down how a round trip went, and answers the next.
func (m *movements) landed(batch []revocation.Movement, key *network.Key, err error) *trip {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trip = nil
	if err == nil {
		m.key.Store(key)
		m.fetched, m.failures = m.registry.now(), 0
		if len(m.waiting) > 0 {
			m.trip = &trip{done: make(chan struct{})}
		}
		return m.trip
	}
	if m.failures == 0 && !m.closed {
		m.registry.log.Warn("authority cannot be told of tokens from other networks", "error", err)
	}
	pause := min(firstPause<<min(m.failures, 8), longestPause)
	m.failures++
	m.retry = m.registry.now().Add(pause)
	if m.waiting = append(batch, m.waiting...); len(m.waiting) > maxMovements {
		m.waiting = m.waiting[:maxMovements]
	}
	if len(m.waiting) > 0 && !m.closed {
		m.later = time.AfterFunc(pause, m.again)
	}
	return nil
}

// again tries once more what could not be told.
func (m *movements) again() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed && m.trip == nil && len(m.waiting) > 0 {
		m.begin()
	}
}

// close waits until what waits is told, or cannot be: a few seconds at most.
func (m *movements) close() {
	m.mu.Lock()
	m.closed = true
	if m.later != nil {
		m.later.Stop()
	}
	m.mu.Unlock()
	m.work.Wait()
}
