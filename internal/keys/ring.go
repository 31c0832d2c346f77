package keys

import (
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwk"
)

// Ring is what servers that verify with a ring should hold.
type Ring struct {
	Name    string
	Version int64
	Primary string     // id of the key that signs
	Keys    []*jwk.Key // that one first, then those that will sign and those that did
}

// ForServers lists the rings whose tokens servers verify: the access ring and the
// rings of shared secrets. Their keys are private where they are known to be.
func (r *Rings) ForServers() []Ring {
	var out []Ring
	for name, members := range r.now.Load().rings {
		switch name {
		case authority.RingID, authority.RingRefresh, authority.RingFlow:
			continue
		}
		ring := Ring{Name: name}
		for _, m := range members {
			ring.Version = m.RingVersion
			switch {
			case m.Key.State == authority.KeyActive:
				ring.Primary = m.ID
				ring.Keys = append([]*jwk.Key{m.key}, ring.Keys...)
			case m.Key.State.Verifies():
				ring.Keys = append(ring.Keys, m.key)
			}
		}
		if ring.Primary != "" {
			out = append(out, ring)
		}
	}
	return out
}
