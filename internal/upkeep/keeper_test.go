package upkeep_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/upkeep"
)

var errDisk = errors.New("disk failed")

// table is a store whose sweeps are counted by the node that asked.
type table struct {
	mu     sync.Mutex
	lease  authority.Lease
	work   int // slices that are left
	sweeps map[string]int
	times  []time.Time // that sweeps were asked for
	broken bool
}

// seat is the table as one node sees it.
type seat struct {
	*table
	node string
}

func (t *table) Lease(context.Context, string) (authority.Lease, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lease, t.failure()
}

func (t *table) failure() error {
	if t.broken {
		return errDisk
	}
	return nil
}

func (t *table) MoveLease(_ context.Context, l authority.Lease) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.Turn != t.lease.Turn {
		return authority.ErrConflict
	}
	l.Turn++
	t.lease = l
	return t.failure()
}

func (s seat) Sweep(_ context.Context, now time.Time, _ time.Duration, _ int) (authority.Swept, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweeps[s.node]++
	s.times = append(s.times, now)
	s.work = max(0, s.work-1)
	return authority.Swept{Tokens: 1, More: s.work > 0}, s.failure()
}

func (t *table) Backlog(_ context.Context, now time.Time, _ time.Duration, limit int) ([]authority.Due, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := authority.Due{Kind: "token", Rows: min(t.work, limit)}
	if t.work > 0 {
		d.Oldest = now.Add(-time.Hour)
	}
	return []authority.Due{d}, t.failure()
}

// swept returns who has swept since it was last asked, and how often.
func (t *table) swept() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	done := t.sweeps
	t.sweeps = map[string]int{}
	return done
}

// start runs a keeper until stop is called.
func start(t *testing.T, at *table, node string, skew time.Duration) (k *upkeep.Keeper, stop func()) {
	t.Helper()
	k = upkeep.New(upkeep.Config{
		Store: seat{at, node}, Node: node, Now: func() time.Time { return time.Now().Add(skew) }, Logger: slog.New(slog.DiscardHandler),
		Swept: func(authority.Swept) {},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		k.Run(ctx)
		close(done)
	}()
	return k, sync.OnceFunc(func() {
		cancel()
		<-done
	})
}

// alone wants one node, and no other, to have swept in each of the rounds.
func alone(t *testing.T, what string, at *table, node string, rounds int) {
	t.Helper()
	at.swept()
	time.Sleep(time.Duration(rounds) * upkeep.Every)
	synctest.Wait()
	if got := at.swept(); len(got) != 1 || got[node] != rounds {
		t.Errorf("%s: swept %v, want %d times %s", what, got, rounds, node)
	}
}

func TestKeeper_OneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &table{sweeps: map[string]int{}}
		a, stopA := start(t, at, "a", 0)
		time.Sleep(upkeep.Every / 2)
		// A clock that is years off changes nothing.
		b, stopB := start(t, at, "b", 5*365*24*time.Hour)
		defer stopB()
		time.Sleep(upkeep.Every)
		synctest.Wait()
		alone(t, "two nodes", at, "a", 20)
		if !a.Status().Holds || b.Status().Holds || b.Status().Lease.Holder != "a" || b.Status().Lease.RanAt.IsZero() {
			t.Errorf("a: %+v, b: %+v", a.Status(), b.Status())
		}
		stopA()
		time.Sleep(upkeep.Every)
		synctest.Wait()
		alone(t, "one was stopped, and the next round is the other's", at, "b", 20)
		if !b.Status().Holds {
			t.Error("b does not know that it has the lease")
		}
		c, stopC := start(t, at, "c", -5*365*24*time.Hour)
		defer stopC()
		alone(t, "one more came, whose clock is behind", at, "b", 20)
		if c.Status().Holds {
			t.Error("c believes that it has the lease")
		}
	})
}

// A node that died is followed by another, after a few rounds and not before.
func TestKeeper_TakesOverFromTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &table{sweeps: map[string]int{}, lease: authority.Lease{Task: authority.TaskUpkeep, Holder: "dead", Turn: 17}}
		b, stop := start(t, at, "b", 0)
		defer stop()
		time.Sleep(3*upkeep.Every + time.Second)
		if got := at.swept(); len(got) != 0 {
			t.Errorf("swept %v while the lease may be alive", got)
		}
		time.Sleep(upkeep.Every)
		synctest.Wait()
		if got := at.swept(); got["b"] != 1 || !b.Status().Holds {
			t.Errorf("swept %v, %+v", got, b.Status())
		}
		// The one that was thought dead comes back: it sees that it has lost the lease.
		at.mu.Lock()
		at.lease.Holder = "dead"
		at.lease.Turn++
		at.mu.Unlock()
		time.Sleep(upkeep.Every)
		synctest.Wait()
		if got := at.swept(); got["b"] != 0 || b.Status().Holds {
			t.Errorf("after it lost the lease it swept %v", got)
		}
	})
}

// A round is bounded, what is left is told, and a store that fails ends nothing.
func TestKeeper_RoundsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &table{sweeps: map[string]int{}, work: 120}
		began := time.Now()
		k, stop := start(t, at, "a", 0)
		defer stop()
		time.Sleep(upkeep.Every + time.Second)
		if got := at.swept()["a"]; got != 50 {
			t.Errorf("one round made %d slices, want 50", got)
		}
		due := k.Status().Due
		if len(due) != 1 || due[0].Rows != 70 || due[0].From.IsZero() {
			t.Errorf("what is left: %+v", due)
		}
		for _, asked := range at.times {
			if want := began.Add(upkeep.Every - 2*time.Minute); !asked.Equal(want) {
				t.Errorf("sweeps what expired before %v, want %v", asked, want)
			}
		}
		at.mu.Lock()
		at.broken = true
		at.mu.Unlock()
		time.Sleep(5 * upkeep.Every)
		at.mu.Lock()
		at.broken = false
		at.mu.Unlock()
		at.swept()
		time.Sleep(3 * upkeep.Every)
		synctest.Wait()
		if due := k.Status().Due; at.work != 0 || len(due) != 1 || due[0].Rows != 0 {
			t.Errorf("%d slices are left, %+v", at.work, due)
		}
		if !slices.IsSortedFunc(at.times, time.Time.Compare) {
			t.Error("sweeps went back in time")
		}
	})
}
