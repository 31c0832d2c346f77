package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/network"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/throttle"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// Bounds of the events about one grant: one for each place in a day, and not
// more than this many places.
const (
	changeEvery = 24 * time.Hour
	changeMost  = 8
	changeKeys  = 1 << 13
)

// changes keeps events about changed contexts from being written per request.
type changes struct{ table *throttle.Table }

// first reports whether this is the first use of the grant from there in a day.
// forget takes it back, for an event that could not be written.
func (c changes) first(now time.Time, grant secret.ID, from authority.Context) (forget func(), ok bool) {
	whole := "grant " + grant.String()
	place := whole + " " + from.Network + " " + authority.Family(from.UserAgent)
	if _, ok := c.table.Sample(now, place, 1, changeEvery); !ok {
		return nil, false
	}
	if _, ok := c.table.Sample(now, whole, changeMost, changeEvery); !ok {
		return nil, false
	}
	return func() { c.table.Clear(now, place) }, true
}

// bindTo writes the claim net: the networks a token of the grant is for, unless
// the client wants nothing done about networks. What was used before by the other
// address family counts too: one machine has both (see Context.Elsewhere).
func (s *Service) bindTo(client authority.Client, g authority.Grant, from authority.Context) func(*jwt.Claims) {
	return func(c *jwt.Claims) {
		if client.IP == authority.IPOff {
			return
		}
		var networks []netip.Prefix
		for _, name := range []string{from.Network, g.Last.Network, g.First.Network} {
			if p, err := netip.ParsePrefix(name); err == nil {
				networks = append(networks, p)
			}
		}
		c.Network = s.cfg.NetworkKey.Bind(client.IP == authority.IPEnforce, c.GrantID, networks...)
	}
}

// moved is the event of a refresh from another network and another program than
// the grant was used from before, nil when there is nothing to tell. One of the
// two alone changes in honest lives too. forget is not nil when the event is not.
func (s *Service) moved(g authority.Grant, client authority.Client, from authority.Context) (e *authority.Event, forget func()) {
	if client.IP == authority.IPOff || from.Changed(g.First, g.Last) != authority.ChangedBoth {
		return nil, nil
	}
	forget, ok := s.changes.first(s.cfg.Now(), g.ID, from)
	if !ok {
		return nil, nil
	}
	event := s.newEvent(authority.EventContextChanged, clientActor(client.ID), g, from)
	event.Reason, event.Data = authority.ChangedBoth, contexts(g)
	event.Data["at"] = "refresh"
	return &event, forget
}

// fromElsewhere refuses a refresh from another network, where the client's
// registration says so. It ends nothing: where the grant was used before it goes on.
func (s *Service) fromElsewhere(ctx context.Context, g authority.Grant, client authority.Client, from authority.Context) error {
	if client.IP != authority.IPEnforce || !client.IPRefresh || !from.Elsewhere(g.First, g.Last) {
		return nil
	}
	if _, ok := s.changes.first(s.cfg.Now(), g.ID, from); ok {
		e := s.newEvent(authority.EventContextChanged, clientActor(client.ID), g, from)
		e.Reason, e.Data = from.Changed(g.First, g.Last), contexts(g)
		e.Data["at"], e.Data["refused"] = "refresh", "true"
		s.record(ctx, e)
	}
	return errRefused(oauth.ReasonWrongNetwork, "it comes from another network")
}

// MaxMovements is the most one report may hold.
const MaxMovements = 64

// Movement is a token that a guard was shown from a network it is not for.
type Movement struct {
	Sighting
	From    authority.Context
	Refused bool
}

// Moved takes a guard's report, and writes an event for each grant that is truly
// used from somewhere new. What the authority knows of already is no news: the
// token may be older than the last refresh.
func (s *Service) Moved(ctx context.Context, client string, list []Movement) error {
	if len(list) > MaxMovements {
		return fmt.Errorf("tokens: %d movements in one report, at most %d", len(list), MaxMovements)
	}
	ids := make([]secret.ID, len(list))
	for i, m := range list {
		ids[i] = m.ID
	}
	states, err := s.cfg.Store.Tokens(ctx, ids)
	if err != nil {
		return fmt.Errorf("tokens: registry: %w", err)
	}
	for _, m := range list {
		state, known := states[m.ID]
		if !known || state.GrantEnded || !secret.Equal(state.Digest[:], m.Digest[:]) {
			continue
		}
		if err := s.movement(ctx, client, state.GrantID, m); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) movement(ctx context.Context, client string, grant secret.ID, m Movement) error {
	g, err := s.cfg.Store.Grant(ctx, grant)
	if errors.Is(err, authority.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tokens: grant: %w", err)
	}
	reason := m.From.Changed(g.First, g.Last)
	if !strings.HasPrefix(reason, authority.ChangedNetwork) {
		return nil
	}
	forget, ok := s.changes.first(s.cfg.Now(), g.ID, m.From)
	if !ok {
		return nil
	}
	e := s.newEvent(authority.EventContextChanged, authority.Actor{Kind: "resource", ID: client}, g, m.From)
	e.TokenID, e.Reason, e.Data = m.ID, reason, contexts(g)
	e.Data["at"] = "api"
	if m.Refused {
		e.Data["refused"] = "true"
	}
	if err := s.cfg.Store.AppendEvent(ctx, e); err != nil {
		forget()
		return fmt.Errorf("tokens: event of a movement: %w", err)
	}
	return nil
}

// NetworkKey is the key of the claim net, for guards.
func (s *Service) NetworkKey() network.Key { return s.cfg.NetworkKey }
