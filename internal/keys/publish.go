package keys

import (
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwk"
)

// Public is the published key set: the public halves of the access and id
// rings that verifiers should hold.
func (r *Rings) Public() *jwk.Set { return r.now.Load().public }

// Published is the set for verifiers to fetch, and how long they may keep it: never
// beyond the moment when it will change by the schedule. ErrStale: this node does
// not know what verifiers should hold; a set that lacks a key that signs would be
// worse than none.
func (r *Rings) Published() (*jwk.Set, time.Duration, error) {
	h, err := r.fresh()
	if err != nil {
		return nil, 0, err
	}
	now, keep := r.cfg.Now(), r.cfg.Schedule.Cache
	for _, ring := range []string{authority.RingAccess, authority.RingID} {
		keys := h.stored[ring]
		for _, t := range r.cfg.Schedule.tasks(ring, r.slots(ring, keys), keys) {
			if t.do == stage || t.do == retire {
				keep = min(keep, t.at.Sub(now))
			}
		}
	}
	return h.public, max(keep.Truncate(time.Second), time.Second), nil
}

// Algorithms lists the algorithms that the id ring signs with, in the order of the
// configuration: those a client may be registered for.
func (r *Rings) Algorithms() []string {
	var algs []string
	h := r.now.Load()
	for _, s := range r.slots(authority.RingID, h.stored[authority.RingID]) {
		if h.active[place(authority.RingID, s.name)] != nil {
			algs = append(algs, string(s.alg))
		}
	}
	return algs
}
