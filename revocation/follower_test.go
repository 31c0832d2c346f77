package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// following runs a follower in a synctest bubble until the test is over.
type following struct {
	*Follower
	t      *testing.T
	view   *View
	states []State
	seqs   []uint64 // numbers of the entries the hook was told of
	stop   func()
}

func follow(t *testing.T, a *authority, change func(*FollowerConfig)) *following {
	t.Helper()
	fo := &following{t: t}
	fo.view = NewView(ViewConfig{OnEntry: func(e Entry) {
		fo.seqs = append(fo.seqs, e.Seq)
		a.dead(fo.view, e.Seq) // what stands before an entry is known when the entry is
	}})
	cfg := FollowerConfig{
		URL:       "https://id.example.com/revocations?tenant=a",
		Client:    &http.Client{Transport: a},
		Authorize: func(r *http.Request) error { r.SetBasicAuth("api", "s3cret"); return nil },
		View:      fo.view,
		OnState:   func(s State) { fo.states = append(fo.states, s) },
	}
	if change != nil {
		change(&cfg)
	}
	f, err := NewFollower(cfg)
	if err != nil {
		t.Fatal(err)
	}
	fo.Follower = f
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	fo.stop = func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: got %v, want context.Canceled", err)
		}
		if got := f.State(); got != Idle {
			t.Errorf("state after Run: got %v", got)
		}
	}
	return fo
}

// dead checks that everything up to seq is refused.
func (a *authority) dead(v *View, seq uint64) {
	for _, e := range a.entries[:seq] {
		var hit bool
		switch e.Kind {
		case Token:
			hit = v.Revoked(e.ID, ID{}, ID{}).Hit()
		case Grant:
			hit = v.Revoked(ID{}, e.ID, ID{}).Hit()
		case Session:
			hit = v.Revoked(ID{}, ID{}, e.ID).Hit()
		case Key:
			hit = v.KeyRevoked(e.Name)
		default:
			hit = true
		}
		if !hit {
			a.t.Errorf("entry %d is not refused at place %d", e.Seq, seq)
		}
	}
}

// converges waits until the view has everything and is fresh.
func (fo *following) converges(a *authority, within time.Duration) {
	fo.t.Helper()
	began := time.Now()
	for {
		synctest.Wait()
		a.mu.Lock()
		want := Cursor{a.incarnation, uint64(len(a.entries))}
		a.mu.Unlock()
		if fo.view.Cursor() == want && !fo.view.Stale(600*time.Millisecond) {
			a.dead(fo.view, want.Seq)
			return
		}
		if time.Since(began) > within {
			fo.t.Fatalf("after %v: place %v, want %v; stale %v, state %v, %v", within, fo.view.Cursor(), want, fo.view.Lag(), fo.State(), fo.Err())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// contiguous checks that the hook was told of every entry that is not in the set, once each, in order.
func (fo *following) contiguous(a *authority) {
	fo.t.Helper()
	var want []uint64
	for _, e := range a.entries {
		if !inSet(e.Kind) {
			want = append(want, e.Seq)
		}
	}
	if !slices.Equal(fo.seqs, want) {
		fo.t.Errorf("entries told: got %v, want %v", fo.seqs, want)
	}
}

func inBubble(t *testing.T, test func(*testing.T, *authority)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newAuthority(t)) })
}

const late = 2_000_000_000

func TestFollower_SnapshotDeltaHeartbeat(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority) {
		log := sampleLog(40, late)
		a.append(log[:20]...)
		fo := follow(t, a, nil)
		defer fo.stop()
		fo.converges(a, time.Second)
		for i := 20; i < 40; i++ {
			a.append(log[i])
			synctest.Wait()
			if _, got := fo.view.Seq(); got != uint64(i+1) { // at once, with no time passing
				t.Fatalf("place: got %d, want %d", got, i+1)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if fo.view.Stale(500 * time.Millisecond) {
			t.Errorf("stale by %v on an idle feed", fo.view.Lag())
		}
		if streams, polls := a.counts(); streams != 1 || polls != 0 {
			t.Errorf("streams %d, polls %d, want 1 and 0", streams, polls)
		}
		fo.contiguous(a)
		r := a.requests[0]
		if user, _, _ := r.BasicAuth(); user != "api" || r.URL.RawQuery != "tenant=a" || r.Header.Get("Last-Event-ID") != "" {
			t.Errorf("request: %v %v", r.URL, r.Header)
		}
		if !slices.Equal(fo.states, []State{Connecting, Streaming}) {
			t.Errorf("states: %v", fo.states)
		}
	})
}

