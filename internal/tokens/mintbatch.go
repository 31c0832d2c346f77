package tokens

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwt"
)

// Mint is one token to be made in a batch. Whether it may be made is decided
// before.
type Mint struct {
	Grant    authority.Grant // of a person; zero for the client's standing grant
	Subject  string          // without a person: the client or one of its service accounts
	Audience string
	Scope    []string
	Lifetime time.Duration
	Claims   map[string]any
	Narrow   Restriction
	Reason   string // for a person's token
}

// MintedToken is a token of a batch that is committed.
type MintedToken struct {
	Token     secret.Value
	ID        secret.ID
	GrantID   secret.ID
	ExpiresAt time.Time
}

// MintGrant is the grant of a person's minted tokens: no refresh, no sign-in
// behind it, and over when the last of its tokens is, or the session if one is named.
func (s *Service) MintGrant(client authority.Client, account, session secret.ID, from authority.Context) authority.Grant {
	now := s.cfg.Now()
	return authority.Grant{
		ID: secret.NewID(now), Type: authority.GrantMint, ClientID: client.ID, AccountID: account, SessionID: session,
		First: from, Last: from, CreatedAt: now, LastUsed: now, RotatedAt: now,
	}
}

// MintAll signs the tokens on all cores and commits them as b, all or none.
// answer makes what is remembered of the batch, before it is committed.
// ErrEnded: an account, session, grant or registration is not what it was;
// decide again. ErrConflict: there is a batch of this key. ErrUsed: the request
// was carried out before.
func (s *Service) MintAll(ctx context.Context, client authority.Client, wanted []Mint, b authority.MintBatch, answer func([]MintedToken) ([]byte, error), from authority.Context, still func(context.Context) error) ([]MintedToken, error) {
	b.ClientID, b.ClientVersion, b.Now = client.ID, client.Version, s.cfg.Now()
	var standing secret.ID
	for _, m := range wanted {
		if m.Grant.ID.IsZero() && standing.IsZero() {
			var err error
			if standing, err = s.standingGrant(ctx, ClientRequest{
				Client: client, Audience: []string{m.Audience}, From: from, Still: still,
			}); err != nil {
				return nil, err
			}
		}
	}
	made := make([]MintedToken, len(wanted))
	b.Tokens = make([]authority.Token, len(wanted))
	var next atomic.Int64
	var work sync.WaitGroup
	var once sync.Once
	var failed error
	for range min(runtime.GOMAXPROCS(0), len(wanted)) {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(wanted); i = int(next.Add(1)) - 1 {
				token, row, err := s.mintOne(client, wanted[i], standing)
				if err != nil {
					once.Do(func() { failed = err })
					return
				}
				b.Tokens[i] = row
				made[i] = MintedToken{secret.New(token), row.ID, row.GrantID, row.ExpiresAt}
			}
		})
	}
	work.Wait()
	if failed != nil {
		return nil, failed
	}
	var err error
	if b.Key != "" || !b.Request.IsZero() {
		if b.Answer, err = answer(made); err != nil {
			return nil, err
		}
	}
	if err := s.cfg.Store.IssueBatch(ctx, b); err != nil {
		if !standing.IsZero() {
			s.standing.drop(client.ID, standing) // it may be what ended
		}
		return nil, err
	}
	return made, nil
}

func (s *Service) mintOne(client authority.Client, m Mint, standing secret.ID) (string, authority.Token, error) {
	g := m.Grant
	g.ClientID, g.Audience = client.ID, []string{m.Audience}
	if g.ID.IsZero() {
		g.ID = standing
	}
	return s.accessToken(g, m.Scope, m.Lifetime, m.Narrow.claim, func(c *jwt.Claims) {
		c.ExpiresAt = c.IssuedAt + int64(m.Lifetime/time.Second)
		if len(m.Claims) > 0 {
			c.Extra = m.Claims
		}
		if g.AccountID.IsZero() {
			c.Subject = m.Subject
			return
		}
		// Nobody signed in for this token, so it says nothing of a sign-in; and
		// it names who acts (RFC 8693 section 4.1).
		c.AuthTime, c.ACR, c.AMR = 0, "", nil
		c.Actor, _ = json.Marshal(map[string]string{"sub": client.ID}) // a text always marshals
		extra := map[string]any{"reason": m.Reason}
		for name, value := range m.Claims {
			extra[name] = value
		}
		c.Extra = extra
	})
}

// MintedAlready is the answer to a batch of this key, authority.ErrNotFound if
// there is none.
func (s *Service) MintedAlready(ctx context.Context, client, key string) (authority.MintAnswer, error) {
	a, err := s.cfg.Store.MintAnswer(ctx, client, key, s.cfg.Now())
	if err != nil {
		return a, fmt.Errorf("tokens: remembered batch: %w", err)
	}
	return a, nil
}
