package sqlite

import (
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// A reader that read the row before a commit offers it after: it must not
// bring the old row back.
func TestGrantCache_LateOfferIsNotTaken(t *testing.T) {
	c := newGrantCache()
	id := secret.ID{15: 7}
	_, version, ok := c.get(id)
	if ok {
		t.Fatal("an empty cache has the grant")
	}
	c.change(id, func(g *authority.Grant) { g.Generation = 1 }) // the commit, while the reader is under way
	c.offer(authority.Grant{ID: id}, version)
	if g, _, ok := c.get(id); ok {
		t.Fatalf("the row from before the commit is served: generation %d", g.Generation)
	}
	_, version, _ = c.get(id)
	c.offer(authority.Grant{ID: id, Generation: 1}, version)
	c.change(id, func(g *authority.Grant) { g.Generation++ })
	if g, _, ok := c.get(id); !ok || g.Generation != 2 {
		t.Fatalf("got generation %d (%v), want 2", g.Generation, ok)
	}
	c.change(id, nil)
	if _, _, ok := c.get(id); ok {
		t.Fatal("a forgotten grant is served")
	}
}

func TestGrantCache_IsBounded(t *testing.T) {
	c := newGrantCache()
	for i := range 10 * 64 * shardGrants {
		id := secret.ID{byte(i >> 16), byte(i >> 8), byte(i), 15: byte(i)} // #nosec G115 -- a counter cut into bytes
		_, version, _ := c.get(id)
		c.offer(authority.Grant{ID: id}, version)
	}
	for i := range c.shards {
		if n := len(c.shards[i].grants); n > shardGrants {
			t.Fatalf("shard %d holds %d grants", i, n)
		}
	}
}
