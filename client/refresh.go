package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jetonhq/jeton/oauth"
)

// ErrSignInAgain means that there is no refresh token, or that the authority does not take it any more: only
// the person can help. The same refresh token is not sent again; as soon as the store has another one, that
// is used.
var ErrSignInAgain = errors.New("sign in again")

// Refresh returns a source for a program that acts for a person (refresh token grant, OAuth 2.1 section 4.3).
// The refresh token comes from the store, where whatever signed the person in has put it, and its successors
// go there. Several sources, and with a [FileStore] several processes, may share one store. Nothing is read
// before the first token is asked for.
//
// A Keeper belongs to one sign-in: after another person has signed in, make a new one. Errors of the source
// are [ErrSignInAgain], errors of the store, and those described at [Credentials].
func Refresh(c Config) (*Keeper, error) {
	e, err := c.endpoint()
	switch {
	case err != nil:
		return nil, err
	case c.Store == nil:
		return nil, errors.New("client: Store is missing")
	case c.Scope != "":
		return nil, errors.New("client: Scope is for Credentials; a refresh gets what was granted at sign-in")
	}
	l := &lineage{endpoint: e, store: c.Store, onError: c.errorHook()}
	return newKeeper(c, l.renew), nil
}

// lineage follows the generations of one sign-in.
type lineage struct {
	endpoint *endpoint
	store    Store
	onError  func(error)
	refused  Secret // the refresh token that was refused last; only the one renewal under way touches it
}

// renew gets a token that is newer than old.
func (l *lineage) renew(ctx context.Context, old Token) (Token, error) {
	// Without the lock first: a process that starts while another one refreshes need not wait for it.
	if held, err := l.store.Load(ctx); err == nil && l.newer(held, old) {
		return held.token(), nil
	}
	var got Token
	err := l.store.Update(ctx, func(held SignIn) (SignIn, error) {
		if l.newer(held, old) {
			got = held.token() // another process was faster
			return held, nil
		}
		next, err := l.next(ctx, held)
		got = next.Token
		return next, err
	})
	if err == nil {
		return got, nil
	}
	err = fmt.Errorf("client: refresh: %w", err)
	if got.AccessToken.Empty() {
		return Token{}, err
	}
	// The answer came and could not be stored. Its access token is good. Its refresh token is dropped here, so
	// that the one in the store stays the predecessor of the current generation, which still gets an answer.
	l.onError(err)
	return got, nil
}

// newer reports whether the stored token can be used instead of a refresh. The last token of a sign-in that is
// known to be over is not worth beginning with.
func (l *lineage) newer(held SignIn, old Token) bool {
	over := !l.refused.Empty() && held.RefreshToken.Equal(l.refused)
	t := held.Token
	return t.goodAt(l.endpoint.now()) && !over && !t.same(old) && !t.obtained.Before(old.obtained)
}

// next is one step of the lineage.
func (l *lineage) next(ctx context.Context, held SignIn) (SignIn, error) {
	if held.RefreshToken.Empty() {
		return SignIn{}, fmt.Errorf("%w: there is no refresh token", ErrSignInAgain)
	}
	if held.RefreshToken.Equal(l.refused) {
		return SignIn{}, fmt.Errorf("%w: the refresh token was refused before", ErrSignInAgain)
	}
	key := cmp.Or(held.Key, l.endpoint.key)
	a, err := l.endpoint.with(key).ask(ctx, url.Values{
		"grant_type":    {oauth.RefreshToken},
		"refresh_token": {held.RefreshToken.Reveal()},
	})
	if oauth.CodeOf(err) == oauth.InvalidGrant {
		l.refused = held.RefreshToken
		return SignIn{}, fmt.Errorf("%w: %w", ErrSignInAgain, err)
	}
	if err != nil {
		return SignIn{}, err
	}
	next := SignIn{RefreshToken: a.refresh, Token: a.token, Key: key}
	if next.RefreshToken.Empty() { // the client's policy has no rotation
		next.RefreshToken = held.RefreshToken
	}
	return next, nil
}
