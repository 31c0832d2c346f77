package jeton

import (
	"context"
	"errors"
	"slices"

	"github.com/jetonhq/jeton/jwk"
)

// keySources finds the key of a token by its id alone: among the shared secrets
// first, then among the published keys. A secret is only ever taken from the
// first and a public key only from the second, and each key has one algorithm,
// which the token's header must name. So neither can be used as the other
// (SPECS JW-10, JW-11).
type keySources struct {
	shared    jwk.Source
	published jwk.Source
}

// Keys implements jwk.Source.
func (s keySources) Keys(ctx context.Context, kid string) ([]*jwk.Key, error) {
	if kid == "" {
		return s.published.Keys(ctx, kid) // a secret is never found by trying
	}
	secrets, sharedErr := s.shared.Keys(ctx, kid)
	if secrets = ofKind(secrets, true); len(secrets) > 0 {
		return secrets, nil
	}
	keys, err := s.published.Keys(ctx, kid)
	if keys = ofKind(keys, false); len(keys) > 0 {
		return keys, nil
	}
	if sharedErr != nil && !errors.Is(sharedErr, jwk.ErrUnknownKey) {
		return nil, sharedErr // the key may be one of those that cannot be had now
	}
	if err == nil {
		err = jwk.ErrUnknownKey
	}
	return nil, err
}

// ofKind leaves out keys that a source should not have.
func ofKind(keys []*jwk.Key, symmetric bool) []*jwk.Key {
	if !slices.ContainsFunc(keys, func(k *jwk.Key) bool { return k.Algorithm().Symmetric() != symmetric }) {
		return keys
	}
	return slices.DeleteFunc(slices.Clone(keys), func(k *jwk.Key) bool { return k.Algorithm().Symmetric() != symmetric })
}