// TestFollower_FaultAtEveryByte breaks the first stream at every byte of it, in each way; the second is sound.
func TestFollower_FaultAtEveryByte(t *testing.T) {
	log := sampleLog(12, late)
	whole := len(firstStream(t, log))
	for name, fault := range map[string]func(io.ReadCloser, int) io.ReadCloser{
		"end":   func(b io.ReadCloser, i int) io.ReadCloser { return &cut{b, i, io.EOF} },
		"reset": func(b io.ReadCloser, i int) io.ReadCloser { return &cut{b, i, errors.New("connection reset")} },
		"stall": func(b io.ReadCloser, i int) io.ReadCloser { return &stall{b, i} },
	} {
		t.Run(name, func(t *testing.T) {
			for i := range whole + 1 {
				inBubble(t, func(t *testing.T, a *authority) {
					a.fault = func(n int, body io.ReadCloser) io.ReadCloser {
						if n > 0 {
							return body
						}
						return fault(body, i)
					}
					a.append(log[:4]...)
					fo := follow(t, a, nil)
					defer fo.stop()
					synctest.Wait()
					for _, e := range log[4:] {
						a.append(e)
						synctest.Wait()
					}
					fo.converges(a, 10*time.Second)
					if _, polls := a.counts(); polls > 0 {
						t.Errorf("at byte %d: one bad stream led to polls", i)
					}
				})
				if t.Failed() {
					t.Fatalf("at byte %d", i)
				}
			}
		})
	}
}

// firstStream is what an undisturbed follower of log is sent.
func firstStream(t *testing.T, log []Entry) []byte {
	stream, err := AppendSnapshot(nil, "life1", 4, log[:4])
	if err != nil {
		t.Fatal(err)
	}
	stream = AppendHeartbeat(stream, "life1", 4, time.UnixMilli(946_684_800_000))
	for i := 4; i < len(log); i++ {
		if stream, err = AppendDelta(stream, "life1", log[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return AppendHeartbeat(stream, "life1", uint64(len(log)), time.UnixMilli(946_684_800_000))
}

// TestFollower_EventsDisturbed drops, repeats, delays or tears each event of the first streams.
func TestFollower_EventsDisturbed(t *testing.T) {
	log := sampleLog(16, late)
	var kept string
	for name, disturb := range map[string]func(n, at int, event string) string{
		"dropped": func(n, at int, event string) string {
			if n == at {
				return ""
			}
			return event
		},
		"repeated": func(n, at int, event string) string {
			if n == at {
				return event + event
			}
			return event
		},
		"old again later": func(n, at int, event string) string {
			if n == at {
				kept = event
			}
			if n == at+3 {
				return event + kept
			}
			return event
		},
		"swapped with the next": func(n, at int, event string) string {
			if n == at {
				kept = event
				return ""
			}
			if n == at+1 {
				return event + kept
			}
			return event
		},
		"truncated": func(n, at int, event string) string {
			if n == at {
				return event[:len(event)/2] + "\n\n"
			}
			return event
		},
		"stuck to the next": func(n, at int, event string) string {
			if n == at {
				return event[:len(event)-1]
			}
			return event
		},
	} {
		t.Run(name, func(t *testing.T) {
			for at := range 16 {
				inBubble(t, func(t *testing.T, a *authority) {
					a.fault = func(n int, body io.ReadCloser) io.ReadCloser {
						if n > 1 {
							return body
						}
						return &rewrite{ReadCloser: body, event: func(n int, e string) string { return disturb(n, at, e) }}
					}
					a.append(log[:2]...)
					fo := follow(t, a, nil)
					defer fo.stop()
					synctest.Wait()
					for _, e := range log[2:] {
						a.append(e)
						synctest.Wait()
					}
					fo.converges(a, 10*time.Second)
					fo.contiguous(a)
				})
				if t.Failed() {
					t.Fatalf("at event %d", at)
				}
			}
		})
	}
}

func TestFollower_StartsBeforeTheAuthority(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority) {
		a.status = -1
		fo := follow(t, a, nil)
		defer fo.stop()
		time.Sleep(time.Hour)
		synctest.Wait()
		if fo.view.Ready() || fo.State() != Waiting && fo.State() != Connecting || fo.Err() == nil {
			t.Errorf("ready %v, state %v, error %v", fo.view.Ready(), fo.State(), fo.Err())
		}
		if n := len(a.requests); n < 3600/10 || n > 3600/2 {
			t.Errorf("%d attempts in an hour", n)
		}
		a.set(func() { a.status = 0 })
		a.append(sampleLog(3, late)...)
		fo.converges(a, 8*time.Second)
		if fo.Err() != nil {
			t.Errorf("error: %v", fo.Err())
		}
	})
}

func TestFollower_RestartResumesWithoutSnapshot(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority) {
		log := sampleLog(30, late)
		down := make(chan struct{})
		a.fault = func(n int, body io.ReadCloser) io.ReadCloser {
			if n == 0 {
				go func() { <-down; body.(*io.PipeReader).CloseWithError(io.ErrUnexpectedEOF) }()
			}
			return body
		}
		fo := follow(t, a, nil)
		defer fo.stop()
		fo.converges(a, time.Second)
		a.append(log[:10]...)
		fo.converges(a, time.Second)
		a.set(func() { a.status = http.StatusServiceUnavailable })
		close(down)
		synctest.Wait()
		a.append(log[10:]...)
		time.Sleep(5 * time.Second)
		if !fo.view.Stale(2 * time.Second) {
			t.Error("trusted although cut off")
		}
		a.set(func() { a.status = 0 })
		fo.converges(a, 8*time.Second)
		fo.contiguous(a)
		if got, want := a.requests[len(a.requests)-1].Header.Get("Last-Event-ID"), "life1-10"; got != want {
			t.Errorf("Last-Event-ID: got %q, want %q", got, want)
		}
	})
}

