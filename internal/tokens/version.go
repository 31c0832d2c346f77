package tokens

import (
	"context"
	"errors"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwt"
)

// versionOf adds the version of the grant's account to a token's claims, so that
// a guard can tell a token from before a change of the profile. The version is
// read before the token's commit: a change in between makes the token look too
// old, never too young.
func (s *Service) versionOf(ctx context.Context, g authority.Grant) (func(*jwt.Claims), error) {
	if g.AccountID.IsZero() {
		return func(*jwt.Claims) {}, nil
	}
	a, err := s.cfg.Store.Account(ctx, g.AccountID)
	if err != nil && !errors.Is(err, authority.ErrNotFound) {
		return nil, fmt.Errorf("tokens: account of a grant: %w", err)
	}
	return func(c *jwt.Claims) { c.Version = a.Version }, nil
}
