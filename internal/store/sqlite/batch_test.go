package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

// held keeps the writer busy until the returned function is called, so that
// what is enqueued meanwhile becomes one batch.
func held(t *testing.T, s *Store) (release func()) {
	t.Helper()
	running, released := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.write(context.Background(), "hold", func(*tx) error {
			close(running)
			<-released
			return nil
		})
	}()
	<-running
	return sync.OnceFunc(func() { close(released) })
}

// enqueue hands a call to the writer and returns how to wait for its answer.
// Calls are run in the order in which they were enqueued.
func enqueue(t *testing.T, s *Store, run func(*tx) error) (wait func() error) {
	t.Helper()
	o := &op{run: run, done: make(chan struct{})}
	if err := s.writer.enqueue(o); err != nil {
		t.Fatal(err)
	}
	return func() error {
		<-o.done
		return o.err
	}
}

// queued waits until n calls stand in the queue.
func queued(t *testing.T, s *Store, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		s.writer.mu.Lock()
		got := len(s.writer.queue)
		s.writer.mu.Unlock()
		if got == n {
			return
		}
	}
	t.Fatalf("the queue never held %d calls", n)
}

// One call fails for a reason of its own: the others of its batch are committed,
// and nothing of it is left.
func TestBatch_OneFails(t *testing.T) {
	broken := errors.New("broken")
	for name, fails := range map[string]error{
		"unexpected error":          broken,
		"refusal after it had done": authority.ErrConflict,
	} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			g := standingGrants(t, s, 1)[0]
			now := time.Now()
			release := held(t, s)
			var tokens []authority.Token
			var waits []func() error
			for range 9 {
				v := newToken(g.ID, now, time.Minute)
				tokens = append(tokens, v)
				bad := len(tokens) == 5
				waits = append(waits, enqueue(t, s, func(t *tx) error {
					if err := issueToken(t, v, g.ID, nil, columns.Millis(now)); err != nil {
						return err
					}
					if bad {
						return fails
					}
					return nil
				}))
			}
			release()
			for i, wait := range waits {
				err := wait()
				if i == 4 && !errors.Is(err, fails) || i != 4 && err != nil {
					t.Errorf("call %d: got %v", i, err)
				}
				found, err := s.Tokens(t.Context(), []secret.ID{tokens[i].ID})
				if err != nil {
					t.Fatal(err)
				}
				if got, want := len(found) == 1, i != 4; got != want {
					t.Errorf("call %d: got registered %v, want %v", i, got, want)
				}
			}
		})
	}
}

// A plain refusal does not cost the batch anything: each call runs once.
func TestBatch_RefusalsRunOnce(t *testing.T) {
	s := openTest(t)
	g := standingGrants(t, s, 1)[0]
	now := time.Now()
	release := held(t, s)
	var runs atomic.Int64
	var waits []func() error
	for i := range 10 {
		grant := g.ID
		if i%2 == 1 {
			grant = secret.NewID(now)
		}
		waits = append(waits, enqueue(t, s, func(t *tx) error {
			runs.Add(1)
			return issueToken(t, newToken(grant, now, time.Minute), grant, nil, columns.Millis(now))
		}))
	}
	release()
	for i, wait := range waits {
		if err := wait(); errors.Is(err, authority.ErrEnded) != (i%2 == 1) {
			t.Errorf("call %d: got %v", i, err)
		}
	}
	if n := runs.Load(); n != 10 {
		t.Errorf("got %d runs of 10 calls", n)
	}
}

// Calls that wait are committed together, and no more than maxBatch at once.
func TestBatch_Sizes(t *testing.T) {
	sizes := make(chan int, 16)
	s, err := Open(t.Context(), Config{Path: t.TempDir() + "/jeton.db", OnCommit: func(ops int, _ time.Duration) { sizes <- ops }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	release := held(t, s)
	var waits []func() error
	for range maxBatch + 3 {
		waits = append(waits, enqueue(t, s, func(t *tx) error {
			_, err := t.exec(sqlWriteReady, int64(1))
			return err
		}))
	}
	release()
	for _, wait := range waits {
		if err := wait(); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := fmt.Sprint(<-sizes, <-sizes, <-sizes), fmt.Sprint(1, maxBatch, 3); got != want {
		t.Errorf("got commits of %s calls, want %s", got, want)
	}
}

func TestQueue_Full(t *testing.T) {
	s, err := Open(t.Context(), Config{Path: t.TempDir() + "/jeton.db", MaxQueue: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	release := held(t, s)
	defer release()
	answers := make(chan error, 4)
	for range 4 {
		go func() { answers <- s.Ready(context.Background(), time.Now()) }()
	}
	queued(t, s, 4)
	if err := s.Ready(t.Context(), time.Now()); !errors.Is(err, authority.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	release()
	for range 4 {
		if err := <-answers; err != nil {
			t.Errorf("a call that had a place: %v", err)
		}
	}
}

// A caller that gives up while it waits is not written, and its place is not
// waited for.
func TestQueue_GivesUp(t *testing.T) {
	s := openTest(t)
	g := standingGrants(t, s, 1)[0]
	release := held(t, s)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	v := newToken(g.ID, time.Now(), time.Minute)
	answer := make(chan error)
	go func() { answer <- s.Issue(ctx, authority.Issue{Token: v, Now: time.Now()}) }()
	queued(t, s, 1)
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want it to give up at once", err)
	}
	release()
	if err := s.Ready(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Tokens(t.Context(), []secret.ID{v.ID}); err != nil || len(found) != 0 {
		t.Errorf("got %d tokens, %v", len(found), err)
	}
}

// A reader that comes between a commit and what the cache is told of it has
// read the new row already: it must not be changed a second time.
func TestGrantCache_OfferBetweenCommitAndChange(t *testing.T) {
	s := openTest(t)
	g := standingGrants(t, s, 1)[0]
	now := time.Now()
	release := held(t, s)
	between := enqueue(t, s, func(t *tx) error {
		t.after = append(t.after, func() {
			if g, err := s.Grant(context.Background(), g.ID); err != nil || g.Generation != 1 {
				panic(fmt.Sprint("the reader is not between commit and change: ", g.Generation, err))
			}
		})
		return nil
	})
	answer := make(chan error)
	go func() {
		answer <- s.Rotate(context.Background(), authority.Rotation{
			Grant: g.ID, Token: newToken(g.ID, now, time.Minute), Now: now, IdleUntil: now.Add(time.Hour),
		})
	}()
	queued(t, s, 2)
	release()
	if err := errors.Join(between(), <-answer); err != nil {
		t.Fatal(err)
	}
	got, err := s.Grant(t.Context(), g.ID)
	if err != nil || got.Generation != 1 {
		t.Errorf("got generation %d, %v after one rotation", got.Generation, err)
	}
}
