package coordtest

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Link is a way to a service that can be cut: nothing passes then in either
// direction, and nobody is told, as in a partition.
type Link struct {
	Address string

	target string
	mu     sync.Mutex // guards the fields below
	open   *sync.Cond
	cut    bool
	closed bool
	ends   map[net.Conn]bool
}

// Through makes a link to a service for the length of the test.
func Through(t testing.TB, s *Service) *Link {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	link := &Link{Address: l.Addr().String(), target: s.Address, ends: make(map[net.Conn]bool)}
	link.open = sync.NewCond(&link.mu)
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { link.carry(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		link.close()
		work.Wait()
	})
	return link
}

// Cut stops everything, as it is.
func (l *Link) Cut() { l.set(true) }

// Heal ends the partition. Connections from before are reset, as they are by a
// router that has forgotten them.
func (l *Link) Heal() {
	l.Drop()
	l.set(false)
}

// Drop closes the connections there are.
func (l *Link) Drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.ends {
		_ = c.Close()
	}
}

func (l *Link) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	l.open.Broadcast()
}

func (l *Link) close() {
	l.Drop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.open.Broadcast()
}

// passable waits until the link carries something; false: it never will.
func (l *Link) passable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.cut && !l.closed {
		l.open.Wait()
	}
	return !l.closed
}

func (l *Link) hold(c net.Conn, on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if on {
		l.ends[c] = true
	} else {
		delete(l.ends, c)
	}
}

func (l *Link) carry(near net.Conn) {
	l.hold(near, true)
	defer l.hold(near, false)
	defer func() { _ = near.Close() }()
	if !l.passable() {
		return
	}
	far, err := new(net.Dialer).DialContext(context.Background(), "tcp", l.target)
	if err != nil {
		return
	}
	l.hold(far, true)
	defer l.hold(far, false)
	defer func() { _ = far.Close() }()
	var work sync.WaitGroup
	work.Go(func() { l.copy(far, near) })
	work.Go(func() { l.copy(near, far) })
	work.Wait()
}

// copy carries one direction; its end is the end of both.
func (l *Link) copy(to, from net.Conn) {
	defer func() {
		_ = to.Close()
		_ = from.Close()
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !l.passable() {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
