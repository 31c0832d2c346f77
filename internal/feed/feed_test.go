package feed_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/feed"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/revocation"
)

const (
	heartbeat   = 500 * time.Millisecond
	incarnation = "life"
)

var errDisk = errors.New("disk failed")

// revocationLog is a log that can fail and forget.
type revocationLog struct {
	mu      sync.Mutex
	entries []authority.LogEntry
	seq     uint64
	moved   chan struct{}
	broken  bool
	lives   int // reads of all live entries
}

func newLog() *revocationLog { return &revocationLog{moved: make(chan struct{})} }

func (l *revocationLog) append(n int, edit ...func(*authority.LogEntry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for range n {
		l.seq++
		e := authority.LogEntry{Seq: l.seq, Kind: authority.KindToken, ID: secret.NewID(now), Reason: "test", At: now, Until: now.Add(time.Hour)}
		for _, f := range edit {
			f(&e)
		}
		l.entries = append(l.entries, e)
	}
	close(l.moved)
	l.moved = make(chan struct{})
}

// forget drops what stands in the log up to seq.
func (l *revocationLog) forget(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = slices.DeleteFunc(l.entries, func(e authority.LogEntry) bool { return e.Seq <= seq })
}

func (l *revocationLog) setBroken(broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = broken
}

func (l *revocationLog) failure() error {
	if l.broken {
		return errDisk
	}
	return nil
}

func (l *revocationLog) Log(_ context.Context, after uint64, limit int) ([]authority.LogEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []authority.LogEntry
	for _, e := range l.entries {
		if e.Seq > after && len(found) < limit {
			found = append(found, e)
		}
	}
	return found, l.failure()
}

func (l *revocationLog) Head(context.Context) (string, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return incarnation, l.seq, l.failure()
}

func (l *revocationLog) Live(_ context.Context, now time.Time) ([]authority.LogEntry, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lives++
	var live []authority.LogEntry
	for _, e := range l.entries {
		if e.Until.After(now) {
			live = append(live, e)
		}
	}
	return live, l.seq, l.failure()
}

func (l *revocationLog) Wait(ctx context.Context, after uint64) error {
	for {
		l.mu.Lock()
		seq, moved := l.seq, l.moved
		l.mu.Unlock()
		if seq > after {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// run opens a feed on the log, inside a bubble of fake time.
func run(t *testing.T, test func(ctx context.Context, l *revocationLog, f *feed.Feed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		l.append(3)
		f, err := feed.Open(t.Context(), feed.Config{Log: l, Heartbeat: heartbeat})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.Run(ctx)
		}()
		test(ctx, l, f)
		stop()
		<-done
	})
}

// reader is a subscriber that reads everything at once, into a view.
type reader struct {
	t    *testing.T
	view *revocation.View

	mu     sync.Mutex
	kinds  []string // of the messages, in order
	beats  []time.Time
	seqs   []uint64 // of entries
	chunks [][]byte
}

func (r *reader) take(chunk []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.chunks = append(r.chunks, chunk)
	d := revocation.NewDecoder(bytes.NewReader(chunk))
	for {
		e, err := d.Next()
		if err != nil {
			return
		}
		m, err := e.Message()
		if err != nil {
			r.t.Error(err)
			return
		}
		for _, entry := range m.Entries {
			r.seqs = append(r.seqs, entry.Seq)
		}
		switch m.Type {
		case revocation.SnapshotPart:
			r.kinds = append(r.kinds, "snapshot")
			err = r.view.ApplySnapshot(m.Incarnation, m.Seq, m.Entries)
		case revocation.Delta:
			r.kinds = append(r.kinds, "delta")
			err = r.view.ApplyDelta(m.Incarnation, m.Entries)
		case revocation.Heartbeat:
			r.kinds = append(r.kinds, "heartbeat")
			r.beats = append(r.beats, time.Now())
			err = r.view.Heartbeat(m.Incarnation, m.Seq, m.Time, time.Now())
		case revocation.Other:
			r.t.Errorf("an event that no reader knows: %q", e.Name)
		}
		if err != nil {
			r.t.Errorf("%s: %v", r.kinds[len(r.kinds)-1], err)
		}
	}
}

func (r *reader) heard() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.kinds, " ")
}

