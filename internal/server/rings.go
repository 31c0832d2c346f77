package server

import (
	"context"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/keys"
)

// newRing makes a ring of shared secrets unless there is one of this name.
func (s *Server) newRing(ctx context.Context, ring string, actor authority.Actor, reason string) error {
	if err := authority.CheckSharedRing(ring); err != nil {
		return err
	}
	return s.rings.NewRing(ctx, ring, keys.Why{Actor: actor, Reason: reason})
}
