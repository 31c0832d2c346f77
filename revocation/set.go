package revocation

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
)

// set is an exact set of ids of one kind. Ids are only ever added and expire: there is no way to take a
// revocation back, so a reader can never meet a moment in which a revoked id is missing.
type set struct {
	size   atomic.Int64
	shards [shardCount]shard
}

const shardCount = 256

type shard struct {
	mu    sync.RWMutex
	marks map[ID]mark
	peak  int      // most entries since marks was made: a map does not shrink by itself
	_     [24]byte // fills the cache line, so that two cores do not fight over neighbours
}

// mark is what is kept per id: 8 bytes beside the 16 of the id.
type mark struct {
	until  uint32 // Unix seconds; 0 is never
	reason uint16 // index into reasons
}

func (m mark) expired(horizon uint32) bool { return m.until != 0 && m.until < horizon }

// longer reports whether m is kept longer than other.
func (m mark) longer(other mark) bool {
	return other.until != 0 && (m.until == 0 || m.until > other.until)
}

func (s *set) shard(id ID) *shard {
	// Ids are time-ordered in front and random behind; folding the halves spreads either.
	h := binary.LittleEndian.Uint64(id[:8]) ^ bits.ReverseBytes64(binary.LittleEndian.Uint64(id[8:]))
	return &s.shards[(h*0x9e3779b97f4a7c15)>>56]
}

func (s *set) get(id ID) (mark, bool) {
	// A reader that sees 0 while the first id is being added also sees the epoch from before it.
	if s.size.Load() == 0 {
		return mark{}, false
	}
	sh := s.shard(id)
	sh.mu.RLock()
	m, ok := sh.marks[id]
	sh.mu.RUnlock()
	return m, ok
}

// add reports whether the id is new. An id that is there keeps the later of the two ends.
func (s *set) add(id ID, m mark) bool {
	sh := s.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if old, ok := sh.marks[id]; ok {
		if m.longer(old) {
			sh.marks[id] = m
		}
		return false
	}
	if sh.marks == nil {
		sh.marks = make(map[ID]mark)
	}
	sh.marks[id] = m
	sh.peak = max(sh.peak, len(sh.marks))
	s.size.Add(1)
	return true
}

// sweep removes what has expired from one shard and gives memory back after a peak.
func (s *set) sweep(i int, horizon uint32) (removed int) {
	sh := &s.shards[i]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for id, m := range sh.marks {
		if m.expired(horizon) {
			delete(sh.marks, id)
			removed++
		}
	}
	s.size.Add(-int64(removed))
	if left := len(sh.marks); sh.peak > 64 && left < sh.peak/4 {
		kept := make(map[ID]mark, left)
		for id, m := range sh.marks {
			kept[id] = m
		}
		sh.marks, sh.peak = kept, left
	}
	return removed
}

// bytes estimates the memory of the maps from their peaks: 24 bytes a slot and a byte of control, at most
// 7/8 full, slots in powers of two.
func (s *set) bytes() int {
	total := 0
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.RLock()
		if sh.peak > 0 {
			slots := max(8, 1<<bits.Len(uint(sh.peak*8/7-1)))
			total += 48 + slots*25
		}
		sh.mu.RUnlock()
	}
	return total
}
