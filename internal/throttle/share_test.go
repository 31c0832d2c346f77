package throttle_test

import (
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/throttle"
)

var (
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	claim = throttle.Claim{Key: "login ada", Limit: throttle.Limit{Failures: 4, Delay: time.Second, MaxDelay: time.Minute, Window: time.Hour}}
)

// tell has every table hear of all others.
func tell(t *testing.T, now time.Time, tables ...*throttle.Table) {
	t.Helper()
	for _, to := range tables {
		var reports [][]byte
		for _, from := range tables {
			if from != to {
				reports = append(reports, from.Report(now))
			}
		}
		if err := to.Hear(reports...); err != nil {
			t.Fatal(err)
		}
	}
}

func three() []*throttle.Table {
	key := []byte("the same at all nodes")
	return []*throttle.Table{throttle.NewShared(0, key), throttle.NewShared(0, key), throttle.NewShared(0, key)}
}

// Failures count wherever they were made, and each further one doubles the wait.
func TestShared_CountTogether(t *testing.T) {
	nodes := three()
	now := start
	for i, n := range []int{2, 1, 1} {
		for range n {
			nodes[i].Fail(now, claim)
		}
	}
	for i, n := range nodes {
		if err := n.Check(now, claim); err != nil {
			t.Errorf("node %d, before it heard: %v", i, err)
		}
	}
	tell(t, now, nodes...)
	for i, n := range nodes {
		if err := n.Take(now, claim); err == nil {
			t.Errorf("node %d judges a fifth", i)
		}
		if err := n.Check(now.Add(1001*time.Millisecond), claim); err != nil {
			t.Errorf("node %d, after the wait: %v", i, err)
		}
	}
	now = now.Add(2 * time.Second)
	nodes[0].Fail(now, claim)
	tell(t, now, nodes...)
	for i, n := range nodes {
		if n.Check(now.Add(1500*time.Millisecond), claim) == nil || n.Check(now.Add(2001*time.Millisecond), claim) != nil {
			t.Errorf("node %d: the wait is not 2 s", i)
		}
	}
	other := claim
	other.Key = "login bob"
	if err := nodes[1].Check(now, other); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	now = now.Add(2 * time.Hour)
	tell(t, now, nodes...)
	if nodes[0].Report(now) != nil || nodes[1].Heard() != 0 {
		t.Error("there is something to tell after the window")
	}
}

// A success at one node has all forget what was before it, and nothing after it.
func TestShared_Cleared(t *testing.T) {
	nodes := three()
	now := start
	for range 3 {
		nodes[0].Fail(now, claim)
		nodes[1].Fail(now, claim)
	}
	tell(t, now, nodes...)
	now = now.Add(40 * time.Second)
	nodes[2].Clear(now, claim.Key)
	if err := nodes[2].Check(now, claim); err != nil {
		t.Errorf("where it was cleared: %v", err)
	}
	tell(t, now, nodes...)
	now = now.Add(time.Millisecond)
	nodes[1].Fail(now, claim)
	tell(t, now, nodes...)
	for i, n := range nodes {
		if err := n.Check(now, claim); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	for range 3 {
		nodes[0].Fail(now, claim)
	}
	tell(t, now, nodes...)
	for i, n := range nodes {
		if n.Check(now, claim) == nil {
			t.Errorf("node %d forgot what came after", i)
		}
	}
}

// Reports are bounded, and what counts most is in them. Nothing in them is a login.
func TestShared_Bounded(t *testing.T) {
	nodes := three()
	for i := range 20_000 {
		c := claim
		c.Key = "login " + time.Duration(i).String()
		nodes[0].Fail(start, c)
	}
	for range 5 {
		nodes[0].Fail(start.Add(-time.Minute), claim)
	}
	report := nodes[0].Report(start)
	if len(report) > 200<<10 {
		t.Errorf("a report of %d bytes", len(report))
	}
	tell(t, start, nodes...)
	if got := nodes[1].Heard(); got != 4096 {
		t.Errorf("%d keys were heard of, want 4096", got)
	}
	if nodes[1].Check(start.Add(-time.Minute), claim) == nil {
		t.Error("the key with the most failures is not in it")
	}
	if err := nodes[1].Hear([]byte("short")); err == nil {
		t.Error("half a report is taken")
	}
}
