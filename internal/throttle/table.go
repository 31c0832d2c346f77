package throttle

import (
	"hash/maphash"
	"sync"
	"time"
)

// Limit says how failures of one key are answered.
type Limit struct {
	Failures int           // this many cost nothing; the last of them starts the first wait
	Delay    time.Duration // the first wait; each further failure doubles it
	MaxDelay time.Duration // the longest wait; 0 means Delay
	Window   time.Duration // a key that failed (or waited) last this long ago starts afresh
}

// Claim is one key an attempt is counted under.
type Claim struct {
	Key   string
	Limit Limit
}

// Table counts failures by key. It is safe for concurrent use.
type Table struct {
	seed   maphash.Seed
	sets   []set
	shared *shared // nil: no other node hears of it
}

// ways is how many keys share a set. A new key pushes out the least important
// of its set.
const ways = 8

type set struct {
	mu      sync.Mutex
	entries [ways]entry // mu guards them
}

// entry is 64 bytes: the default of 65,536 of them is 4 MB.
type entry struct {
	tag     uint64 // keyed hash of the whole key; 0 is a free place
	count   uint32 // failures, or samples taken
	skipped uint32 // samples not taken since the last one that was
	last    int64  // Unix nanoseconds of the last failure
	until   int64  // Unix nanoseconds; attempts before are refused
	window  int64  // nanoseconds

	// Of a shared table.
	digest  uint64 // of the key, at all nodes; 0 before its first failure
	cleared int64  // Unix nanoseconds; what came before is forgotten
	told    bool   // others have heard of it
}

// New makes a table with room for at least the given number of keys; 0 means 65,536.
func New(keys int) *Table {
	if keys <= 0 {
		keys = 1 << 16
	}
	return &Table{seed: maphash.MakeSeed(), sets: make([]set, (keys+ways-1)/ways)}
}

// Check returns an *Error with the longest wait if any claim has to wait at
// now, and counts nothing.
func (t *Table) Check(now time.Time, claims ...Claim) error {
	var wait time.Duration
	for _, c := range claims {
		if !t.with(c.Key, now, false, func(e *entry) { wait = max(wait, t.wait(e, c, now)) }) && t.shared != nil {
			wait = max(wait, t.wait(new(entry), c, now))
		}
	}
	return refusal(wait)
}

// Fail counts a failure under every claim.
func (t *Table) Fail(now time.Time, claims ...Claim) {
	for _, c := range claims {
		t.with(c.Key, now, true, func(e *entry) { t.fail(e, c, now) })
	}
}

// Take is Check and Fail in one step: an attempt that is not refused is counted
// as a failure before its outcome is known, so that any number of concurrent
// attempts get no further than the limit. When the outcome is known, Clear or
// Refund takes it back. A refused attempt is not counted.
func (t *Table) Take(now time.Time, claims ...Claim) error {
	for i, c := range claims {
		var wait time.Duration
		t.with(c.Key, now, true, func(e *entry) {
			if wait = t.wait(e, c, now); wait <= 0 {
				t.fail(e, c, now)
			}
		})
		if wait > 0 {
			t.Refund(now, claims[:i]...)
			return refusal(wait)
		}
	}
	return nil
}

// Refund takes one counted failure back under every claim.
func (t *Table) Refund(now time.Time, claims ...Claim) {
	for _, c := range claims {
		t.with(c.Key, now, false, func(e *entry) {
			if e.count > 0 {
				e.count--
				e.until = 0
				// What is still over the limit waits from its last failure, as if this one had not been.
				if n := int(e.count); n >= c.Limit.Failures {
					e.until = e.last + int64(c.Limit.delay(n))
				}
			}
		})
	}
}

// Clear forgets the keys.
func (t *Table) Clear(now time.Time, keys ...string) {
	for _, k := range keys {
		elsewhere := t.others(k, 0).failures > 0
		t.with(k, now, elsewhere, func(e *entry) {
			if told := e.told || elsewhere; !told {
				*e = entry{}
				return
			}
			at := now.UnixNano()
			*e = entry{tag: e.tag, digest: t.shared.digest(k), cleared: at, last: at, window: int64(clearedFor)}
		})
	}
}

// Sample reports whether one more event of this key may be written: at most n
// in every period. skipped is the number of those refused since the last one
// that was let through.
func (t *Table) Sample(now time.Time, key string, n int, every time.Duration) (skipped int, ok bool) {
	t.with(key, now, true, func(e *entry) {
		if now.UnixNano() >= e.until {
			e.count, e.until = 0, now.Add(every).UnixNano()
		}
		// The tally of what was skipped outlives the period by a day.
		e.last, e.window = now.UnixNano(), int64(max(every, 24*time.Hour))
		if int(e.count) >= n {
			e.skipped++
			return
		}
		e.count++
		skipped, ok = int(e.skipped), true
		e.skipped = 0
	})
	return skipped, ok
}

func (t *Table) fail(e *entry, c Claim, now time.Time) {
	t.heed(e, c.Key)
	e.fail(now, c.Limit)
	if t.shared != nil && e.digest == 0 {
		e.digest = t.shared.digest(c.Key)
	}
}

// with runs f on the key's entry. When there is none, f runs on a new one if
// add is set, and not at all otherwise, which it reports.
func (t *Table) with(key string, now time.Time, add bool, f func(*entry)) bool {
	tag := maphash.String(t.seed, key)
	if tag == 0 {
		tag = 1
	}
	s := &t.sets[tag%uint64(len(t.sets))]
	s.mu.Lock()
	defer s.mu.Unlock()
	victim := &s.entries[0]
	for i := range s.entries {
		e := &s.entries[i]
		if e.tag != 0 && e.over(now) {
			*e = entry{}
		}
		if e.tag == tag {
			f(e)
			return true
		}
		if e.lighter(victim) {
			victim = e
		}
	}
	if add {
		*victim = entry{tag: tag}
		f(victim)
	}
	return add
}

// over reports whether the entry has nothing left to say.
func (e *entry) over(now time.Time) bool {
	return now.UnixNano()-max(e.last, e.until) > e.window
}

// lighter reports whether e is the better one to push out: few failures first,
// so that noise cannot wash out the count of a key under attack, then old ones.
func (e *entry) lighter(than *entry) bool {
	switch {
	case (e.tag == 0) != (than.tag == 0):
		return e.tag == 0
	case e.count != than.count:
		return e.count < than.count
	default:
		return e.last < than.last
	}
}

func (e *entry) wait(now time.Time) time.Duration {
	return max(0, time.Duration(e.until-now.UnixNano()))
}

func (e *entry) fail(now time.Time, l Limit) {
	e.count++
	e.last, e.window = now.UnixNano(), int64(l.Window)
	if n := int(e.count); n >= l.Failures {
		e.until = max(e.until, now.Add(l.delay(n)).UnixNano())
	}
}

// delay is the wait after the nth failure.
func (l Limit) delay(n int) time.Duration {
	d := l.Delay
	for range min(n-l.Failures, 40) {
		if d *= 2; d >= l.MaxDelay {
			break
		}
	}
	return min(d, max(l.MaxDelay, l.Delay))
}

func refusal(wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	return &Error{RetryAfter: wait}
}
