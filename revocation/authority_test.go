package revocation

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// number makes a distinct id.
func number(n int) ID {
	var id ID
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	id[0] = 1
	return id
}

// sampleLog is a log with every kind in it, n entries from 1.
func sampleLog(n int, until int64) []Entry {
	entries := make([]Entry, n)
	for i := range entries {
		e := Entry{Seq: uint64(i + 1), ID: number(i + 1), Until: until}
		switch i % 8 {
		case 0, 3:
			e.Kind, e.Reason = Token, "logout"
		case 1:
			e.Kind, e.Reason = Grant, "he said \"no\"\nand é"
		case 2:
			e.Kind = Session
		case 4:
			e.Kind, e.ID, e.Name = Key, ID{}, "kid-"+strconv.Itoa(i)
		case 5:
			e.Kind, e.ID, e.Name, e.Data = Policy, ID{}, "p"+strconv.Itoa(i), []byte(`{"max_age":60}`)
		case 6:
			e.Kind, e.KindName = Unknown, "from_the_future"
		case 7:
			e.Kind, e.ID = KeyRing, ID{}
		}
		entries[i] = e
	}
	return entries
}

// authority serves a log as doc.go says, through a fault. It is a RoundTripper, so that it works in a
// synctest bubble.
type authority struct {
	t *testing.T

	mu          sync.Mutex
	incarnation string
	entries     []Entry
	floor       uint64 // a place before it gets a snapshot
	changed     chan struct{}
	status      int // instead of 200
	requests    []*http.Request

	// fault changes the body of the nth stream (from 0), nil for none.
	fault func(n int, body io.ReadCloser) io.ReadCloser
	// buffered holds streams back, as some proxies do.
	buffered bool
	streams  int
	polls    int
}

func newAuthority(t *testing.T) *authority {
	return &authority{t: t, incarnation: "life1", changed: make(chan struct{})}
}

func (a *authority) append(entries ...Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, entries...)
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *authority) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *authority) counts() (streams, polls int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.streams, a.polls
}

func (a *authority) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, r)
	resp := &http.Response{StatusCode: a.status, Header: http.Header{}, Body: http.NoBody, Request: r}
	switch {
	case a.status == -1:
		return nil, errors.New("connection refused")
	case a.status != 0:
		return resp, nil
	}
	resp.StatusCode = http.StatusOK
	if r.Header.Get("Accept") == "application/json" {
		a.polls++
		resp.Header.Set("Content-Type", "application/json")
		resp.Body = a.poll(r)
		return resp, nil
	}
	resp.Header.Set("Content-Type", "text/event-stream; charset=utf-8")
	after, _ := ParseCursor(r.Header.Get("Last-Event-ID"))
	read, write := io.Pipe()
	var body io.ReadCloser = read
	if a.buffered {
		body = &stall{ReadCloser: read}
	}
	if a.fault != nil {
		body = a.fault(a.streams, body)
	}
	a.streams++
	ctx := r.Context()
	stop := make(chan struct{})
	go func() { // what a transport does when the request is cancelled
		select {
		case <-ctx.Done():
			read.CloseWithError(ctx.Err())
		case <-stop:
		}
	}()
	go func() {
		defer close(stop)
		write.CloseWithError(a.stream(ctx, write, after))
	}()
	resp.Body = body
	return resp, nil
}

// since returns what follows a place, under mu.
func (a *authority) since(after Cursor) (snapshot bool, entries []Entry) {
	head := uint64(len(a.entries))
	if after.Incarnation != a.incarnation || after.Seq < a.floor || after.Seq > head {
		return true, a.entries[:head:head]
	}
	return false, a.entries[after.Seq:head:head]
}

func (a *authority) stream(ctx context.Context, w io.Writer, after Cursor) error {
	for first := true; ; first = false {
		a.mu.Lock()
		snapshot, entries := a.since(after)
		incarnation, head, changed := a.incarnation, uint64(len(a.entries)), a.changed
		a.mu.Unlock()
		var frame []byte
		var err error
		switch {
		case snapshot:
			frame, err = AppendSnapshot(nil, incarnation, head, entries)
		case len(entries) > 0:
			frame, err = AppendDelta(nil, incarnation, entries)
		}
		if err != nil {
			a.t.Error(err)
			return err
		}
		if snapshot || len(entries) == 0 || first {
			frame = AppendHeartbeat(frame, incarnation, head, time.Now())
		}
		if _, err := w.Write(frame); err != nil {
			return err
		}
		after = Cursor{incarnation, head}
		select {
		case <-changed:
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *authority) poll(r *http.Request) io.ReadCloser {
	after, _ := ParseCursor(r.URL.Query().Get("after"))
	wait, err := time.ParseDuration(r.URL.Query().Get("wait"))
	if err != nil {
		a.t.Error(err)
	}
	return &lazy{make: func() io.Reader {
		a.mu.Lock()
		snapshot, entries := a.since(after)
		changed := a.changed
		a.mu.Unlock()
		if !snapshot && len(entries) == 0 {
			select {
			case <-changed:
			case <-time.After(wait):
			case <-r.Context().Done():
			}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		snapshot, entries = a.since(after)
		data, err := AppendPoll(nil, Poll{a.incarnation, uint64(len(a.entries)), snapshot, time.Now(), entries})
		if err != nil {
			a.t.Error(err)
		}
		return bytes.NewReader(data)
	}}
}

type lazy struct {
	make func() io.Reader
	r    io.Reader
}

func (l *lazy) Read(p []byte) (int, error) {
	if l.r == nil {
		l.r = l.make()
	}
	return l.r.Read(p)
}
func (l *lazy) Close() error { return nil }

// stall lets a number of bytes through and then nothing, until the connection is closed.
type stall struct {
	io.ReadCloser
	left int
}

func (s *stall) Read(p []byte) (int, error) {
	if s.left == 0 {
		for { // swallow, as a full buffer on the way would
			if _, err := s.ReadCloser.Read(p); err != nil {
				return 0, err
			}
		}
	}
	n, err := s.ReadCloser.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

// cut lets a number of bytes through and then ends.
type cut struct {
	io.ReadCloser
	left int
	err  error
}

func (c *cut) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, c.err
	}
	n, err := c.ReadCloser.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// rewrite passes whole events through a function that may drop, repeat or swap them.
type rewrite struct {
	io.ReadCloser
	event func(n int, event string) string
	n     int
	in    []byte
	out   []byte
}

func (w *rewrite) Read(p []byte) (int, error) {
	for len(w.out) == 0 {
		buf := make([]byte, 512)
		n, err := w.ReadCloser.Read(buf)
		if err != nil {
			return 0, err
		}
		w.in = append(w.in, buf[:n]...)
		for {
			event, rest, ok := strings.Cut(string(w.in), "\n\n")
			if !ok {
				break
			}
			w.out = append(w.out, w.event(w.n, event+"\n\n")...)
			w.n++
			w.in = []byte(rest)
		}
	}
	n := copy(p, w.out)
	w.out = w.out[n:]
	return n, nil
}
