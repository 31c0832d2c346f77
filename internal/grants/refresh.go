package grants

import (
	"context"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

// refresh answers a refresh token (OAuth 2.1 section 4.3). What a presented
// generation is answered with is the mint's decision.
func (s *Service) refresh(ctx context.Context, r Request, client authority.Client, holder tokens.Holder) (tokens.Issued, error) {
	if r.RefreshToken == "" {
		return tokens.Issued{}, oauth.Refuse(oauth.InvalidRequest, "refresh_token is missing")
	}
	var want oauth.Scope
	if r.Scope != "" {
		scope, ok := oauth.ParseScope(r.Scope)
		if !ok {
			return tokens.Issued{}, oauth.Refuse(oauth.InvalidScope, "scope is malformed")
		}
		want = scope
	}
	return s.cfg.Mint.Refresh(ctx, r.RefreshToken, client, holder, want, r.Context)
}
