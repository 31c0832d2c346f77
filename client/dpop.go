package client

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

const (
	proofHeader = "DPoP"
	nonceHeader = "DPoP-Nonce"
	maxNonce    = 1 << 10 // bytes; longer ones are not kept
)

// Proof makes a DPoP proof for one request with the token (RFC 9449 section 7.1), for those who send requests
// without a [Transport]: it goes into the header DPoP, and the token after the scheme DPoP. nonce is the last that
// the API gave out in DPoP-Nonce, or "". A bearer token needs no proof: the result is "".
func (t Token) Proof(method, url, nonce string) (string, error) {
	if t.key == nil {
		return "", nil
	}
	return jwt.NewProof(t.key, jwt.Presentation{Method: method, URL: url, AccessToken: t.AccessToken.Reveal(), Nonce: nonce})
}

// nonces are the last of each origin. The zero value is ready.
type nonces struct {
	mu       sync.Mutex
	byOrigin map[string]string // guarded by mu
}

func (n *nonces) of(u *url.URL) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.byOrigin[origin(u)]
}

// keep takes down the nonce that came with an answer from u.
func (n *nonces) keep(u *url.URL, h http.Header) {
	nonce := h.Get(nonceHeader)
	if nonce == "" || len(nonce) > maxNonce {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byOrigin == nil {
		n.byOrigin = make(map[string]string)
	}
	n.byOrigin[origin(u)] = nonce
}

// prove adds a proof by the key to a request to the token endpoint.
func (n *nonces) prove(r *http.Request, key *jwk.Key, now time.Time) error {
	proof, err := jwt.NewProof(key, jwt.Presentation{Method: r.Method, URL: r.URL.String(), Nonce: n.of(r.URL), Now: now})
	if err == nil {
		r.Header.Set(proofHeader, proof)
	}
	return err
}

// wantsNonce reports whether an API refused a request for its nonce alone, and told one (RFC 9449 section 9).
func wantsNonce(resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized && resp.Header.Get(nonceHeader) != "" &&
		slices.ContainsFunc(oauth.ParseChallenges(resp.Header.Values("WWW-Authenticate")), func(c oauth.AuthChallenge) bool {
			return c.Scheme == "dpop" && oauth.Code(c.Params["error"]) == oauth.UseDPoPNonce
		})
}