// A renewed connection goes on where the last one was, at once, and is no loss.
func TestFollower_Renew(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority) {
		a.append(sampleLog(10, late)...)
		var says atomic.Value
		says.Store("one")
		var log bytes.Buffer
		fo := follow(t, a, func(c *FollowerConfig) {
			c.Authorize = func(r *http.Request) error { r.Header.Set(KeysHeader, says.Load().(string)); return nil }
			c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		})
		fo.converges(a, time.Second)
		for i, text := range []string{"one two", "two"} {
			says.Store(text)
			before := time.Now()
			fo.Renew()
			synctest.Wait()
			if streams, _ := a.counts(); streams != i+2 || time.Since(before) != 0 {
				t.Errorf("%d streams after %v, want %d at once", streams, time.Since(before), i+2)
			}
			r := a.requests[len(a.requests)-1]
			if got := r.Header.Get(KeysHeader); got != text {
				t.Errorf("says %q, want %q", got, text)
			}
			if got, want := r.Header.Get("Last-Event-ID"), "life1-10"; got != want {
				t.Errorf("Last-Event-ID: got %q, want %q", got, want)
			}
			if fo.view.Stale(500*time.Millisecond) || fo.State() != Streaming {
				t.Errorf("stale or %v", fo.State())
			}
		}
		fo.stop()
		fo.Renew() // when there is nothing to renew
		if log.Len() > 0 || !slices.Equal(fo.states, []State{Connecting, Streaming, Idle}) {
			t.Errorf("states %v, log %s", fo.states, log.String())
		}
	})
}

func TestFollower_AnotherIncarnationForcesASnapshot(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority) {
		log := sampleLog(30, late)
		a.append(log[:20]...)
		fo := follow(t, a, nil)
		defer fo.stop()
		fo.converges(a, time.Second)
		// A backup from before entry 10 is restored; others are revoked since.
		a.set(func() {
			a.incarnation = "life2"
			a.entries = slices.Clone(log[:10])
			a.entries = append(a.entries, Entry{Seq: 11, Kind: Token, ID: number(1011), Until: late})
		})
		fo.converges(a, 5*time.Second)
		for _, e := range log[10:20] {
			if e.Kind == Token && !revokedToken(fo.view, e.ID) {
				t.Errorf("entry %d came to life again", e.Seq)
			}
		}
	})
}

func TestFollower_StalledConnectionMakesTheViewStale(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority) {
		var stalled atomic.Bool
		a.fault = func(n int, body io.ReadCloser) io.ReadCloser {
			return &rewrite{ReadCloser: body, event: func(_ int, e string) string {
				if stalled.Load() {
					return ""
				}
				return e
			}}
		}
		fo := follow(t, a, nil)
		defer fo.stop()
		fo.converges(a, time.Second)
		stalled.Store(true)
		time.Sleep(2100 * time.Millisecond)
		synctest.Wait()
		if !fo.view.Stale(2 * time.Second) {
			t.Errorf("lag %v on a stalled connection", fo.view.Lag())
		}
		if streams, _ := a.counts(); streams != 2 && fo.State() != Waiting {
			t.Errorf("streams %d, state %v: no new attempt", streams, fo.State())
		}
		stalled.Store(false)
		fo.converges(a, 10*time.Second)
	})
}

