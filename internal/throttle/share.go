package throttle

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// A report holds this many keys, those with the most failures.
const (
	maxReported = 4096
	reportSize  = 8 + 4 + 8 + 8 // of a key
)

// Success is told for so long, so that others forget what they counted.
const clearedFor = time.Minute

// shared is what a table has beyond its own counts.
type shared struct {
	key   []byte
	heard atomic.Pointer[map[uint64][]count] // by digest of the key; one for each node
}

// count is what a node has of a key. Times are Unix nanoseconds.
type count struct {
	digest   uint64
	failures uint32
	last     int64 // the last failure
	cleared  int64 // when all before was forgotten; 0 for never
}

// NewShared makes a table that counts together with those of other nodes, which hear
// its [Table.Report]. The key, the same at all of them, hashes what is counted, so
// that a report tells nobody who tries to sign in.
func NewShared(keys int, key []byte) *Table {
	t := New(keys)
	t.shared = &shared{key: key}
	t.shared.heard.Store(new(map[uint64][]count))
	return t
}

func (s *shared) digest(key string) uint64 {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(key))
	return max(1, binary.BigEndian.Uint64(mac.Sum(nil)))
}

// others sums up what other nodes have counted of a key since it was last forgotten
// anywhere: here at cleared.
func (t *Table) others(key string, cleared int64) count {
	sum := count{cleared: cleared}
	if t.shared == nil {
		return sum
	}
	heard := *t.shared.heard.Load()
	if len(heard) == 0 {
		return sum
	}
	counts := heard[t.shared.digest(key)]
	for _, c := range counts {
		sum.cleared = max(sum.cleared, c.cleared)
	}
	for _, c := range counts {
		if c.last >= sum.cleared {
			sum.failures += c.failures
			sum.last = max(sum.last, c.last)
		}
	}
	return sum
}

// heed is others for an entry, which forgets what was forgotten elsewhere.
func (t *Table) heed(e *entry, key string) count {
	o := t.others(key, e.cleared)
	if e.last < o.cleared {
		e.count, e.until = 0, 0
	}
	return o
}

// wait is how long the claim has to wait, with what other nodes have counted.
func (t *Table) wait(e *entry, c Claim, now time.Time) time.Duration {
	o := t.heed(e, c.Key)
	wait := e.wait(now)
	if n := int(e.count + o.failures); o.failures > 0 && n >= c.Limit.Failures {
		until := max(e.last, o.last) + int64(c.Limit.delay(n))
		wait = max(wait, time.Duration(until-now.UnixNano()))
	}
	return wait
}

// Report is what other nodes are told, at now: nil when there is nothing.
func (t *Table) Report(now time.Time) []byte {
	var counts []count
	for i := range t.sets {
		counts = t.sets[i].report(counts, now)
	}
	slices.SortFunc(counts, func(a, b count) int {
		return cmp.Or(cmp.Compare(b.failures, a.failures), cmp.Compare(b.last, a.last), cmp.Compare(a.digest, b.digest))
	})
	var report []byte
	for _, c := range counts[:min(len(counts), maxReported)] {
		report = binary.BigEndian.AppendUint64(report, c.digest)
		report = binary.BigEndian.AppendUint32(report, c.failures)
		report = binary.BigEndian.AppendUint64(report, uint64(c.last))    // #nosec G115 -- after 1970
		report = binary.BigEndian.AppendUint64(report, uint64(c.cleared)) // #nosec G115 -- after 1970
	}
	return report
}

func (s *set) report(counts []count, now time.Time) []count {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.entries {
		e := &s.entries[i]
		if e.digest == 0 || e.over(now) || e.count == 0 && e.cleared == 0 {
			continue
		}
		e.told = true
		counts = append(counts, count{e.digest, e.count, e.last, e.cleared})
	}
	return counts
}

var errReport = errors.New("throttle: not a report")

// Hear takes the reports of all other nodes, in place of those before.
func (t *Table) Hear(reports ...[]byte) error {
	heard := make(map[uint64][]count)
	for _, b := range reports {
		if len(b)%reportSize != 0 {
			return errReport
		}
		for ; len(b) > 0; b = b[reportSize:] {
			c := count{
				digest: binary.BigEndian.Uint64(b), failures: binary.BigEndian.Uint32(b[8:]),
				last:    int64(binary.BigEndian.Uint64(b[12:])), // #nosec G115 -- as reported
				cleared: int64(binary.BigEndian.Uint64(b[20:])), // #nosec G115 -- as reported
			}
			heard[c.digest] = append(heard[c.digest], c)
		}
	}
	t.shared.heard.Store(&heard)
	return nil
}

// Heard is how many keys other nodes tell of.
func (t *Table) Heard() int { return len(*t.shared.heard.Load()) }
