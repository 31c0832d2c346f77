package sqlite

import (
	"sync"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// grantCache keeps the grants that were used lately, because a refresh reads
// its grant before it changes it. This process is the only one that writes the
// database, so the writer keeps the cache true: after each commit, and before
// any caller is answered, it applies what the commit changed.
//
// A reader that misses reads the database and offers what it found. Its shard's
// version tells whether the writer changed anything in between; then the offer
// is not taken, as it may be from before the change.
//
// Grants in the cache are shared: their slices are never written to.
type grantCache struct {
	shards [64]grantShard
}

type grantShard struct {
	mu      sync.RWMutex
	version uint64                        // guarded by mu: rises with each change
	grants  map[secret.ID]authority.Grant // guarded by mu
}

// shardGrants bounds each shard: 16,384 grants in all, some 10 MB.
const shardGrants = 256

func newGrantCache() *grantCache {
	c := &grantCache{}
	for i := range c.shards {
		c.shards[i].grants = make(map[secret.ID]authority.Grant)
	}
	return c
}

// shard spreads by the last byte, which is random.
func (c *grantCache) shard(id secret.ID) *grantShard {
	return &c.shards[int(id[15])%len(c.shards)]
}

// get returns the grant, or the version to offer one under.
func (c *grantCache) get(id secret.ID) (g authority.Grant, version uint64, ok bool) {
	s := c.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	g, ok = s.grants[id]
	return g, s.version, ok
}

// offer adds a grant that was read from the database.
func (c *grantCache) offer(g authority.Grant, version uint64) {
	s := c.shard(g.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version == version {
		s.put(g)
	}
}

// put makes room by dropping any other grant.
func (s *grantShard) put(g authority.Grant) {
	if _, ok := s.grants[g.ID]; !ok && len(s.grants) >= shardGrants {
		for other := range s.grants {
			delete(s.grants, other)
			break
		}
	}
	s.grants[g.ID] = g
}

// change applies what a commit changed in one grant; with a nil mutate the
// grant is forgotten. The grant may have been offered after the commit, so that
// it has the change already: mutate sets, it never counts.
func (c *grantCache) change(id secret.ID, mutate func(*authority.Grant)) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	g, ok := s.grants[id]
	switch {
	case mutate == nil:
		delete(s.grants, id)
	case ok:
		mutate(&g)
		s.grants[id] = g
	}
}

// clear forgets all grants, after a commit that changed an unknown set of them.
func (c *grantCache) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.version++
		clear(s.grants)
		s.mu.Unlock()
	}
}

// changedGrant has the cache follow a change of the running call once it is
// durable; a nil mutate forgets the grant.
func (t *tx) changedGrant(id secret.ID, mutate func(*authority.Grant)) {
	t.after = append(t.after, func() { t.cache.change(id, mutate) })
}

// changedGrants does the same for changes whose grants are not known.
func (t *tx) changedGrants() { t.after = append(t.after, t.cache.clear) }
