package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jetonhq/jeton/oauth"
)

// Endpoint makes single requests to the authority, for servers that sign people in and keep the tokens of many
// by themselves, such as package bff. Programs want [Credentials] or [Refresh]. It is safe for concurrent use.
type Endpoint struct {
	tokens     *endpoint
	revocation string
}

// Answer is what the token endpoint gave. Secrets that did not come are empty.
type Answer struct {
	Token        Token
	RefreshToken Secret
	IDToken      Secret // not verified
}

// NewEndpoint checks the configuration, of which Issuer, ID, Secret, Key, HTTPClient, Now and InsecureHTTP count.
func NewEndpoint(c Config) (*Endpoint, error) {
	if c.Issuer == "" || c.TokenURL != "" {
		return nil, errors.New("client: an Endpoint is found by its Issuer")
	}
	e, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	return &Endpoint{e, strings.TrimSuffix(c.Issuer, "/") + "/revoke"}, nil
}

// Redeem turns an authorization code into tokens (OAuth 2.1 section 4.1.3). It asks once, whatever happens: a code
// that is presented twice is taken for stolen.
func (e *Endpoint) Redeem(ctx context.Context, code, redirectURI, verifier string) (Answer, error) {
	a, err := e.tokens.with(e.tokens.key).attempt(ctx, url.Values{
		"grant_type": {oauth.AuthorizationCode}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier},
	})
	if err != nil {
		return Answer{}, fmt.Errorf("client: redeem a code: %w", err)
	}
	return Answer{a.token, a.refresh, a.id}, nil
}

// Refresh turns a refresh token into its successor and an access token (OAuth 2.1 section 4.3). An answer that is
// lost is asked for once more. Without a new refresh token in the answer, the old one stays good.
func (e *Endpoint) Refresh(ctx context.Context, token Secret) (Answer, error) {
	a, err := e.tokens.with(e.tokens.key).ask(ctx, url.Values{"grant_type": {oauth.RefreshToken}, "refresh_token": {token.Reveal()}})
	if err != nil {
		return Answer{}, fmt.Errorf("client: refresh: %w", err)
	}
	return Answer{a.token, a.refresh, a.id}, nil
}

// Revoke ends the grant of a refresh token (RFC 7009). That there is nothing to end is no error.
func (e *Endpoint) Revoke(ctx context.Context, token Secret) error {
	form := url.Values{"token": {token.Reveal()}, "token_type_hint": {oauth.HintRefreshToken}}
	at := (&endpoint{url: e.revocation, id: e.tokens.id, secret: e.tokens.secret, http: e.tokens.http, now: e.tokens.now}).with(nil)
	got, err := at.post(ctx, form)
	if err == nil && got.status != http.StatusOK {
		err = at.failure(got, form)
	}
	if err != nil {
		return fmt.Errorf("client: revoke: %w", err)
	}
	return nil
}

// RetryAfter is how long the authority asked not to be asked again, in the error of a request to it; 0 if it did
// not.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*endpointError](err); ok {
		return e.retryAfter
	}
	return 0
}