// TestFollower_HeartbeatAheadIsAGap: the last delta was lost and nothing follows it.
func TestFollower_HeartbeatAheadIsAGap(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority) {
		a.fault = func(n int, body io.ReadCloser) io.ReadCloser {
			return &rewrite{ReadCloser: body, event: func(_ int, e string) string {
				if n == 0 && strings.HasPrefix(e, "event: delta") {
					return ""
				}
				return e
			}}
		}
		fo := follow(t, a, nil)
		defer fo.stop()
		fo.converges(a, time.Second)
		a.append(token(1, number(1)))
		fo.converges(a, time.Second)
		if streams, _ := a.counts(); streams != 2 {
			t.Errorf("streams: got %d, want 2", streams)
		}
	})
}

// TestFollower_UnusablePlaceIsGivenUp: deltas that never fit lead to a snapshot.
func TestFollower_UnusablePlaceIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority) {
		fo := follow(t, a, nil)
		defer fo.stop()
		fo.converges(a, time.Second)
		a.set(func() {
			a.fault = func(n int, body io.ReadCloser) io.ReadCloser {
				return &rewrite{ReadCloser: body, event: func(_ int, e string) string {
					return strings.Replace(e, "event: delta\nid: life1-3", "event: delta\nid: life1-4", 1)
				}}
			}
		})
		a.append(sampleLog(3, late)...)
		fo.converges(a, 500*time.Millisecond) // the stream from before the fault
		a.append(Entry{Seq: 4, Kind: KeyRing})
		fo.converges(a, 5*time.Second)
	})
	inBubble(t, func(t *testing.T, a *authority) {
		a.append(sampleLog(2, late)...)
		a.fault = func(n int, body io.ReadCloser) io.ReadCloser {
			return &rewrite{ReadCloser: body, event: func(_ int, e string) string {
				return strings.Replace(e, "event: delta\n", "event: delta\nid: broken\nx", 1)
			}}
		}
		fo := follow(t, a, nil)
		defer fo.stop()
		fo.converges(a, time.Second)
		a.append(Entry{Seq: 3, Kind: KeyRing})
		fo.converges(a, 5*time.Second)
		if got := a.requests[len(a.requests)-1].Header.Get("Last-Event-ID"); got != "" {
			t.Errorf("the last request still resumes from %q", got)
		}
	})
}

func TestFollower_RefusedCredentials(t *testing.T) {
	for _, status := range []int{401, 403} {
		inBubble(t, func(t *testing.T, a *authority) {
			a.status = status
			var log bytes.Buffer
			fo := follow(t, a, func(cfg *FollowerConfig) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			defer fo.stop()
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			if got := fo.State(); got != Unauthorized {
				t.Errorf("%d: state %v", status, got)
			}
			if n := len(a.requests); n < 10*60/45 || n > 10*60/15+2 {
				t.Errorf("%d: %d attempts in ten minutes", status, n)
			}
			if s := log.String(); strings.Contains(s, "s3cret") || strings.Count(s, "\n") != 1 {
				t.Errorf("log:\n%s", s)
			}
			a.set(func() { a.status = 0 })
			fo.converges(a, time.Minute)
			if fo.State() != Streaming {
				t.Errorf("state: %v", fo.State())
			}
		})
	}
}

// TestFollower_FirstRefusalIsRetriedSoon: a bearer token may just have expired.
func TestFollower_FirstRefusalIsRetriedSoon(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority) {
		a.status = 401
		fo := follow(t, a, nil)
		defer fo.stop()
		synctest.Wait()
		a.set(func() { a.status = 0 })
		fo.converges(a, 200*time.Millisecond)
	})
}

