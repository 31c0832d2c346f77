package dpop

import (
	"crypto/sha256"
	"errors"
	"sync"
)

// What Add refuses.
var (
	ErrReplayed = errors.New("the proof was seen before")
	ErrFull     = errors.New("no room for more proofs")
)

const seenShards = 16

// Seen remembers the marks of proofs for as long as they could be sent again. It
// forgets none before its time: when it is full, new ones are refused. It is safe
// for concurrent use.
type Seen struct{ shards [seenShards]seenShard }

// mark is enough of a digest that no two proofs share one.
type mark [16]byte

type seenShard struct {
	mu    sync.Mutex // guards the fields below
	max   int
	until map[mark]int64
	due   map[int64][]mark // by the second in which they may go
	swept int64            // seconds before this one are not in due
}

// NewSeen returns a Seen for about max proofs.
func NewSeen(max int) *Seen {
	s := &Seen{}
	for i := range s.shards {
		s.shards[i].max = max/seenShards + 1
	}
	return s
}

// Add remembers a mark up to the second until, as seen at the second now. A mark
// that is remembered gives ErrReplayed. until is not far ahead of now: the
// seconds between are gone through one by one.
func (s *Seen) Add(digest [sha256.Size]byte, until, now int64) error {
	m := mark(digest[:len(mark{})])
	sh := &s.shards[m[0]%seenShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.until == nil {
		sh.until, sh.due, sh.swept = make(map[mark]int64), make(map[int64][]mark), now
	}
	sh.sweep(now)
	if known, ok := sh.until[m]; ok && now < known {
		return ErrReplayed
	}
	if until <= now {
		return nil // it cannot come again
	}
	if len(sh.until) >= sh.max {
		return ErrFull
	}
	sh.until[m] = until
	due := max(until, sh.swept) // unless the clock was set back, until
	sh.due[due] = append(sh.due[due], m)
	return nil
}

// sweep forgets what is due.
func (sh *seenShard) sweep(now int64) {
	if now-sh.swept > int64(len(sh.due)) {
		// After a pause there are fewer marks than seconds.
		for second := range sh.due {
			sh.forget(second, now)
		}
		sh.swept = now + 1
		return
	}
	for ; sh.swept <= now; sh.swept++ {
		sh.forget(sh.swept, now)
	}
}

func (sh *seenShard) forget(second, now int64) {
	if second > now {
		return
	}
	for _, m := range sh.due[second] {
		if sh.until[m] <= now {
			delete(sh.until, m)
		}
	}
	delete(sh.due, second)
}
