package tokens

import (
	"context"
	"errors"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// RedeemCode turns a checked authorization code into a grant with its first
// tokens, in one commit. Of concurrent calls for one code exactly one succeeds.
//
// ErrUsed: it was redeemed before; the caller knows whether that was a valid
// replay. ErrNotFound: it expired. ErrEnded: its session is over.
func (s *Service) RedeemCode(ctx context.Context, code authority.Code, client authority.Client, holder Holder, from authority.Context) (Issued, error) {
	session, err := s.cfg.Store.Session(ctx, code.SessionID)
	if errors.Is(err, authority.ErrNotFound) {
		return Issued{}, authority.ErrEnded
	}
	if err != nil {
		return Issued{}, fmt.Errorf("tokens: session of the code: %w", err)
	}
	now := s.cfg.Now()
	g := authority.Grant{
		ID: secret.NewID(now), Type: oauth.AuthorizationCode, ClientID: client.ID, AccountID: code.AccountID,
		SessionID: code.SessionID, Scope: code.Scope, Audience: code.Audience,
		AuthTime: code.AuthTime, ACR: code.ACR, AMR: code.AMR, Nonce: code.Nonce, KeyThumbprint: holder.binds(client),
		First: from, Last: from, CreatedAt: now, LastUsed: now,
		ExpiresAt: now.Add(s.refreshAbsolute(client)), Policy: client.RefreshPolicy,
	}
	if g.Policy == "" {
		g.Policy = authority.RefreshStandard
	}
	if oauth.Scope(code.Scope).Has(oauth.ScopeOfflineAccess) {
		g.SessionID = secret.ID{}
	} else if session.ExpiresAt.Before(g.ExpiresAt) {
		g.ExpiresAt = session.ExpiresAt
	}
	g.IdleUntil = minTime(now.Add(s.refreshIdle(client)), g.ExpiresAt)
	if client.AllowsGrant(oauth.RefreshToken) {
		key, err := s.activeRefreshKey()
		if err != nil {
			return Issued{}, err
		}
		g.HasRefresh, g.RefreshKey, g.RotatedAt = true, key.ID(), now
		g.Salt = [16]byte(secret.Bytes(16))
	} else {
		// Nothing can be made under this grant after its first token.
		g.ExpiresAt = minTime(g.ExpiresAt, now.Add(s.cfg.MaxLifetime))
		g.IdleUntil = g.ExpiresAt
	}
	version, err := s.versionOf(ctx, g)
	if err != nil {
		return Issued{}, err
	}
	if err := holder.spend(ctx); err != nil {
		return Issued{}, err
	}
	token, row, err := s.accessToken(g, g.Scope, s.lifetime(client), version, s.bindTo(client, g, from), holder.claim)
	if err != nil {
		return Issued{}, err
	}
	issued, err := s.assemble(g, client, g.Scope, token, row, code.SessionID, code.Nonce, holder)
	if err != nil {
		return Issued{}, err
	}
	err = s.cfg.Store.Redeem(ctx, authority.Redemption{
		Code: code.ID, Grant: g, Token: row, Now: now,
		Event:      s.newEvent(authority.EventGrantCreated, clientActor(client.ID), g, from),
		TellLogout: client.BackchannelLogoutURI != "",
	})
	if err != nil {
		return Issued{}, err
	}
	return issued, nil
}

// assemble puts together the answer for one access token of a grant: with the
// refresh token of its current generation and, for OpenID requests, an ID token.
func (s *Service) assemble(g authority.Grant, client authority.Client, scope []string, token string, row authority.Token, sid secret.ID, nonce string, holder Holder) (Issued, error) {
	out := Issued{
		AccessToken: secret.New(token), TokenType: holder.tokenType(), Scope: scope, GrantID: g.ID, TokenID: row.ID,
		ExpiresIn: row.ExpiresAt.Unix() - s.cfg.Now().Unix(),
	}
	var err error
	if g.HasRefresh {
		if out.RefreshToken, err = s.currentRefresh(g); err != nil {
			return Issued{}, err
		}
	}
	if oauth.Scope(scope).Has(oauth.ScopeOpenID) && !g.AccountID.IsZero() {
		id, err := s.idToken(g, client, sid, nonce, token)
		if err != nil {
			return Issued{}, err
		}
		out.IDToken = secret.New(id)
	}
	return out, nil
}
