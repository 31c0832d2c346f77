package keys

import (
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwk"
)

// linkLabel keeps keys for links in mails apart from those for sign-ins under
// way, which are derived from the same ring.
const linkLabel = "link in a mail"

// LinkKey returns the key that signs links in mails.
func (r *Rings) LinkKey() (id string, key []byte) {
	k, err := r.Signer(authority.RingFlow, jwk.HS256)
	if err != nil {
		return "", nil
	}
	return k.ID(), subkey(k, linkLabel)
}

// LinkKeyByID returns the key that may still verify such a link. A link says for
// itself how long it works; the ring's keys verify at least that long.
func (r *Rings) LinkKeyByID(id string) ([]byte, bool) {
	k, ok := r.Find(authority.RingFlow, id)
	if !ok {
		return nil, false
	}
	key := subkey(k, linkLabel)
	return key, key != nil
}
