package seen

// The caller of these methods holds mu.

const (
	sweepEach = 2  // buckets looked at for each entry added
	sweepMost = 64 // buckets looked at when there is no room
)

// put adds e and answers how many living entries had to go.
func (sh *shard[V]) put(e *Entry[V], now int64) (evicted uint64) {
	t := sh.table.Load()
	if t == nil {
		t = newTable[V](firstTable)
		sh.table.Store(t)
	}
	if b, i, old := t.locate(e); old != nil {
		b.set(i, e)
		sh.bytes += int64(e.size) - int64(old.size)
		return 0
	}
	sh.sweep(now, sweepEach)
	for rounds := 0; sh.full(e) && rounds < 2; rounds++ {
		// First those that nobody has asked for since the hand last came by, then anyone.
		evicted += sh.sweepFor(e, now, rounds > 0)
	}
	if sh.full(e) {
		return evicted
	}
	for !t.place(e) {
		if sh.entries*4 < len(t.buckets)*ways || !sh.grow() {
			evicted += sh.displace(e, now)
		}
		t = sh.table.Load()
	}
	sh.entries++
	sh.bytes += int64(e.size)
	return evicted
}

func (sh *shard[V]) full(e *Entry[V]) bool {
	return sh.entries >= sh.maxEntries || sh.bytes+int64(e.size) > sh.maxBytes
}

// sweepFor moves the hand until there is room for e or it has been far enough. It stops between two ways of a
// bucket, so that a turn is as long as it can be and the used have time to be used again.
func (sh *shard[V]) sweepFor(e *Entry[V], now int64, anyone bool) (evicted uint64) {
	t := sh.table.Load()
	most := ways * min(sweepMost, len(t.buckets))
	for range most {
		b, i := &t.buckets[sh.hand/ways&t.mask], int(sh.hand%ways)
		sh.hand++
		other := b.ways[i].Load()
		if other == nil {
			continue
		}
		dead := now >= other.expires
		if !dead && other.used.Swap(false) && !anyone {
			continue
		}
		sh.take(b, i, other)
		if !dead {
			evicted++
		}
		if !sh.full(e) {
			break
		}
	}
	return evicted
}

// sweep removes expired entries from the next buckets.
func (sh *shard[V]) sweep(now int64, buckets int) {
	t := sh.table.Load()
	for range buckets {
		b := &t.buckets[sh.broom&t.mask]
		sh.broom++
		for i := range b.ways {
			if e := b.ways[i].Load(); e != nil && now >= e.expires {
				sh.take(b, i, e)
			}
		}
	}
}

// displace frees a way in one of e's two buckets: of an entry that has expired, else of one that has not
// been asked for, else of any.
func (sh *shard[V]) displace(e *Entry[V], now int64) (evicted uint64) {
	t := sh.table.Load()
	var victim *bucket[V]
	way, best := 0, 0
	first, second := t.pair(e.hash)
	for _, b := range [2]*bucket[V]{first, second} {
		for i := range b.ways {
			other := b.ways[i].Load()
			if other == nil {
				continue
			}
			worth := 1
			switch {
			case now >= other.expires:
				worth = 3
			case !other.used.Load():
				worth = 2
			}
			if worth > best {
				victim, way, best = b, i, worth
			}
		}
	}
	if victim == nil {
		return 0
	}
	sh.take(victim, way, victim.ways[way].Load())
	if best < 3 {
		return 1
	}
	return 0
}

// drop removes exactly this entry.
func (sh *shard[V]) drop(e *Entry[V]) {
	t := sh.table.Load()
	if t == nil {
		return
	}
	if b, i, held := t.locate(e); held == e {
		sh.take(b, i, e)
	}
}

func (sh *shard[V]) take(b *bucket[V], i int, e *Entry[V]) {
	b.set(i, nil)
	sh.entries--
	sh.bytes -= int64(e.size)
}

// grow doubles the table unless it is large enough for all the shard may hold. Readers go on with the old
// table until the new one is complete.
func (sh *shard[V]) grow() bool {
	old := sh.table.Load()
	if len(old.buckets)*ways >= 2*sh.maxEntries+ways {
		return false
	}
	t := newTable[V](uint64(len(old.buckets)) * 2)
	for i := range old.buckets {
		b := &old.buckets[i]
		for w := range b.ways {
			e := b.ways[w].Load()
			if e == nil {
				continue
			}
			if !t.place(e) { // cannot happen in practice: twice the room
				sh.entries--
				sh.bytes -= int64(e.size)
			}
		}
	}
	sh.table.Store(t)
	return true
}