func (r *reader) forgetMessages() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kinds, r.beats, r.seqs = nil, nil, nil
}

func (r *reader) at() uint64 {
	_, seq := r.view.Seq()
	return seq
}

// subscribe reads until ctx ends.
func subscribe(ctx context.Context, t *testing.T, f *feed.Feed, at revocation.Cursor, view *revocation.View) *reader {
	t.Helper()
	if view == nil {
		view = revocation.NewView(revocation.ViewConfig{})
	}
	r := &reader{t: t, view: view}
	s, first, err := f.Subscribe(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	r.take(first)
	go func() {
		defer s.Close()
		for {
			chunk, err := s.Next(ctx)
			if err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				return
			}
			r.take(chunk)
		}
	}()
	return r
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestFeed_BeginsWithWhatTheReaderLacks(t *testing.T) {
	run(t, func(ctx context.Context, l *revocationLog, f *feed.Feed) {
		for _, test := range []struct {
			name string
			at   revocation.Cursor
			want string
		}{
			{"nothing yet", revocation.Cursor{}, "snapshot heartbeat"},
			{"another life", revocation.Cursor{Incarnation: "other", Seq: 2}, "snapshot heartbeat"},
			{"ahead of the log", revocation.Cursor{Incarnation: incarnation, Seq: 4}, "snapshot heartbeat"},
			{"from the beginning", revocation.Cursor{Incarnation: incarnation}, "delta heartbeat"},
			{"two behind", revocation.Cursor{Incarnation: incarnation, Seq: 1}, "delta heartbeat"},
			{"up to date", revocation.Cursor{Incarnation: incarnation, Seq: 3}, "heartbeat"},
		} {
			view := revocation.NewView(revocation.ViewConfig{})
			if test.at.Incarnation == incarnation {
				live, _, _ := l.Live(ctx, time.Now())
				var entries []revocation.Entry
				for _, e := range live[:min(int(test.at.Seq), 3)] {
					entries = append(entries, revocation.Entry{Seq: e.Seq, Kind: revocation.Token, ID: revocation.ID(e.ID)})
				}
				if err := view.ApplySnapshot(incarnation, test.at.Seq, entries); err != nil {
					t.Fatal(err)
				}
			}
			if test.at.Seq > 3 { // a view that far ahead would ignore the snapshot
				view = nil
			}
			reading, stop := context.WithCancel(ctx)
			r := subscribe(reading, t, f, test.at, view)
			synctest.Wait()
			want(t, test.name, r.heard(), test.want)
			if r.at() != 3 || r.view.Len() != 3 || r.view.Lag() != 0 {
				t.Errorf("%s: seq %d, %d entries, lag %v", test.name, r.at(), r.view.Len(), r.view.Lag())
			}
			stop()
			synctest.Wait()
		}
		if n := f.Stats().Subscribers; n != 0 {
			t.Errorf("%d subscribers are counted after all have gone", n)
		}
	})
}

func TestFeed_HeartbeatsInSilence(t *testing.T) {
	run(t, func(ctx context.Context, _ *revocationLog, f *feed.Feed) {
		r := subscribe(ctx, t, f, revocation.Cursor{}, nil)
		began := time.Now()
		time.Sleep(10*heartbeat + time.Millisecond)
		synctest.Wait()
		if len(r.beats) != 11 {
			t.Errorf("%d heartbeats in %v, want 11", len(r.beats), time.Since(began))
		}
	})
}

// Entries do not tell a reader that nothing is missing. Heartbeats do, so a
// feed that is busy has as many of them.
func TestFeed_HeartbeatsUnderAConstantStream(t *testing.T) {
	for _, every := range []time.Duration{time.Millisecond, 30 * time.Millisecond, 400 * time.Millisecond, 499 * time.Millisecond} {
		t.Run(every.String(), func(t *testing.T) {
			run(t, func(ctx context.Context, l *revocationLog, f *feed.Feed) {
				r := subscribe(ctx, t, f, revocation.Cursor{}, nil)
				for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(every) {
					l.append(1)
				}
				synctest.Wait()
				r.mu.Lock()
				defer r.mu.Unlock()
				for i := 1; i < len(r.beats); i++ {
					if gap := r.beats[i].Sub(r.beats[i-1]); gap > heartbeat+every {
						t.Errorf("%v without a heartbeat", gap)
					}
				}
				if len(r.beats) < 9 {
					t.Errorf("%d heartbeats in 5 s", len(r.beats))
				}
			})
		})
	}
}

// A node that cannot read the log must not say that there is nothing in it.
func TestFeed_NoHeartbeatFromANodeThatDoesNotKnow(t *testing.T) {
	run(t, func(ctx context.Context, l *revocationLog, f *feed.Feed) {
		r := subscribe(ctx, t, f, revocation.Cursor{}, nil)
		time.Sleep(time.Second)
		l.setBroken(true)
		time.Sleep(2 * heartbeat) // what it knew is that old by then
		synctest.Wait()
		r.forgetMessages()
		l.append(1)
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, "while the log is broken", r.heard(), "")
		if lag := f.View().Lag(); lag < time.Minute {
			t.Errorf("the node's own lag is %v", lag)
		}
		if _, _, err := f.Subscribe(ctx, revocation.Cursor{}); !errors.Is(err, errDisk) {
			t.Errorf("a new subscriber: %v", err)
		}
		if _, err := f.Poll(ctx, revocation.Cursor{Incarnation: incarnation, Seq: 3}, time.Second); !errors.Is(err, errDisk) {
			t.Errorf("a poll: %v", err)
		}
		// One that is up to date is let in, and told nothing.
		at, ended := context.WithCancel(ctx)
		quiet := subscribe(at, t, f, revocation.Cursor{Incarnation: incarnation, Seq: 3}, revocation.NewView(revocation.ViewConfig{}))
		time.Sleep(time.Second)
		synctest.Wait()
		want(t, "a subscriber that is up to date", quiet.heard(), "")
		ended()

		l.setBroken(false)
		time.Sleep(2 * heartbeat)
		synctest.Wait()
		if got := r.heard(); !strings.HasPrefix(got, "delta") || !strings.Contains(got, "heartbeat") {
			t.Errorf("recovered: %q", got)
		}
		if r.at() != 4 {
			t.Errorf("recovered at %d, want 4", r.at())
		}
	})
}

