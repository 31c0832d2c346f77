package keys

import (
	"slices"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwk"
)

// slot is a place in a ring of which there is one active key, and the algorithm
// that its next key should have.
type slot struct {
	name string
	alg  jwk.Algorithm
}

// slotOf is the slot of a key: ring id has one for each algorithm.
func slotOf(ring string, alg jwk.Algorithm) string {
	if ring == authority.RingID {
		return string(alg)
	}
	return ""
}

// slots lists the slots of a ring: what the configuration wants and, in ring id,
// every algorithm that has been offered before, since clients may be registered
// for it.
func (r *Rings) slots(ring string, keys []authority.Key) []slot {
	switch ring {
	case authority.RingAccess:
		return []slot{{"", r.cfg.AccessAlgorithm}}
	case authority.RingID:
		algs := slices.Clone(r.cfg.IDAlgorithms)
		for _, k := range keys {
			if alg := jwk.Algorithm(k.Algorithm); k.State == authority.KeyActive && !slices.Contains(algs, alg) {
				algs = append(algs, alg)
			}
		}
		var out []slot
		for _, alg := range algs {
			out = append(out, slot{string(alg), alg})
		}
		return out
	}
	return []slot{{"", jwk.HS256}}
}

// published reports whether the public halves of the ring's keys are served.
func published(ring string) bool { return ring == authority.RingAccess || ring == authority.RingID }
