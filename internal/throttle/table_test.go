package throttle

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func limit(failures int) Limit {
	return Limit{Failures: failures, Delay: time.Second, MaxDelay: 8 * time.Second, Window: time.Minute}
}

func waitOf(t *testing.T, err error) time.Duration {
	t.Helper()
	if err == nil {
		return 0
	}
	throttled, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("err = %v, want an *Error", err)
	}
	return throttled.RetryAfter
}

// The wait starts with the last free failure and doubles up to its maximum.
func TestTake_DelayGrows(t *testing.T) {
	table, c := New(64), Claim{"k", limit(3)}
	now := start
	for i, want := range []time.Duration{0, 0, 1, 2, 4, 8, 8, 8} {
		if err := table.Take(now, c); err != nil {
			t.Fatalf("attempt %d was refused: %v", i+1, err)
		}
		if got := waitOf(t, table.Check(now, c)); got != want*time.Second {
			t.Errorf("after %d failures: wait %v, want %v", i+1, got, want*time.Second)
		}
		if want > 0 {
			if waitOf(t, table.Take(now.Add(want*time.Second-1), c)) != 1 {
				t.Errorf("after %d failures: not refused until the end of the wait", i+1)
			}
		}
		now = now.Add(want * time.Second)
	}
	if waitOf(t, table.Take(now.Add(-time.Second), c)) == 0 {
		t.Fatal("not refused before the wait was over")
	}
	now = now.Add(time.Minute + time.Nanosecond)
	for i := range 3 {
		if err := table.Take(now, c); err != nil {
			t.Errorf("after the window, attempt %d was refused", i+1)
		}
	}
}

func TestClearAndRefund(t *testing.T) {
	table, a, b := New(64), Claim{"a", limit(2)}, Claim{"b", limit(1)}
	for range 2 {
		table.Fail(start, a)
	}
	table.Refund(start, a)
	if err := table.Check(start, a); err != nil {
		t.Error("a refunded failure still counts")
	}
	table.Fail(start, a)
	if table.Check(start, a) == nil {
		t.Fatal("two failures do not make it wait")
	}
	table.Clear(start, "a")
	if err := table.Check(start, a); err != nil {
		t.Error("a cleared key still waits")
	}
	// A refused attempt is not counted under the claims before the one that refused it.
	table.Fail(start, b)
	for range 5 {
		if table.Take(start, a, b) == nil {
			t.Fatal("b does not refuse")
		}
	}
	if err := table.Take(start, a); err != nil {
		t.Error("refused attempts were counted under the other claim")
	}
}

// Any number of concurrent attempts get no further than the limit.
func TestTake_Concurrent(t *testing.T) {
	table, c := New(64), Claim{"k", limit(5)}
	var passed atomic.Int64
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if table.Take(start, c) == nil {
				passed.Add(1)
			}
		})
	}
	group.Wait()
	if got := passed.Load(); got != 5 {
		t.Errorf("%d of 100 concurrent attempts passed, want 5", got)
	}
}

// A flood of made-up keys does not wash out a key under attack, and takes no memory.
func TestTable_BoundedAndHeavyKeysStay(t *testing.T) {
	table, attacked := New(1024), Claim{"attacked", limit(5)}
	now := start
	for range 8 {
		table.Fail(now, attacked)
	}
	places := len(table.sets) * ways
	for i := range 200_000 {
		table.Fail(now, Claim{fmt.Sprint("noise ", i), limit(5)})
	}
	if table.Check(now, attacked) == nil {
		t.Error("noise made the table forget the key under attack")
	}
	if got := len(table.sets) * ways; got != places || places < 1024 || places > 1024+ways {
		t.Errorf("places = %d, then %d; want 1024, always", places, got)
	}
	if n := testing.AllocsPerRun(100, func() { table.Fail(now, Claim{"new", limit(5)}) }); n > 1 {
		t.Errorf("a failure allocates %v times", n)
	}
}

func TestSample(t *testing.T) {
	table := New(64)
	sample := func(after time.Duration, wantSkipped int, wantOK bool) {
		t.Helper()
		if skipped, ok := table.Sample(start.Add(after), "k", 2, time.Minute); ok != wantOK || skipped != wantSkipped {
			t.Errorf("after %v: %d, %v; want %d, %v", after, skipped, ok, wantSkipped, wantOK)
		}
	}
	sample(0, 0, true)
	sample(1, 0, true)
	sample(2, 0, false)
	sample(3, 0, false)
	sample(59*time.Second, 0, false)
	sample(61*time.Second, 3, true)
	sample(62*time.Second, 0, true)
	sample(63*time.Second, 0, false)
}

// Against a model without bounds: the same answers, for a few keys in a large table.
func TestTable_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type state struct {
			count       int
			last, until time.Time
		}
		table, l, now := New(1<<12), limit(3), start
		model := map[string]*state{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 9_000).Draw(t, "ms")) * time.Millisecond)
			key := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
			m := model[key]
			if m == nil || now.Sub(m.last) > l.Window && now.Sub(m.until) > l.Window {
				m = &state{}
				model[key] = m
			}
			if rapid.IntRange(0, 9).Draw(t, "clear") == 0 {
				table.Clear(now, key)
				delete(model, key)
				continue
			}
			err := table.Take(now, Claim{key, l})
			if refused := now.Before(m.until); (err != nil) != refused {
				t.Fatalf("key %s with %d failures: refused = %v, want %v", key, m.count, err != nil, refused)
			}
			if err == nil {
				m.count++
				m.last = now
				if m.count >= l.Failures {
					m.until = now.Add(min(l.MaxDelay, l.Delay<<(m.count-l.Failures)))
				}
			}
		}
	})
}

func TestError_Seconds(t *testing.T) {
	for wait, want := range map[time.Duration]string{1: "1", time.Second: "1", time.Second + 1: "2", 90 * time.Second: "90"} {
		if got := (&Error{wait}).Header(); got != want {
			t.Errorf("Retry-After for %v = %s, want %s", wait, got, want)
		}
	}
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.77":                       "192.0.2.0/24",
		"::ffff:192.0.2.77":                "192.0.2.0/24",
		"2001:db8:1:2345:6789::1":          "2001:db8:1:2300::/56",
		"fe80::1%eth0":                     "fe80::/56",
		"::1":                              "::/56",
		"ffff:ffff:ffff:ffff:ffff:ffff::1": "ffff:ffff:ffff:ff00::/56",
	} {
		if got := Network(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Network(%s) = %q, want %q", addr, got, want)
		}
	}
	if got := Network(netip.Addr{}); got != "" {
		t.Errorf("Network of no address = %q", got)
	}
}
