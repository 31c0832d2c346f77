package jeton

import (
	"encoding/json"
	"sync"
	"sync/atomic"

	"github.com/jetonhq/jeton/revocation"
)

// FreshClaims demands that what the token says about its subject has not changed since it was issued. After a
// change of the profile a client that is refused (refresh_needed) refreshes once and goes on: nobody is signed
// out, and routes without this demand take the token until it expires.
func FreshClaims() Demand { return Demand{kind: demandFresh} }

// staleGrants knows, for the grants whose subject has changed lately, the version of the account since. An
// entry is kept until every token from before the change has expired.
type staleGrants struct {
	size   atomic.Int64
	mu     sync.RWMutex // guards the fields below
	needed map[revocation.ID]staleGrant
	sweep  int // size at which expired ones are looked for
}

type staleGrant struct {
	version int64
	until   int64 // Unix seconds, 0 is never
}

// needs is the version that a token of the grant needs, 0 when any will do.
func (s *staleGrants) needs(gid revocation.ID) int64 {
	if s.size.Load() == 0 {
		return 0
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.needed[gid].version
}

// add takes in an entry of the log. Of several for a grant the highest version counts.
func (s *staleGrants) add(e revocation.Entry, now int64) {
	var data struct {
		Version int64 `json:"ver"`
	}
	if json.Unmarshal(e.Data, &data) != nil || data.Version < 1 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.needed == nil {
		s.needed, s.sweep = make(map[revocation.ID]staleGrant), 1024
	}
	if old := s.needed[e.ID]; data.Version > old.version {
		s.needed[e.ID] = staleGrant{data.Version, e.Until}
	}
	if len(s.needed) >= s.sweep {
		margin := int64(revocation.DefaultMargin.Seconds())
		for id, g := range s.needed {
			if g.until != 0 && g.until+margin < now {
				delete(s.needed, id)
			}
		}
		s.sweep = max(1024, 2*len(s.needed))
	}
	s.size.Store(int64(len(s.needed)))
}
