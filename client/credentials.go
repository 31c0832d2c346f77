package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jetonhq/jeton/oauth"
)

// Credentials returns a source for a program that acts in its own name (client credentials grant, OAuth 2.1
// section 4.2). It makes no request before the first token is asked for.
//
// Errors of the source wrap an [*oauth.Error] when the authority refused, for example with
// oauth.InvalidClient.
func Credentials(c Config) (*Keeper, error) {
	e, err := c.endpoint()
	switch {
	case err != nil:
		return nil, err
	case c.Secret.Empty():
		return nil, errors.New("client: Secret is missing")
	case c.Store != nil:
		return nil, errors.New("client: Store is for Refresh; client credentials leave nothing to keep")
	}
	if _, ok := oauth.ParseScope(c.Scope); !ok {
		return nil, errors.New("client: Scope is malformed")
	}
	return newKeeper(c, func(ctx context.Context, _ Token) (Token, error) {
		form := url.Values{"grant_type": {oauth.ClientCredentials}}
		if c.Scope != "" {
			form.Set("scope", c.Scope)
		}
		a, err := e.with(c.Key).ask(ctx, form)
		if err != nil {
			return Token{}, fmt.Errorf("client: get a token with client credentials: %w", err)
		}
		return a.token, nil
	}), nil
}
