package tokens

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// Issued is what one request was answered with. Its tokens are live secrets.
type Issued struct {
	AccessToken  secret.Value
	RefreshToken secret.Value
	IDToken      secret.Value
	TokenType    string // oauth.Bearer or oauth.DPoP
	ExpiresIn    int64  // seconds
	Scope        oauth.Scope
	GrantID      secret.ID
	TokenID      secret.ID
}

// accessToken signs one access token of a grant (RFC 9068) and returns it with
// the registry row that must be committed before it is handed out. Each of with
// adds to the claims what only this token carries.
func (s *Service) accessToken(g authority.Grant, scope []string, lifetime time.Duration, with ...func(*jwt.Claims)) (string, authority.Token, error) {
	key, err := s.accessSigner(g.Audience)
	if err != nil {
		return "", authority.Token{}, err
	}
	now := s.cfg.Now()
	jti := secret.NewID(now)
	exp := now.Add(s.jittered(lifetime, jti)).Truncate(time.Second)

	claims := jwt.Claims{
		Issuer: s.cfg.Issuer, Subject: subject(g), Audience: g.Audience, ClientID: g.ClientID,
		IssuedAt: now.Unix(), ExpiresAt: exp.Unix(), ID: jti.String(),
		Scope: oauth.Scope(scope).String(), GrantID: g.ID.String(),
	}
	// A grant that outlives its session must not carry the session's id: its
	// tokens would die with the session although the grant lives.
	if !g.SessionID.IsZero() {
		claims.SessionID = g.SessionID.String()
	}
	if !g.AccountID.IsZero() {
		claims.AuthTime, claims.ACR, claims.AMR = g.AuthTime.Unix(), g.ACR, g.AMR
	}
	for _, add := range with {
		add(&claims)
	}
	exp = time.Unix(claims.ExpiresAt, 0)
	token, err := jwt.Sign(key, jwt.AccessToken.Type, &claims)
	if err != nil {
		return "", authority.Token{}, fmt.Errorf("tokens: sign access token: %w", err)
	}
	row := authority.Token{ID: jti, GrantID: g.ID, Digest: secret.ShortDigest(token), ExpiresAt: exp}
	if claims.Uses > 0 {
		row.Uses = &claims.Uses
	}
	return token, row, nil
}

// subject is the account, or the client itself when no person is involved
// (RFC 9068 section 2.2).
func subject(g authority.Grant) string {
	if g.AccountID.IsZero() {
		return g.ClientID
	}
	return g.AccountID.String()
}

// jittered varies a lifetime by up to ±AccessJitter of itself, by the token
// id's random bits.
func (s *Service) jittered(d time.Duration, id secret.ID) time.Duration {
	if s.cfg.AccessJitter == 0 {
		return d
	}
	unit := float64(binary.BigEndian.Uint32(id[12:]))/float64(1<<31) - 1 // [-1, 1)
	d += time.Duration(float64(d) * s.cfg.AccessJitter * unit)
	return min(max(d, time.Second), s.cfg.MaxLifetime)
}

// idToken signs an ID token for the grant's client (OpenID Connect Core section
// 2). The nonce is given at the first issue only (section 12.2).
func (s *Service) idToken(g authority.Grant, client authority.Client, sid secret.ID, nonce, accessToken string) (string, error) {
	alg := jwk.Algorithm(client.IDTokenAlg)
	if alg == "" {
		alg = jwk.RS256
	}
	key, err := s.cfg.Keys.Signer(authority.RingID, alg)
	if err != nil {
		return "", err
	}
	now := s.cfg.Now()
	claims := jwt.Claims{
		Issuer: s.cfg.Issuer, Subject: subject(g), Audience: []string{g.ClientID},
		IssuedAt: now.Unix(), ExpiresAt: now.Add(s.cfg.IDLifetime).Unix(),
		AuthTime: g.AuthTime.Unix(), ACR: g.ACR, AMR: g.AMR, Nonce: nonce,
		AccessTokenHash: jwt.HalfHash(alg, accessToken),
	}
	if !sid.IsZero() {
		claims.SessionID = sid.String()
	}
	token, err := jwt.Sign(key, "JWT", &claims)
	if err != nil {
		return "", fmt.Errorf("tokens: sign ID token: %w", err)
	}
	return token, nil
}

// lifetime is how long the client's access tokens live.
func (s *Service) lifetime(c authority.Client) time.Duration {
	if c.AccessLifetime > 0 {
		return min(c.AccessLifetime, s.cfg.MaxLifetime)
	}
	return s.cfg.AccessLifetime
}

func (s *Service) refreshIdle(c authority.Client) time.Duration {
	if c.RefreshIdle > 0 {
		return c.RefreshIdle
	}
	return s.cfg.RefreshIdle
}

func (s *Service) refreshAbsolute(c authority.Client) time.Duration {
	switch {
	case c.RefreshAbsolute > 0:
		return c.RefreshAbsolute
	case c.Public() && !c.Native:
		return min(s.cfg.RefreshAbsolute, browserAbsolute)
	}
	return s.cfg.RefreshAbsolute
}

// newEvent is an event about a grant.
func (s *Service) newEvent(t authority.EventType, actor authority.Actor, g authority.Grant, from authority.Context) authority.Event {
	return authority.Event{
		ID: secret.NewID(s.cfg.Now()), Type: t, Actor: actor, AccountID: g.AccountID, ClientID: g.ClientID,
		SessionID: g.SessionID, GrantID: g.ID, Context: from,
	}
}

// clientActor names a client as the cause of a change.
func clientActor(id string) authority.Actor { return authority.Actor{Kind: "client", ID: id} }

// record writes an event that stands alone. A failure is logged, not returned:
// the refusal it belongs to stands either way.
func (s *Service) record(ctx context.Context, e authority.Event) {
	if err := s.cfg.Store.AppendEvent(ctx, e); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "audit event not written", "type", e.Type, "error", err)
	}
}