// A node that could not read for so long that the log has forgotten what it
// lacks catches up by itself.
func TestFeed_NodeBehindAForgottenLog(t *testing.T) {
	for name, left := range map[string]int{"some are left": 2, "all are gone": 5} {
		t.Run(name, func(t *testing.T) {
			run(t, func(ctx context.Context, l *revocationLog, f *feed.Feed) {
				r := subscribe(ctx, t, f, revocation.Cursor{}, nil)
				l.setBroken(true)
				l.append(5)
				time.Sleep(time.Minute)
				l.forget(3 + uint64(left))
				l.setBroken(false)
				time.Sleep(2 * heartbeat)
				synctest.Wait()
				if r.at() != 8 || f.Stats().Seq != 8 || f.View().Lag() > heartbeat || r.view.Lag() > heartbeat {
					t.Errorf("reader at %d, lag %v; node at %d, lag %v; want 8", r.at(), r.view.Lag(), f.Stats().Seq, f.View().Lag())
				}
				if err := f.Applied(ctx, 8); err != nil {
					t.Error(err)
				}
				l.append(1)
				synctest.Wait()
				if r.at() != 9 {
					t.Errorf("then at %d, want 9", r.at())
				}
			})
		})
	}
}

// Whatever an operator gives as a reason, the entries after it arrive.
func TestFeed_OneEntryDoesNotHoldUpTheRest(t *testing.T) {
	for name, edit := range map[string]func(*authority.LogEntry){
		"long reason":  func(e *authority.LogEntry) { e.Reason = strings.Repeat("é", 250) },
		"odd reason":   func(e *authority.LogEntry) { e.Reason = "\n\ndata: \xff\"" },
		"unknown kind": func(e *authority.LogEntry) { e.Kind, e.ID = "later_kind", secret.ID{} },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(ctx context.Context, l *revocationLog, f *feed.Feed) {
				r := subscribe(ctx, t, f, revocation.Cursor{}, nil)
				l.append(1, edit)
				l.append(1)
				synctest.Wait()
				if r.at() != 5 || f.Stats().Seq != 5 {
					t.Errorf("reader at %d, node at %d, want 5", r.at(), f.Stats().Seq)
				}
				time.Sleep(heartbeat) // a snapshot of its own
				late := subscribe(ctx, t, f, revocation.Cursor{}, nil)
				if synctest.Wait(); late.at() != 5 {
					t.Errorf("one that comes later is at %d, want 5", late.at())
				}
			})
		})
	}
}

