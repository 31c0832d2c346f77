package seen

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	maxShards = 64
	// Below this many entries a shard is not worth having: the limits hold per shard, and tokens do not
	// spread evenly over very small ones.
	minShardEntries = 256
)

// Config bounds a [Cache]. Both are required.
type Config struct {
	Entries int   // tokens, at least 1
	Bytes   int64 // estimated memory of all entries
}

// Cache maps whole tokens to values. It is safe for concurrent use.
type Cache[V any] struct {
	seed    maphash.Seed
	shards  []shard[V]
	shift   uint // hash >> shift is the shard
	evicted atomic.Uint64
}

// Entry is what is remembered of one token. Value must not be changed, as others read it at the same time.
type Entry[V any] struct {
	hash    uint64
	token   string
	expires int64
	epoch   atomic.Uint64
	asked   atomic.Int64
	used    atomic.Bool // since the hand last passed
	size    uint32
	Value   V
}

// Item is what [Cache.Put] adds.
type Item[V any] struct {
	// Token is copied.
	Token string
	// Tail is text that the value refers to. It is copied too, to stand behind the token.
	Tail string
	// Fill sets the value of the new entry; tail is the copy of Tail.
	Fill func(e *Entry[V], tail string)
	// Expires is the first second, on the clock of those who ask, in which the entry is not answered.
	Expires int64
	// Epoch is the entry's first mark, see [Entry.Epoch].
	Epoch uint64
}

// New returns an empty cache. It occupies next to nothing until tokens are added.
func New[V any](c Config) *Cache[V] {
	n := 1
	for n < maxShards && c.Entries/(2*n) >= minShardEntries {
		n *= 2
	}
	cache := &Cache[V]{
		seed:   maphash.MakeSeed(),
		shards: make([]shard[V], n),
		shift:  uint(64 - bits.TrailingZeros(uint(n))),
	}
	for i := range cache.shards {
		sh := &cache.shards[i]
		sh.maxEntries = max(1, c.Entries/n)
		sh.maxBytes = c.Bytes / int64(n)
	}
	return cache
}

// hash takes in the token at once; maphash.String does it in pieces, at twice the cost.
func (c *Cache[V]) hash(token string) uint64 { return maphash.Comparable(c.seed, token) }

// Get answers the entry of exactly this token, nil if there is none or now (in seconds) has reached its
// Expires.
func (c *Cache[V]) Get(token string, now int64) *Entry[V] {
	h := c.hash(token)
	t := c.shards[h>>c.shift].table.Load()
	if t == nil {
		return nil
	}
	first, second := t.pair(h)
	e := first.find(h, token)
	if e == nil {
		if e = second.find(h, token); e == nil {
			return nil
		}
	}
	if now >= e.expires {
		return nil
	}
	if !e.used.Load() { // a store would take the line away from the other cores each time
		e.used.Store(true)
	}
	return e
}

// Put adds an item, in place of the entry its token has, and answers the entry. When there is no room for
// it, the entry is good for its caller and not remembered.
func (c *Cache[V]) Put(item Item[V], now int64) *Entry[V] {
	e, tail, size := newEntry[V](item.Token, item.Tail)
	e.hash = c.hash(item.Token)
	e.expires = item.Expires
	e.epoch.Store(item.Epoch)
	item.Fill(e, tail)
	sh := &c.shards[e.hash>>c.shift]
	if size > sh.maxBytes || size > 1<<31 || now >= item.Expires {
		return e
	}
	e.size = uint32(size) //nolint:gosec // at most 1<<31
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c.evicted.Add(sh.put(e, now))
	return e
}

// Drop forgets an entry, unless another one has taken its place.
func (c *Cache[V]) Drop(e *Entry[V]) {
	sh := &c.shards[e.hash>>c.shift]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.drop(e)
}

// Stats are the numbers of a cache at one moment.
type Stats struct {
	Entries int
	Bytes   int64  // estimate
	Evicted uint64 // entries that were not expired and had to make room
}

// Stats adds up what the shards hold.
func (c *Cache[V]) Stats() Stats {
	s := Stats{Evicted: c.evicted.Load()}
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		s.Entries += sh.entries
		s.Bytes += sh.bytes
		sh.mu.Unlock()
	}
	return s
}

// Token is the token the entry is about.
func (e *Entry[V]) Token() string { return e.token }

// Text points to the token in the entry, for values that want to refer to it.
func (e *Entry[V]) Text() *string { return &e.token }

// Epoch is the mark that says at which state of the world the entry was last checked.
func (e *Entry[V]) Epoch() uint64 { return e.epoch.Load() }

// SetEpoch moves the mark. Load the state's number before checking, and set it after.
func (e *Entry[V]) SetEpoch(epoch uint64) { e.epoch.Store(epoch) }

// Asked is the mark that says when the source of truth was last asked about the token, on a clock of the
// caller's choice; zero is never.
func (e *Entry[V]) Asked() int64 { return e.asked.Load() }

// ForgetAsked makes a mark from before at count as never.
func (e *Entry[V]) ForgetAsked(at int64) {
	if old := e.asked.Load(); old != 0 && old < at {
		e.asked.CompareAndSwap(old, 0)
	}
}

// SetAsked moves the mark, never back but by ForgetAsked.
func (e *Entry[V]) SetAsked(at int64) {
	for {
		old := e.asked.Load()
		if at <= old || e.asked.CompareAndSwap(old, at) {
			return
		}
	}
}

// shard is an independent part of the cache. mu serialises changes and guards the fields below it.
type shard[V any] struct {
	table atomic.Pointer[table[V]]

	mu         sync.Mutex
	entries    int
	bytes      int64
	hand       uint64 // next way to look at when there is no room
	broom      uint64 // next bucket to free of what has expired
	maxEntries int
	maxBytes   int64
	_          [64]byte // keeps neighbours' lines apart
}
