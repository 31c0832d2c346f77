package tokens

import (
	"context"
	"errors"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// Hint is what an ID token says about whom it was issued for.
type Hint struct {
	Subject   string
	SessionID string
	ClientID  string
}

// IDTokenHint reads an id_token_hint: our signature is required, expiry is not
// (OpenID Connect Core section 3.1.2.1, RP-Initiated Logout section 2).
func (s *Service) IDTokenHint(ctx context.Context, token string) (Hint, error) {
	t, err := s.hints.Verify(ctx, token)
	if err != nil {
		return Hint{}, err
	}
	if len(t.Claims.Audience) != 1 {
		return Hint{}, errors.New("tokens: hint has not exactly one audience")
	}
	return Hint{Subject: t.Claims.Subject, SessionID: t.Claims.SessionID, ClientID: t.Claims.Audience[0]}, nil
}

// Person returns the account behind a checked access token that carries the
// openid scope. ErrNotFound: there is none, or it is disabled.
func (s *Service) Person(ctx context.Context, subject string, scope oauth.Scope) (authority.Account, error) {
	id, err := secret.ParseID(subject)
	if err != nil || !scope.Has(oauth.ScopeOpenID) {
		return authority.Account{}, authority.ErrNotFound
	}
	a, err := s.cfg.Store.Account(ctx, id)
	if err != nil {
		return authority.Account{}, err
	}
	if a.Disabled {
		return authority.Account{}, authority.ErrNotFound
	}
	return a, nil
}