// A reader at any place gets every number once, in order: behind the window,
// in the middle of a batch, and while the log grows.
func TestFeed_ResumeAnywhere(t *testing.T) {
	run(t, func(ctx context.Context, l *revocationLog, f *feed.Feed) {
		for range 1500 { // the window holds fewer batches
			l.append(3)
			synctest.Wait()
		}
		var readers []*reader
		var starts []uint64
		for at := uint64(0); at < 4500; at += 97 {
			view := revocation.NewView(revocation.ViewConfig{})
			if err := view.ApplySnapshot(incarnation, at, nil); err != nil {
				t.Fatal(err)
			}
			readers = append(readers, subscribe(ctx, t, f, revocation.Cursor{Incarnation: incarnation, Seq: at}, view))
			starts = append(starts, at)
			l.append(1)
		}
		time.Sleep(heartbeat)
		synctest.Wait()
		last := f.Stats().Seq
		for i, r := range readers {
			if got := uint64(len(r.seqs)); got != last-starts[i] || r.at() != last {
				t.Errorf("from %d: %d entries, at %d; want %d, at %d", starts[i], got, r.at(), last-starts[i], last)
			}
			if strings.Contains(r.heard(), "snapshot") {
				t.Errorf("from %d: got a snapshot", starts[i])
			}
		}
	})
}

