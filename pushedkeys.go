package jeton

import (
	"context"

	"github.com/jetonhq/jeton/jwk"
)

// pushedKeys finds published keys where they are pushed to, and otherwise where they can be fetched. What the
// first has is never waited for.
type pushedKeys struct{ pushed, fetched jwk.Source }

// Keys implements jwk.Source.
func (s pushedKeys) Keys(ctx context.Context, kid string) ([]*jwk.Key, error) {
	if pushed(s.pushed) {
		if keys, err := s.pushed.Keys(ctx, kid); err == nil {
			if keys = ofKind(keys, false); len(keys) > 0 {
				return keys, nil
			}
		}
	}
	return s.fetched.Keys(ctx, kid)
}

// pushed reports whether a source has been given keys. One that cannot tell is taken to have some.
func pushed(s jwk.Source) bool {
	if s == nil {
		return false
	}
	p, ok := s.(interface {
		Publication() (jwk.Publication, bool)
	})
	if !ok {
		return true
	}
	_, ok = p.Publication()
	return ok
}
