package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/revocation"
)

// Bounds of what probes can cost. They are opened through the admin API only.
const (
	probeLife     = time.Minute
	maxProbes     = 8
	maxArrivals   = 16
	probeBeats    = 4
	probeInterval = 300 * time.Millisecond
)

// probes are requests that `jeton doctor` sends through the issuer URL, to learn
// what proxies on the way do to them.
type probes struct {
	some atomic.Bool // there may be one: the only thing that other requests look at

	mu   sync.Mutex
	open map[string]*openProbe // guarded by mu
}

type openProbe struct {
	until    time.Time
	arrivals []admin.Arrival
}

// OpenProbe begins one.
func (s *Server) OpenProbe() (admin.Probe, error) {
	p := &s.probes
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(time.Now())
	if len(p.open) >= maxProbes {
		return admin.Probe{}, authority.ErrBusy
	}
	if p.open == nil {
		p.open = make(map[string]*openProbe)
	}
	id := secret.Token("").Reveal()
	p.open[id] = &openProbe{until: time.Now().Add(probeLife)}
	p.some.Store(true)
	return admin.Probe{ID: id, Arrivals: []admin.Arrival{}}, nil
}

// Probe returns what has arrived.
func (s *Server) Probe(id string) (admin.Probe, bool) {
	p := &s.probes
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(time.Now())
	found := p.open[id]
	if found == nil {
		return admin.Probe{}, false
	}
	return admin.Probe{ID: id, Arrivals: append([]admin.Arrival{}, found.arrivals...)}, true
}

// forget drops probes whose time is over. The caller holds mu.
func (p *probes) forget(now time.Time) {
	for id, probe := range p.open {
		if now.After(probe.until) {
			delete(p.open, id)
		}
	}
	p.some.Store(len(p.open) > 0)
}

// arrived takes a request down, and reports whether it belongs to an open probe.
func (p *probes) arrived(id string, a admin.Arrival) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(time.Now())
	probe := p.open[id]
	if probe != nil && len(probe.arrivals) < maxArrivals {
		probe.arrivals = append(probe.arrivals, a)
	}
	return probe != nil
}

// probed takes down requests of open probes, and answers one for the feed with a
// few heartbeats: the credentials of a resource are not the doctor's.
func (s *Server) probed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.probes.some.Load() {
			id := r.Header.Get(admin.ProbeHeader)
			if id != "" && s.probes.arrived(id, s.arrival(r)) && strings.HasSuffix(r.URL.Path, "/revocations") {
				s.beat(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) arrival(r *http.Request) admin.Arrival {
	a := admin.Arrival{
		Path: r.URL.Path, Host: r.Host, Caller: s.address(r).String(), ForwardedFor: r.Header.Get("X-Forwarded-For") != "",
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		addr := peer.Addr().Unmap()
		a.Peer = addr.String()
		a.PeerTrusted = slices.ContainsFunc(s.cfg.Listen.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
	}
	for name, values := range r.Header {
		for _, value := range values {
			a.HeaderBytes += len(name) + len(value) + len(": \r\n")
		}
	}
	return a
}

// beat is a short stream with the headers and the pace of the real one.
func (s *Server) beat(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for range probeBeats {
		if _, err := w.Write(revocation.AppendHeartbeat(nil, "probe", 0, s.now())); err != nil {
			return
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-s.stopping:
			return
		}
	}
}
