package grants

import (
	"context"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

// clientCredentials issues to a program in its own name (OAuth 2.1 section
// 4.2). Only confidential clients may (CC-1). Without a scope parameter the
// program gets what it is registered for; scopes that are about a person mean
// nothing here and are left out.
func (s *Service) clientCredentials(ctx context.Context, r Request, client authority.Client, holder tokens.Holder) (tokens.Issued, error) {
	if client.Public() {
		return tokens.Issued{}, oauth.Refuse(oauth.UnauthorizedClient, "a public client has no credentials")
	}
	allowed := oauth.Scope(client.Scope)
	for _, personal := range []string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeOfflineAccess} {
		allowed = allowed.Without(personal)
	}
	scope := allowed
	if r.Scope != "" {
		want, ok := oauth.ParseScope(r.Scope)
		if !ok {
			return tokens.Issued{}, oauth.Refuse(oauth.InvalidScope, "scope is malformed")
		}
		if scope = want.Only(allowed); len(scope) == 0 {
			return tokens.Issued{}, oauth.RefuseFor(oauth.ReasonScopeNotGranted, "the client may have none of the requested scopes", nil)
		}
	}
	audience := client.Audience
	if audience == "" {
		audience = s.cfg.DefaultAudience
	}
	still := func(ctx context.Context) error {
		_, err := s.cfg.Clients.AuthenticateAgain(ctx, r.Credentials, r.Addr)
		return err
	}
	return s.cfg.Mint.ForClient(ctx, tokens.ClientRequest{
		Client: client, Scope: scope, Audience: []string{audience}, Narrow: r.Narrow, Holder: holder, From: r.Context, Still: still,
	})
}
