package tokens

import (
	"context"
	"errors"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// standingTries bounds how often a standing grant may end under a request.
const standingTries = 4

// ClientRequest is what a program asks for in its own name.
type ClientRequest struct {
	Client   authority.Client
	Scope    oauth.Scope
	Audience []string
	Narrow   Restriction
	Holder   Holder
	From     authority.Context
	Still    func(context.Context) error // whether the client may still have one
}

// ForClient issues an access token to a program in its own name (OAuth 2.1
// section 4.2): under the client's standing grant, without a refresh token.
//
// r.Still is asked again whether the client may have one, whenever its standing
// grant is new: the one before may have ended because the client was disabled
// or its secret became known, after this request had been let in. A token that
// is made under the new grant would live on.
func (s *Service) ForClient(ctx context.Context, r ClientRequest) (Issued, error) {
	if err := r.Holder.spend(ctx); err != nil {
		return Issued{}, err
	}
	var err error
	for range standingTries {
		gid, findErr := s.standingGrant(ctx, r)
		if findErr != nil {
			return Issued{}, findErr
		}
		g := authority.Grant{ID: gid, ClientID: r.Client.ID, Audience: r.Audience}
		token, row, signErr := s.accessToken(g, r.Scope, s.lifetime(r.Client), r.Narrow.claim, s.bindTo(r.Client, g, r.From), r.Holder.claim)
		if signErr != nil {
			return Issued{}, signErr
		}
		if err = s.cfg.Store.Issue(ctx, authority.Issue{Token: row, Now: s.cfg.Now()}); err == nil {
			return s.assemble(g, r.Client, r.Scope, token, row, secret.ID{}, "", r.Holder)
		}
		if !errors.Is(err, authority.ErrEnded) {
			return Issued{}, err
		}
		s.standing.drop(r.Client.ID, gid) // revoked, or it ran out: it is replaced
	}
	return Issued{}, err
}

// standingGrant is the client's standing grant, a new one if need be.
func (s *Service) standingGrant(ctx context.Context, r ClientRequest) (secret.ID, error) {
	if gid, known := s.standing.get(r.Client.ID); known {
		return gid, nil
	}
	g, err := s.openStanding(ctx, r.Client, r.Audience, r.From)
	if err != nil {
		return secret.ID{}, err
	}
	if err := r.Still(ctx); err != nil {
		return secret.ID{}, err
	}
	s.standing.put(r.Client.ID, g.ID)
	return g.ID, nil
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
