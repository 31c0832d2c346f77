package clients

import (
	"sync"
	"time"
)

// cacheSize bounds a cache. Only records that exist are kept, so it is reached
// by installations of that size, not by strangers who make up ids.
const cacheSize = 8192

// cache keeps what was read from the store for a moment.
type cache[V any] struct {
	keep time.Duration
	mu   sync.Mutex
	// mu guards the fields below
	held    map[string]cached[V]
	changes uint64 // raised by forget: what was read before one is not kept after it
}

type cached[V any] struct {
	value V
	until time.Time
}

func newCache[V any](keep time.Duration) *cache[V] {
	return &cache[V]{keep: keep, held: make(map[string]cached[V])}
}

// get returns what is held, or reads it. Errors are not held.
func (c *cache[V]) get(now time.Time, key string, read func() (V, error)) (V, error) {
	c.mu.Lock()
	hit, ok := c.held[key]
	changes := c.changes
	c.mu.Unlock()
	if ok && now.Before(hit.until) {
		return hit.value, nil
	}
	value, err := read()
	if err != nil {
		return value, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keep > 0 && changes == c.changes {
		if len(c.held) >= cacheSize {
			clear(c.held)
		}
		c.held[key] = cached[V]{value, now.Add(c.keep)}
	}
	return value, nil
}

// forget drops everything: changes are rare, and one rule is easier to keep
// right than one for each key a change touches.
func (c *cache[V]) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	clear(c.held)
}
