package faultproxy_test

import (
	"bufio"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/faultproxy"
)

// counter answers each line with itself and counts the lines.
func counter(t *testing.T) (address string, seen *atomic.Int64) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	seen = new(atomic.Int64)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for lines := bufio.NewReader(c); ; {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					seen.Add(1)
					if _, err := io.WriteString(c, line); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String(), seen
}

func dial(t *testing.T, p *faultproxy.Proxy) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a line and reports whether it came back within a time.
func ask(t *testing.T, c net.Conn, patience time.Duration) bool {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, err := io.WriteString(c, "hello\n")
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 6))
	}
	return err == nil
}

const (
	enough = 10 * time.Second
	soon   = 50 * time.Millisecond
)

func TestProxy_LosesWhatItIsTold(t *testing.T) {
	target, seen := counter(t)
	p := faultproxy.New(t, target)
	c := dial(t, p)
	p.Trip(2, faultproxy.Request)
	if !ask(t, c, enough) || p.Sprung() || ask(t, c, enough) || !p.Sprung() {
		t.Error("the second request was not the one that got lost")
	}
	if got := seen.Load(); got != 1 {
		t.Errorf("the server saw %d requests, want 1", got)
	}
	c = dial(t, p)
	p.Trip(1, faultproxy.Answer)
	if ask(t, c, enough) || !p.Sprung() {
		t.Error("the answer was not lost")
	}
	if got := seen.Load(); got != 2 {
		t.Errorf("the server saw %d requests, want 2", got)
	}
	if !ask(t, dial(t, p), enough) {
		t.Error("a trip springs once")
	}
}

func TestProxy_StallsDelaysAndRefuses(t *testing.T) {
	target, _ := counter(t)
	p := faultproxy.New(t, target)
	c := dial(t, p)
	p.Stall()
	if ask(t, c, soon) || ask(t, dial(t, p), soon) {
		t.Error("a stalled proxy answered")
	}
	p.Heal()
	if _, err := io.ReadFull(c, make([]byte, 1)); err == nil {
		t.Error("the deadline of the test is over")
	}
	if c = dial(t, p); !ask(t, c, enough) {
		t.Error("a healed proxy does not answer")
	}
	p.Delay(2 * soon)
	if ask(t, c, soon) || !ask(t, dial(t, p), enough) || p.Worst() < 2*soon {
		t.Error("nothing is held back, or longer than it should be")
	}
	c = dial(t, p)
	p.Refuse()
	if ask(t, c, enough) || ask(t, dial(t, p), enough) {
		t.Error("a refusing proxy answered")
	}
	p.Reset()
	c = dial(t, p)
	if !ask(t, c, enough) {
		t.Error("a healed proxy does not answer")
	}
	p.CutAfter(3)
	if ask(t, c, enough) {
		t.Error("six bytes arrived of three")
	}
}
