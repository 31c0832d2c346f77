package seen

import (
	"math/bits"
	"sync/atomic"
)

const (
	ways       = 7
	slotBytes  = 24 // of the table, per entry, at the usual load
	firstTable = 4  // buckets
	lowBits    = 0x0001010101010101
	highBits   = 0x0080808080808080
)

// table has a power of two of buckets. A larger one takes its place; it never shrinks.
type table[V any] struct {
	mask    uint64
	buckets []bucket[V]
}

// bucket fills a cache line. A byte of tags is zero where the way is free.
type bucket[V any] struct {
	tags atomic.Uint64
	ways [ways]atomic.Pointer[Entry[V]]
}

func newTable[V any](buckets uint64) *table[V] {
	return &table[V]{mask: buckets - 1, buckets: make([]bucket[V], buckets)}
}

// pair answers the two buckets of a hash. They differ, also in the smallest table.
func (t *table[V]) pair(h uint64) (first, second *bucket[V]) {
	i := h & t.mask
	return &t.buckets[i], &t.buckets[(i^(h*0x9e3779b97f4a7c15>>24|1))&t.mask]
}

// tag comes from bits that choose neither shard nor bucket.
func tag(h uint64) uint64 { return h>>48&0x7f | 0x80 }

func (b *bucket[V]) find(h uint64, token string) *Entry[V] {
	x := b.tags.Load() ^ tag(h)*lowBits
	// Marks the bytes of x that are zero; it may mark others, which the comparison sorts out.
	for m := (x - lowBits) &^ x & highBits; m != 0; m &= m - 1 {
		e := b.ways[bits.TrailingZeros64(m)/8].Load()
		if e != nil && e.hash == h && e.token == token {
			return e
		}
	}
	return nil
}

// free is a free way, and how many there are.
func (b *bucket[V]) free() (way, n int) {
	for i := range b.ways {
		if b.ways[i].Load() == nil {
			way = i
			n++
		}
	}
	return way, n
}

// set places an entry, or nil, in a way. The caller holds the shard's mu.
func (b *bucket[V]) set(i int, e *Entry[V]) {
	tags := b.tags.Load() &^ (0xff << (8 * i))
	if e != nil {
		tags |= tag(e.hash) << (8 * i)
	}
	b.ways[i].Store(e)
	b.tags.Store(tags)
}

// locate finds the way that holds e, or an entry of the same token.
func (t *table[V]) locate(e *Entry[V]) (*bucket[V], int, *Entry[V]) {
	first, second := t.pair(e.hash)
	for _, b := range [2]*bucket[V]{first, second} {
		for i := range b.ways {
			if old := b.ways[i].Load(); old != nil && (old == e || old.hash == e.hash && old.token == e.token) {
				return b, i, old
			}
		}
	}
	return nil, 0, nil
}

// place puts e into a free way of one of its buckets, if there is one: of the first, where readers look
// first, unless it fills up and the second has more room.
func (t *table[V]) place(e *Entry[V]) bool {
	b, second := t.pair(e.hash)
	way, room := b.free()
	if room < 3 {
		if other, more := second.free(); more > room {
			b, way, room = second, other, more
		}
	}
	if room == 0 {
		return false
	}
	b.set(way, e)
	return true
}