func TestFollower_FallsBackToLongPollAndReturns(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority) {
		log := sampleLog(30, late)
		a.append(log[:10]...)
		a.buffered = true
		fo := follow(t, a, nil)
		defer fo.stop()
		fo.converges(a, 10*time.Second)
		if fo.State() != Polling {
			t.Fatalf("state: %v", fo.State())
		}
		if streams, _ := a.counts(); streams != 2 {
			t.Errorf("streams: got %d, want 2", streams)
		}
		for i := 10; i < 30; i++ {
			a.append(log[i])
			synctest.Wait()
			if _, got := fo.view.Seq(); got != uint64(i+1) {
				time.Sleep(100 * time.Millisecond) // the pause between polls, at most
			}
		}
		fo.converges(a, time.Second)
		fo.contiguous(a)
		for range 200 { // probes must not make the view stale
			time.Sleep(time.Second)
			if fo.view.Stale(2 * time.Second) {
				t.Fatalf("lag %v while a stream is probed", fo.view.Lag())
			}
		}
		if streams, _ := a.counts(); streams != 4 {
			t.Errorf("streams: got %d, want 4 (probes after one and two more minutes)", streams)
		}
		a.set(func() { a.buffered = false })
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if fo.State() != Streaming {
			t.Errorf("state: %v", fo.State())
		}
	})
}

func TestFollower_LongPollOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority) {
		fo := follow(t, a, func(cfg *FollowerConfig) { cfg.LongPoll = true })
		defer fo.stop()
		fo.converges(a, time.Second)
		a.append(sampleLog(9, late)...)
		fo.converges(a, time.Second)
		a.set(func() { a.status = 500 })
		time.Sleep(10 * time.Second)
		if !fo.view.Stale(2 * time.Second) {
			t.Error("trusted although cut off")
		}
		a.set(func() { a.status, a.incarnation = 0, "life2" })
		fo.converges(a, 10*time.Second)
		time.Sleep(time.Minute)
		synctest.Wait()
		streams, polls := a.counts()
		if streams != 0 || polls > 100 || fo.view.Stale(1100*time.Millisecond) {
			t.Errorf("streams %d, polls %d, lag %v", streams, polls, fo.view.Lag())
		}
	})
}

// TestFollower_WhatLayInABufferProvesNothing: the process stands still while a read waits, and then reads
// a heartbeat from before.
func TestFollower_WhatLayInABufferProvesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority) {
		var stopped time.Duration // how far the clock jumps within the next read
		now := func() time.Time { return time.Now().Add(stopped) }
		view := NewView(ViewConfig{Now: now})
		must(t, view.ApplySnapshot("life1", 0, nil))
		f, err := NewFollower(FollowerConfig{URL: "https://id", View: view, Now: now,
			Authorize: func(*http.Request) error { return nil }, Client: &http.Client{Transport: a}})
		must(t, err)
		_, dog := watch(t.Context(), time.Minute)
		defer dog.stop()
		beat := AppendHeartbeat(nil, "life1", 0, time.Now())
		reads := 0
		source := readerFunc(func(p []byte) (int, error) {
			if reads++; reads == 2 {
				stopped = 3 * time.Second
			}
			return copy(p, beat), nil
		})
		body := &watchedBody{body: source, dog: dog, now: now, first: f.silence, silence: f.silence}
		got, err := f.take(NewDecoder(body), body)
		if !got || !errors.Is(err, errSilent) {
			t.Errorf("got %v, %v", got, err)
		}
		if !view.Stale(2 * time.Second) {
			t.Error("an old heartbeat was taken for a fresh one")
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestFollower_RetryAfter(t *testing.T) {
	for in, want := range map[string]time.Duration{"": 0, "x": 0, "-1": 0, "7": 7 * time.Second, "9999": 30 * time.Second} {
		resp := &http.Response{Header: http.Header{"Retry-After": {in}}}
		if got := retryAfter(resp); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

func TestNewFollower_Config(t *testing.T) {
	ok := FollowerConfig{URL: "https://id.example.com/revocations", View: NewView(ViewConfig{}), Authorize: func(*http.Request) error { return nil }}
	for name, change := range map[string]func(*FollowerConfig){
		"relative URL":  func(c *FollowerConfig) { c.URL = "/revocations" },
		"other scheme":  func(c *FollowerConfig) { c.URL = "ftp://x/" },
		"no view":       func(c *FollowerConfig) { c.View = nil },
		"no credential": func(c *FollowerConfig) { c.Authorize = nil },
	} {
		cfg := ok
		change(&cfg)
		if _, err := NewFollower(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := NewFollower(ok); err != nil {
		t.Error(err)
	}
}

func ExampleFollower() {
	view := NewView(ViewConfig{})
	follower, err := NewFollower(FollowerConfig{
		URL:       "https://id.example.com/revocations",
		Authorize: func(r *http.Request) error { r.SetBasicAuth("reports-api", "secret"); return nil },
		View:      view,
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // a program would let it run
	fmt.Println(follower.Run(ctx))
	fmt.Println(view.Ready(), view.Stale(2*time.Second))
	// Output:
	// context canceled
	// false true
}
