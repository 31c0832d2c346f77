package server_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// faulty is a TCP proxy in front of the feed that does what networks do.
type faulty struct {
	target string
	ln     net.Listener
	work   sync.WaitGroup

	mu       sync.Mutex
	pipes    map[*pipe]bool // guarded by mu, as are the fields below
	refusing bool           // new connections are closed at once
	stalled  bool           // nothing is passed on
	delay    time.Duration  // of everything that is passed on
	forget   bool           // the next requests lose their place in the log
	changed  chan struct{}  // closed at each change
	held     time.Duration  // the longest that bytes were held which then arrived
}

// pipe is one connection through the proxy.
type pipe struct {
	front, back *net.TCPConn
	closed      chan struct{}
	close       func()
	left        int // bytes until it is cut, -1 for none; guarded by faulty.mu
}

func newFaulty(t testing.TB, target string) *faulty {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	p := &faulty{target: target, ln: ln, pipes: make(map[*pipe]bool), changed: make(chan struct{})}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		p.set(func() { p.refusing, p.stalled = true, false })
		p.cut()
		p.work.Wait()
	})
	return p
}

func (p *faulty) url() string { return "http://" + p.ln.Addr().String() }

// set changes what the proxy does.
func (p *faulty) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

// heal makes it pass everything on.
func (p *faulty) heal() {
	p.set(func() { p.refusing, p.stalled, p.delay, p.forget = false, false, 0, false })
}

// cut closes all connections.
func (p *faulty) cut() {
	for _, c := range p.open() {
		c.close()
	}
}

// cutAfter closes all connections after n more bytes, be it inside an event.
func (p *faulty) cutAfter(n int) {
	p.set(func() {
		for c := range p.pipes {
			c.left = n
		}
	})
}

// halfClose ends the stream for the guard, while the authority goes on sending.
func (p *faulty) halfClose() {
	for _, c := range p.open() {
		_ = c.front.CloseWrite()
	}
}

func (p *faulty) open() []*pipe {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*pipe
	for c := range p.pipes {
		all = append(all, c)
	}
	return all
}

// worst is the longest that bytes were held before they arrived.
func (p *faulty) worst() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

func (p *faulty) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

func (p *faulty) serve(front *net.TCPConn) {
	defer func() { _ = front.Close() }()
	p.mu.Lock()
	refusing := p.refusing
	p.mu.Unlock()
	if refusing {
		return
	}
	var d net.Dialer
	c, err := d.DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	pipe := &pipe{front: front, back: c.(*net.TCPConn), closed: make(chan struct{}), left: -1}
	pipe.close = sync.OnceFunc(func() {
		close(pipe.closed)
		_ = pipe.front.Close()
		_ = pipe.back.Close()
	})
	defer pipe.close()
	p.set(func() { p.pipes[pipe] = true })
	defer p.set(func() { delete(p.pipes, pipe) })
	p.work.Go(func() {
		defer pipe.close()
		p.requests(pipe)
	})
	p.answers(pipe)
}

// requests passes the guard's requests on, if need be without their place.
func (p *faulty) requests(c *pipe) {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.front.Read(buf)
		p.mu.Lock()
		forget := p.forget
		p.mu.Unlock()
		out := buf[:n]
		if forget {
			out = bytes.Replace(out, []byte("\r\nLast-Event-Id: "), []byte("\r\nXast-Event-Id: "), 1)
		}
		if _, e := c.back.Write(out); e != nil || err != nil {
			return
		}
	}
}

// answers passes on what the authority sends, late or never.
func (p *faulty) answers(c *pipe) {
	type piece struct {
		at   time.Time
		data []byte
	}
	pieces := make(chan piece, 1<<16)
	p.work.Go(func() {
		defer close(pieces)
		for {
			buf := make([]byte, 4096)
			n, err := c.back.Read(buf)
			if n > 0 {
				pieces <- piece{time.Now(), buf[:n]}
			}
			if err != nil {
				return
			}
		}
	})
	for x := range pieces {
		data, last, ok := p.hold(c, x.at, x.data)
		if !ok {
			break
		}
		if _, err := c.front.Write(data); err != nil || last {
			break
		}
		p.mu.Lock()
		p.held = max(p.held, time.Since(x.at))
		p.mu.Unlock()
	}
	c.close()
	for range pieces { // until its reader has gone
	}
	_, _ = io.Copy(io.Discard, c.front)
}

// hold waits until data that came at a time may be passed on, and returns what
// may be, and whether it is the last.
func (p *faulty) hold(c *pipe, at time.Time, data []byte) (_ []byte, last, ok bool) {
	for {
		p.mu.Lock()
		wait, stalled, changed := p.delay-time.Since(at), p.stalled, p.changed
		if !stalled && wait <= 0 {
			if c.left >= 0 {
				data = data[:min(len(data), c.left)]
				c.left -= len(data)
				last = c.left == 0
			}
			p.mu.Unlock()
			return data, last, true
		}
		p.mu.Unlock()
		if stalled {
			wait = time.Hour
		}
		timer := time.NewTimer(wait)
		select {
		case <-c.closed:
			timer.Stop()
			return nil, false, false
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}
