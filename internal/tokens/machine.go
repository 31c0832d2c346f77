package tokens

import (
	"context"
	"errors"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// ForClient issues an access token to a program in its own name (OAuth 2.1
// section 4.2): under the client's standing grant, without a refresh token.
func (s *Service) ForClient(ctx context.Context, client authority.Client, scope oauth.Scope, audience []string, from authority.Context) (Issued, error) {
	for {
		gid, known := s.standing.get(client.ID)
		if !known {
			g, err := s.openStanding(ctx, client, audience, from)
			if err != nil {
				return Issued{}, err
			}
			gid = g.ID
			s.standing.put(client.ID, gid)
		}
		g := authority.Grant{ID: gid, ClientID: client.ID, Audience: audience}
		token, row, err := s.accessToken(g, scope, s.lifetime(client))
		if err != nil {
			return Issued{}, err
		}
		err = s.cfg.Store.Issue(ctx, authority.Issue{Token: row, Now: s.cfg.Now()})
		if errors.Is(err, authority.ErrEnded) && known {
			// The standing grant was revoked or ran out: it is replaced.
			s.standing.drop(client.ID, gid)
			continue
		}
		if err != nil {
			s.standing.drop(client.ID, gid)
			return Issued{}, err
		}
		return s.assemble(g, client, scope, token, row, secret.ID{}, "")
	}
}

func (s *Service) openStanding(ctx context.Context, client authority.Client, audience []string, from authority.Context) (authority.Grant, error) {
	now := s.cfg.Now()
	until := now.Add(standingLifetime)
	g := authority.Grant{
		ID: secret.NewID(now), Type: oauth.ClientCredentials, ClientID: client.ID, Scope: client.Scope, Audience: audience,
		First: from, Last: from, CreatedAt: now, LastUsed: now, IdleUntil: until, ExpiresAt: until,
	}
	return s.cfg.Store.OpenStanding(ctx, g, s.newEvent(authority.EventGrantCreated, clientActor(client.ID), g, from))
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
