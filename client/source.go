package client

import (
	"context"
	"time"

	"github.com/jetonhq/jeton/jwk"
)

// Source hands out access tokens.
type Source interface {
	// Token returns a token that has not expired. It may be called from many goroutines at once.
	Token(ctx context.Context) (Token, error)
}

// Refresher is a Source that can be told that an API refused its token.
type Refresher interface {
	Source
	// Refresh returns another token than used, which an API has refused though it may not have expired. If
	// the source has a newer one already, it returns that.
	Refresh(ctx context.Context, used Token) (Token, error)
}

// Token is an access token and what the authority said about it.
type Token struct {
	AccessToken Secret
	Type        string    // "Bearer", or "DPoP" for one that is bound to a key, see Config.Key
	Expiry      time.Time // from then on APIs refuse the token
	Scope       string    // granted, which may be less than was asked for

	obtained time.Time // when it was asked for; zero when not known
	key      *jwk.Key  // that it is bound to; nil for a bearer token
}

// goodAt reports whether there is a token and it has not expired.
func (t Token) goodAt(now time.Time) bool { return !t.AccessToken.Empty() && now.Before(t.Expiry) }

func (t Token) same(other Token) bool { return t.AccessToken.Equal(other.AccessToken) }
