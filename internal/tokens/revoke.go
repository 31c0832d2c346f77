package tokens

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// clockMargin is added to the time a log entry is kept, for verifiers whose
// clocks run behind.
const clockMargin = 2 * time.Minute

// applyPatience is how long a revocation waits until this node's view has it.
const applyPatience = 5 * time.Second

// Revoke implements authority.Revoker: it ends r's target durably and returns
// once this node's view refuses it.
func (s *Service) Revoke(ctx context.Context, r authority.Revocation) error {
	_, err := s.revoke(ctx, r)
	return err
}

func (s *Service) revoke(ctx context.Context, r authority.Revocation) ([]authority.LogEntry, error) {
	r.Now = s.cfg.Now()
	if r.Token != nil {
		r.Until = r.Token.ExpiresAt.Add(clockMargin)
	} else {
		r.Until = r.Now.Add(s.cfg.MaxLifetime + clockMargin)
	}
	if r.Event.ID.IsZero() {
		r.Event.ID = secret.NewID(r.Now)
	}
	if r.Event.Reason == "" {
		r.Event.Reason = r.Reason
	}
	entries, err := s.cfg.Store.Revoke(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("tokens: revoke: %w", err)
	}
	return entries, s.heard(ctx, entries)
}

// heard waits until this node refuses what was ended: by the entries of a
// revocation, or, when there was nothing left to end, by those of another node that
// was faster, which this one may not have read yet. The answer is a promise either way.
//
// The change is durable whatever happens to the caller now. A node that cannot read
// its log does not refuse by its view: it finds that stale, and asks the store.
func (s *Service) heard(ctx context.Context, entries []authority.LogEntry) error {
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyPatience)
	defer cancel()
	var seq uint64
	var err error
	if n := len(entries); n > 0 {
		seq = entries[n-1].Seq
	} else if _, seq, err = s.cfg.Store.Head(wait); err != nil {
		return fmt.Errorf("tokens: revocation: head of the log: %w", err)
	}
	if err := s.cfg.Log.Applied(wait, seq); err != nil {
		return fmt.Errorf("tokens: revocation is stored, but this node has not applied it yet: %w", err)
	}
	return nil
}

// RevokePresented ends what a client hands back (RFC 7009): the grant of a
// refresh token, or one access token. Anything that is not a live token of ours
// is no error (SPECS REV-2). A token of another client is refused (REV-3). The
// form of the token decides what it is, so a wrong hint cannot hide it.
func (s *Service) RevokePresented(ctx context.Context, token string, client authority.Client, from authority.Context) error {
	if looksLikeRefresh(token) {
		return s.revokeRefresh(ctx, token, client, from)
	}
	t, err := s.access.Verify(ctx, token)
	if err != nil {
		return nil // expired, foreign or garbage: nothing to revoke
	}
	if t.Claims.ClientID != client.ID {
		return oauth.Refuse(oauth.UnauthorizedClient, "the token belongs to another client")
	}
	return s.revokeAccess(ctx, t, token, clientActor(client.ID), "revoked by the client", from)
}

func (s *Service) revokeRefresh(ctx context.Context, token string, client authority.Client, from authority.Context) error {
	r, err := parseRefresh(token)
	if err != nil {
		return nil
	}
	g, err := s.cfg.Store.Grant(ctx, r.grant)
	if errors.Is(err, authority.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tokens: grant of a refresh token: %w", err)
	}
	if !s.refreshIsOurs(r, g) || r.generation > g.Generation {
		return nil
	}
	if g.ClientID != client.ID {
		return oauth.Refuse(oauth.UnauthorizedClient, "the token belongs to another client")
	}
	e := s.newEvent(authority.EventGrantEnded, clientActor(client.ID), g, from)
	return s.endGrant(ctx, g, "revoked by the client", e)
}

func (s *Service) revokeAccess(ctx context.Context, t *jwt.Token, token string, actor authority.Actor, reason string, from authority.Context) error {
	jti, gid, _ := tokenIDs(t.Claims)
	states, err := s.cfg.Store.Tokens(ctx, []secret.ID{jti})
	if err != nil {
		return fmt.Errorf("tokens: registry: %w", err)
	}
	state, known := states[jti]
	digest := secret.ShortDigest(token)
	if !known || !secret.Equal(state.Digest[:], digest[:]) {
		return s.heard(ctx, nil) // revoked already, or never ours
	}
	return s.Revoke(ctx, authority.Revocation{
		Token: &state.Token, Reason: reason,
		Event: authority.Event{
			Type: authority.EventTokenRevoked, Actor: actor, ClientID: t.Claims.ClientID, GrantID: gid, TokenID: jti, Context: from,
		},
	})
}

// RevokeToken ends the access token, or the grant of the refresh token, that an
// operator hands in. ErrNotFound: it is not a live token of this authority.
func (s *Service) RevokeToken(ctx context.Context, token string, actor authority.Actor, reason string) error {
	if looksLikeRefresh(token) {
		r, err := parseRefresh(token)
		if err != nil {
			return authority.ErrNotFound
		}
		g, err := s.cfg.Store.Grant(ctx, r.grant)
		if err != nil {
			return err
		}
		if !s.refreshIsOurs(r, g) {
			return authority.ErrNotFound
		}
		return s.endGrant(ctx, g, reason, s.newEvent(authority.EventGrantEnded, actor, g, authority.Context{}))
	}
	t, err := s.access.Verify(ctx, token)
	if err != nil {
		return fmt.Errorf("%w: %w", authority.ErrNotFound, err)
	}
	return s.revokeAccess(ctx, t, token, actor, reason, authority.Context{})
}
