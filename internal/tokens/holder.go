package tokens

import (
	"context"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// Holder is the key that the sender of a request has proved to hold (RFC 9449):
// the tokens it gets are bound to the key. The zero value is a sender who has
// shown none, and gets bearer tokens.
type Holder struct {
	Thumbprint string // RFC 7638
	// Spend marks the proof as used. It is called once all else about the request is
	// in order, before anything is made or consumed; what it refuses is the
	// request's answer.
	Spend func(context.Context) error
}

func (h Holder) spend(ctx context.Context) error {
	if h.Spend == nil {
		return nil
	}
	return h.Spend(ctx)
}

// claim binds a token to the key.
func (h Holder) claim(c *jwt.Claims) { c.Confirmation.KeyThumbprint = h.Thumbprint }

// tokenType is what the holder's access tokens are called in an answer.
func (h Holder) tokenType() string {
	if h.Thumbprint == "" {
		return oauth.Bearer
	}
	return oauth.DPoP
}

// mayRefresh refuses whoever does not hold the key that the grant is bound to
// (RFC 9449 section 5; SPECS REF-7).
func (h Holder) mayRefresh(g authority.Grant) error {
	switch {
	case g.KeyThumbprint == "" || g.KeyThumbprint == h.Thumbprint:
		return nil
	case h.Thumbprint == "":
		return oauth.Refuse(oauth.InvalidDPoPProof, "the refresh token is bound to a key: a DPoP proof is missing")
	}
	return errRefused(oauth.ReasonWrongKey, "it is bound to a DPoP key, and the sender has shown another")
}

// binds is the key that refresh tokens of the client are bound to from now on.
// Those of a confidential client are bound to its credentials already, and its
// key may change (RFC 9449 section 5).
func (h Holder) binds(client authority.Client) string {
	if !client.Public() {
		return ""
	}
	return h.Thumbprint
}
