package clients

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/throttle"
)

// alarm raises an event when guessing secrets is refused: one in a window for a
// network, or for a client that is guessed at from there. What was sent as an id
// is written only if there is such a client: it may be a secret in the wrong place.
// An event that could not be written is tried again with the next refusal.
func (s *Service) alarm(ctx context.Context, now time.Time, id string, addr netip.Addr, claims []throttle.Claim) {
	if s.cfg.Events == nil {
		return
	}
	pair, whole := claims[0], claims[1]
	key, reason := pair.Key, "client_from_network"
	if s.attempts.Check(now, whole) != nil {
		key, reason = whole.Key, "network"
	}
	skipped, ok := s.alarms.Sample(now, key, 1, s.cfg.Limits.Window)
	if !ok {
		return
	}
	if _, ok := s.alarms.Sample(now, "all", 120, time.Minute); !ok {
		return
	}
	e := authority.Event{
		ID: secret.NewID(now), Type: authority.EventBruteForce, Actor: authority.System, Reason: reason,
		Context: authority.Context{Network: throttle.Network(addr)}, Data: map[string]string{"refused_before": strconv.Itoa(skipped)},
	}
	if c, err := s.Lookup(ctx, id); err == nil && reason != "network" {
		e.ClientID = c.ID
	}
	if s.cfg.Events.AppendEvent(ctx, e) != nil {
		s.alarms.Clear(now, key)
	}
}
