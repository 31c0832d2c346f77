package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/redistest"
	"github.com/jetonhq/jeton/internal/store/redis"
)

// load issues tokens and makes tickets from many sides until it is ended.
type load struct {
	mu     sync.Mutex
	issued []authority.Token // guarded by mu, as are those below
	proofs []authority.Ticket
	failed int

	end func()
}

func start(t *testing.T, s *redis.Store, g authority.Grant) *load {
	l := &load{}
	stop := make(chan struct{})
	var work sync.WaitGroup
	l.end = sync.OnceFunc(func() {
		close(stop)
		work.Wait()
	})
	t.Cleanup(l.end)
	for caller := range 8 {
		work.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				v, err := issue(t, s, g)
				p := ticket(fmt.Sprintf("%d-%d", caller, n), time.Now())
				made := s.CreateTicket(t.Context(), p, time.Now())
				l.mu.Lock()
				if err == nil {
					l.issued = append(l.issued, v)
				} else {
					l.failed++
				}
				if made == nil {
					l.proofs = append(l.proofs, p)
				}
				l.mu.Unlock()
				if err != nil && !errors.Is(err, authority.ErrBusy) {
					t.Errorf("issue: %v", err)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	return l
}

func (l *load) counts() (issued, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.issued), l.failed
}

// failOver takes a primary away under load, and holds what comes back to what was
// answered.
func failOver(t *testing.T, s *redis.Store, lose func()) {
	g := standing(t, s, "robot")
	l := start(t, s, g)
	enough := func(n int) func() bool {
		return func() bool { issued, _ := l.counts(); return issued >= n }
	}
	eventually(t, "tokens are issued", enough(200))
	var revoked []authority.Token
	for range 20 {
		v, err := issue(t, s, g)
		must(t, err)
		_, err = s.Revoke(t.Context(), revocation(authority.Revocation{Token: &v}))
		must(t, err)
		revoked = append(revoked, v)
	}
	lose()
	eventually(t, "calls fail", func() bool { _, failed := l.counts(); return failed > 0 })
	before, _ := l.counts()
	eventually(t, "the store is ready again", func() bool { return s.Ready(t.Context(), time.Now()) == nil })
	eventually(t, "tokens are issued again", enough(before+200))
	l.end()

	if got := registered(t, s, revoked...); len(got) != 0 {
		t.Errorf("%d of %d revoked tokens are accepted", len(got), len(revoked))
	}
	known := 0
	for v := range chunks(l.issued, 200) {
		for _, state := range registered(t, s, v...) {
			known++
			if state.GrantEnded {
				t.Error("a live grant has ended")
			}
		}
	}
	for _, p := range l.proofs {
		if err := s.CreateTicket(t.Context(), p, time.Now()); err == nil {
			t.Fatalf("a ticket was made a second time: %s", p.Key)
		}
	}
	_, failed := l.counts()
	t.Logf("%d of %d tokens are known, %d calls failed meanwhile, %d tickets", known, len(l.issued), failed, len(l.proofs))
	if len(l.proofs) == 0 {
		t.Error("no ticket was made: the test has no power")
	}
	if known < len(l.issued)-200 {
		t.Errorf("%d of %d tokens were lost", len(l.issued)-known, len(l.issued))
	}
}

func chunks(all []authority.Token, n int) func(func([]authority.Token) bool) {
	return func(yield func([]authority.Token) bool) {
		for len(all) > 0 {
			part := all[:min(n, len(all))]
			all = all[len(part):]
			if !yield(part) {
				return
			}
		}
	}
}

// TestCluster: of six processes one primary is killed, and its replica takes over.
func TestCluster(t *testing.T) {
	c := redistest.StartCluster(t)
	s := open(t, redis.Config{URL: c.URL(), Prefix: "c:"})
	servers, err := s.Servers(t.Context())
	if must(t, err); len(servers) != 3 {
		t.Errorf("got %d primaries, want 3: %+v", len(servers), servers)
	}
	failOver(t, s, c.Servers[0].Kill)
	for i, server := range c.Servers[1:4] {
		size := server.Do("DBSIZE")
		if n, err := size.AsInt64(); err != nil || n < 50 {
			t.Errorf("server %d has %d keys, %v: they are not spread", i+1, n, err)
		}
	}
	// A question about many is one to all of them.
	g := standing(t, s, "robot")
	var batch []authority.Token
	for range 50 {
		v, err := issue(t, s, g)
		must(t, err)
		batch = append(batch, v)
	}
	if got := registered(t, s, batch...); len(got) != len(batch) {
		t.Errorf("got %d of %d tokens", len(got), len(batch))
	}
}

// TestSentinel: the primary is killed, and the Sentinels make its replica one.
func TestSentinel(t *testing.T) {
	c := redistest.StartSentinels(t)
	s := open(t, redis.Config{URL: c.URL(), Prefix: "s:"})
	failOver(t, s, c.Primary.Kill)
	if !strings.Contains(c.Replica.Text("INFO", "replication"), "role:master") {
		t.Error("the replica is no primary")
	}
}