// What one subscriber is handed is shared with others: nobody may write to it.
func TestFeed_SharedBytesStayAsTheyAre(t *testing.T) {
	run(t, func(ctx context.Context, l *revocationLog, f *feed.Feed) {
		var subscriptions []*feed.Subscription
		for range 5 {
			s, _, err := f.Subscribe(ctx, revocation.Cursor{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			subscriptions = append(subscriptions, s)
		}
		for n := range 30 {
			time.Sleep(heartbeat)
			l.append(n + 1)
			synctest.Wait()
			var chunks, copies [][]byte
			for _, s := range subscriptions { // one after the other: each with a heartbeat of its own time
				chunk, err := s.Next(ctx)
				if err != nil {
					t.Fatal(err)
				}
				chunks, copies = append(chunks, chunk), append(copies, bytes.Clone(chunk))
				time.Sleep(time.Millisecond)
			}
			for i := range chunks {
				if !bytes.Contains(chunks[i], []byte("heartbeat")) {
					t.Fatal("no heartbeat, so nothing is shown")
				}
				if !bytes.Equal(chunks[i], copies[i]) {
					t.Fatalf("what subscriber %d was handed has changed", i)
				}
			}
		}
	})
}

// A fleet that starts over reads the log once, not once per guard.
func TestFeed_SnapshotIsShared(t *testing.T) {
	run(t, func(ctx context.Context, l *revocationLog, f *feed.Feed) {
		l.append(2000)
		synctest.Wait()
		before := l.lives
		var firsts [][]byte
		for i := range 100 {
			s, first, err := f.Subscribe(ctx, revocation.Cursor{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			firsts = append(firsts, first)
			time.Sleep(time.Millisecond)
			if i == 50 {
				l.append(1)
				synctest.Wait()
			}
		}
		if got := l.lives - before; got != 1 {
			t.Errorf("the live entries were read %d times, want once", got)
		}
		if &firsts[0][0] != &firsts[99][0] {
			t.Error("a large snapshot was copied")
		}
		// Who gets one that is a little old hears what followed, at once.
		r := subscribe(ctx, t, f, revocation.Cursor{}, nil)
		synctest.Wait()
		want(t, "after it", r.heard()[strings.LastIndex(r.heard(), "snapshot"):], "snapshot delta heartbeat")
		if r.at() != 2004 {
			t.Errorf("at %d, want 2004", r.at())
		}
		time.Sleep(heartbeat)
		if subscribe(ctx, t, f, revocation.Cursor{}, nil); l.lives-before != 2 {
			t.Errorf("a later one: %d reads, want 2", l.lives-before)
		}
	})
}

// A reader far behind is served in pieces, whatever it lacks.
func TestFeed_ChunksAreBounded(t *testing.T) {
	run(t, func(ctx context.Context, l *revocationLog, f *feed.Feed) {
		l.append(60_000)
		synctest.Wait()
		view := revocation.NewView(revocation.ViewConfig{})
		if err := view.ApplySnapshot(incarnation, 3, nil); err != nil {
			t.Fatal(err)
		}
		r := subscribe(ctx, t, f, revocation.Cursor{Incarnation: incarnation, Seq: 3}, view)
		synctest.Wait()
		for _, chunk := range r.chunks {
			if len(chunk) > 1<<20 {
				t.Errorf("a chunk of %d bytes", len(chunk))
			}
		}
		if r.at() != 60_003 || r.view.Lag() != 0 {
			t.Errorf("at %d, lag %v", r.at(), r.view.Lag())
		}
	})
}

func TestFeed_Poll(t *testing.T) {
	run(t, func(ctx context.Context, l *revocationLog, f *feed.Feed) {
		poll := func(at revocation.Cursor, wait time.Duration) (revocation.Poll, time.Duration) {
			t.Helper()
			began := time.Now()
			p, err := f.Poll(ctx, at, wait)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := revocation.AppendPoll(nil, p); err != nil {
				t.Error(err)
			}
			return p, time.Since(began)
		}
		p, took := poll(revocation.Cursor{}, time.Minute)
		if !p.Snapshot || p.Seq != 3 || len(p.Entries) != 3 || took != 0 {
			t.Errorf("without a place: %+v after %v", p, took)
		}
		p, took = poll(revocation.Cursor{Incarnation: "other", Seq: 3}, time.Minute)
		if !p.Snapshot || took != 0 {
			t.Errorf("another life: %+v after %v", p, took)
		}
		p, took = poll(revocation.Cursor{Incarnation: incarnation, Seq: 1}, time.Minute)
		if p.Snapshot || p.Seq != 3 || len(p.Entries) != 2 || took != 0 {
			t.Errorf("behind: %+v after %v", p, took)
		}
		p, took = poll(revocation.Cursor{Incarnation: incarnation, Seq: 3}, 7*time.Second)
		if p.Snapshot || p.Seq != 3 || len(p.Entries) != 0 || took != 7*time.Second {
			t.Errorf("nothing new: %+v after %v", p, took)
		}
		time.AfterFunc(time.Second, func() { l.append(2) })
		p, took = poll(revocation.Cursor{Incarnation: incarnation, Seq: 3}, 7*time.Second)
		if p.Snapshot || p.Seq != 5 || len(p.Entries) != 2 || took != time.Second {
			t.Errorf("something new: %+v after %v", p, took)
		}
		l.forget(4)
		p, _ = poll(revocation.Cursor{Incarnation: incarnation, Seq: 3}, 7*time.Second)
		if !p.Snapshot || p.Seq != 5 || len(p.Entries) != 1 {
			t.Errorf("forgotten: %+v", p)
		}
	})
}
