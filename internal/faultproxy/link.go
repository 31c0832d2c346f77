package faultproxy

import (
	"net"
	"time"
)

// inFlight is how many pieces of one direction may be held back; who sends more
// has to wait.
const inFlight = 4096

// link is one connection through the proxy.
type link struct {
	proxy          *Proxy
	client, server *net.TCPConn
	done           chan struct{}
	close          func()

	left   int  // bytes for the client until it is cut, -1 for no end; guarded by proxy.mu
	doomed bool // its next answer gets lost; guarded by proxy.mu
}

// piece is what was read at once.
type piece struct {
	at   time.Time
	data []byte
}

// carry passes one direction on, late or never. inspect says what to pass on of
// each piece, and whether the connection goes on after it; its end is the end of
// both directions.
func (l *link) carry(to, from *net.TCPConn, inspect func(piece) ([]byte, bool)) {
	defer l.close()
	pieces := make(chan piece, inFlight)
	l.proxy.work.Go(func() { l.read(from, pieces) })
	for x := range pieces {
		if !l.wait(x) {
			return
		}
		data, more := inspect(x)
		if len(data) > 0 {
			if _, err := to.Write(data); err != nil {
				return
			}
		}
		if !more {
			return
		}
		if to == l.client {
			l.proxy.arrived(x)
		}
	}
}

func (l *link) read(from *net.TCPConn, pieces chan<- piece) {
	defer close(pieces)
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			select {
			case pieces <- piece{time.Now(), buffer[:n]}:
			case <-l.done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait returns when a piece may be passed on; false: it never may.
func (l *link) wait(x piece) bool {
	p := l.proxy
	for {
		p.mu.Lock()
		wait, stalled, changed := p.delay-time.Since(x.at), p.stalled, p.changed
		p.mu.Unlock()
		var timeout <-chan time.Time // never, while stalled
		if !stalled {
			if wait <= 0 {
				return true
			}
			timeout = time.After(wait)
		}
		select {
		case <-l.done:
			return false
		case <-changed:
		case <-timeout:
		}
	}
}

// request looks at what a client sent.
func (l *link) request(x piece) ([]byte, bool) {
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	data := x.data
	if p.rewrite != nil {
		data = p.rewrite(data)
	}
	if p.trip.after > 0 {
		if p.trip.after--; p.trip.after == 0 {
			p.trip.sprung = true
			if p.trip.lost == Request {
				return nil, false
			}
			l.doomed = true
		}
	}
	return data, true
}

// answer looks at what the server sent.
func (l *link) answer(x piece) ([]byte, bool) {
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.doomed {
		return nil, false
	}
	if l.left < 0 {
		return x.data, true
	}
	data := x.data[:min(len(x.data), l.left)]
	l.left -= len(data)
	return data, l.left > 0
}

// arrived notes how long a piece was held.
func (p *Proxy) arrived(x piece) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = max(p.held, time.Since(x.at))
}
