package keys

import (
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwk"
)

// nonceLabel names what the keys are for.
const nonceLabel = "DPoP nonce"

// NonceKeys returns the keys under which DPoP nonces are made, the one for new
// ones first. They are derived from the flow ring.
func (r *Rings) NonceKeys() [][]byte {
	active, err := r.Signer(authority.RingFlow, jwk.HS256)
	if err != nil {
		return nil
	}
	list := [][]byte{subkey(active, nonceLabel)}
	for _, k := range r.Usable(authority.RingFlow) {
		if k.ID() != active.ID() {
			list = append(list, subkey(k, nonceLabel))
		}
	}
	return list
}
