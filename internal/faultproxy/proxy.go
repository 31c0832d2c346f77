// Package faultproxy is a TCP proxy for tests that does to connections what
// networks do: it cuts them, delays them, leaves them half open, and loses a
// request or the answer to it.
package faultproxy

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy passes connections on to one address. It may be changed at any time, from
// any goroutine.
type Proxy struct {
	Address string // host:port to connect to

	target string
	ln     net.Listener
	work   sync.WaitGroup

	mu       sync.Mutex
	links    map[*link]bool // guarded by mu, as are the fields below
	refusing bool
	stalled  bool
	closed   bool
	delay    time.Duration
	rewrite  func([]byte) []byte
	changed  chan struct{} // closed at each change
	held     time.Duration
	trip     trip
}

// trip is a fault that waits for its request.
type trip struct {
	after  int // requests before it; 0: none waits
	lost   Lost
	sprung bool
}

// Lost says what a connection loses when it is cut at a request.
type Lost int

// What may get lost.
const (
	Request Lost = iota // nobody receives it
	Answer              // the request arrives and is carried out, and nobody hears of it
)

// New starts a proxy in front of target (host:port) for the length of the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: ln.Addr().String(), target: target, ln: ln, links: make(map[*link]bool), changed: make(chan struct{})}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		p.set(func() { p.closed = true })
		p.Cut()
		p.work.Wait()
	})
	return p
}

// Heal makes the proxy pass everything on. What was held is passed on late.
func (p *Proxy) Heal() {
	p.set(func() { p.refusing, p.stalled, p.delay, p.rewrite, p.trip = false, false, 0, nil, trip{} })
}

// Reset is Heal for a way that has forgotten its connections, as a router does:
// those from before are cut.
func (p *Proxy) Reset() {
	p.Cut()
	p.Heal()
}

// Refuse closes the connections there are, and new ones as they come.
func (p *Proxy) Refuse() {
	p.set(func() { p.refusing = true })
	p.Cut()
}

// Stall passes nothing on in either direction, and tells nobody. New connections
// are accepted, and hang.
func (p *Proxy) Stall() { p.set(func() { p.stalled = true }) }

// Delay holds everything back for so long.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.delay = d }) }

// Rewrite has f change what clients send, a piece as it was read at a time.
func (p *Proxy) Rewrite(f func([]byte) []byte) { p.set(func() { p.rewrite = f }) }

// Cut closes the connections there are.
func (p *Proxy) Cut() {
	for _, l := range p.open() {
		l.close()
	}
}

// CutAfter closes the connections there are after n more bytes for the client.
func (p *Proxy) CutAfter(n int) {
	p.set(func() {
		for l := range p.links {
			l.left = n
		}
	})
}

// HalfClose ends the streams for the clients, while the server goes on sending.
func (p *Proxy) HalfClose() {
	for _, l := range p.open() {
		_ = l.client.CloseWrite()
	}
}

// Trip cuts a connection at the nth request from now, counted over all of them.
// A request is what is read from a client at once: that is one for protocols in
// which the client waits for an answer. It replaces a trip that has not sprung.
func (p *Proxy) Trip(n int, lost Lost) {
	p.set(func() { p.trip = trip{after: n, lost: lost} })
}

// Sprung reports whether the last trip has cut a connection.
func (p *Proxy) Sprung() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trip.sprung
}

// Worst is the longest that bytes were held back which then reached the client.
func (p *Proxy) Worst() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// ForgetWorst begins anew with Worst.
func (p *Proxy) ForgetWorst() { p.set(func() { p.held = 0 }) }

// set changes what the proxy does.
func (p *Proxy) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) open() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*link, 0, len(p.links))
	for l := range p.links {
		all = append(all, l)
	}
	return all
}

func (p *Proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

func (p *Proxy) serve(client *net.TCPConn) {
	l := &link{proxy: p, client: client, done: make(chan struct{}), left: -1}
	l.close = sync.OnceFunc(func() {
		close(l.done)
		_ = client.Close()
		if l.server != nil {
			_ = l.server.Close()
		}
	})
	defer l.close()
	p.mu.Lock()
	refusing := p.refusing || p.closed
	p.mu.Unlock()
	if refusing {
		return
	}
	c, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	l.server = c.(*net.TCPConn)
	p.mu.Lock()
	refusing = p.refusing || p.closed
	p.links[l] = true
	p.mu.Unlock()
	defer p.set(func() { delete(p.links, l) })
	if refusing {
		return
	}
	var directions sync.WaitGroup
	directions.Go(func() { l.carry(l.server, l.client, l.request) })
	directions.Go(func() { l.carry(l.client, l.server, l.answer) })
	directions.Wait()
}
