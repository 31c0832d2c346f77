package keys

import (
	"context"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwk"
)

// SharedSigner returns the secret that signs for the resources of a ring of
// shared secrets now.
func (r *Rings) SharedSigner(ring string) (*jwk.Key, error) {
	if err := authority.CheckSharedRing(ring); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return r.Signer(ring, jwk.HS256)
}

// ExportShared is a ring of shared secrets as its members hold it: a JWK set
// with the secret that signs first, and then those that are about to and those
// that did (jwk.ParseSecrets). ErrRing: there is none.
func (r *Rings) ExportShared(ring string) ([]byte, error) {
	active, err := r.SharedSigner(ring)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRing, err)
	}
	all := []*jwk.Key{active}
	for _, k := range r.Usable(ring) {
		if k.ID() != active.ID() {
			all = append(all, k)
		}
	}
	return jwk.MarshalSecrets(all...)
}

// AccessSource gives a verifier the keys of access tokens: those of the access
// ring, and the secrets of every shared ring. Each is found by its id alone and
// has one algorithm, so a secret is never used as a public key, nor the other
// way round; keys of other rings are not among them.
func (r *Rings) AccessSource() jwk.Source { return accessSource{r} }

type accessSource struct{ rings *Rings }

// Keys implements jwk.Source.
func (s accessSource) Keys(_ context.Context, kid string) ([]*jwk.Key, error) {
	ring, _, ok := s.rings.State(kid)
	if !ok || ring != authority.RingAccess && !authority.SharedRing(ring) {
		return nil, jwk.ErrUnknownKey
	}
	key, ok := s.rings.Find(ring, kid)
	if !ok || key.Algorithm().Symmetric() != (ring != authority.RingAccess) {
		return nil, jwk.ErrUnknownKey
	}
	return []*jwk.Key{key}, nil
}
