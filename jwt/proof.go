package jwt

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"

	"github.com/jetonhq/jeton/jwk"
)

const (
	maxProofBytes = 4 << 10 // an RSA key of 4096 bits and its signature fit
	maxProofID    = 256     // bytes of a jti
	proofIDBytes  = 16      // random, of the proofs made here
)

// proofAlgorithms are those a [ProofVerifier] takes when it is not told others.
var proofAlgorithms = []jwk.Algorithm{jwk.ES256, jwk.Ed25519, jwk.EdDSA, jwk.PS256}

// ProofConfig says which DPoP proofs a [ProofVerifier] accepts. The zero value
// is usable.
type ProofConfig struct {
	// Algorithms of proofs, none of them symmetric. Default ES256, Ed25519, EdDSA,
	// PS256.
	Algorithms []jwk.Algorithm

	// MaxAge is how long ago a proof may have been made. Default one minute.
	MaxAge time.Duration

	// FutureLeeway is how far ahead of the clock iat may be, at most a minute. Zero
	// means 10 seconds, negative none.
	FutureLeeway time.Duration

	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// ProofVerifier checks DPoP proofs (RFC 9449 section 4.3). It is safe for
// concurrent use. It remembers nothing: whoever wants each proof to be good for
// once keeps [Proof.Mark] until [Proof.ExpiresAt].
type ProofVerifier struct{ verifier *Verifier }

// ProofUse is what a proof is presented for.
type ProofUse struct {
	// Method and URL are those of the request, as its sender knows them. Of the
	// URL, query and fragment do not count.
	Method, URL string

	// AccessToken is the token that came along, exactly as it was sent; "" where
	// none is expected, at the token endpoint.
	AccessToken string

	// Thumbprint is the key that the proof must be made with; "" for any.
	Thumbprint string

	// Nonce reports whether a nonce is one that we gave out lately. Nil demands
	// none.
	Nonce func(nonce string) bool
}

// Proof is a DPoP proof that was accepted.
type Proof struct {
	Thumbprint string    // of its key (RFC 7638)
	Nonce      string    // as it was sent; "" for none
	IssuedAt   time.Time // iat
	NotBefore  time.Time // before that it was refused as made in the future
	ExpiresAt  time.Time // from here on it is refused as too old

	// Mark names the proof among all others: a digest of its key and its jti.
	Mark [sha256.Size]byte
}

// NewProofVerifier checks the configuration and reports all its problems at
// once.
func NewProofVerifier(c ProofConfig) (*ProofVerifier, error) {
	if len(c.Algorithms) == 0 {
		c.Algorithms = proofAlgorithms
	}
	v, err := NewVerifier(Config{
		Profile: DPoPProof, Algorithms: c.Algorithms, MaxAge: c.MaxAge, FutureLeeway: c.FutureLeeway,
		MaxBytes: maxProofBytes, Now: c.Now,
	})
	if err != nil {
		return nil, err
	}
	return &ProofVerifier{v}, nil
}

// Algorithms are those a proof may use, in the order of the configuration.
func (p *ProofVerifier) Algorithms() []jwk.Algorithm {
	return slices.Clone(p.verifier.config.Algorithms)
}

// Verify makes every check of RFC 9449 section 4.3, given the values of all the
// request's DPoP headers: that there is exactly one, its form and type, an
// algorithm on the list, a public key and nothing private inside, the signature,
// all claims, the time, method and URL, the access token, the key, and last the
// nonce, so that only a sender whose proof is otherwise good is told one. The
// error is an [*Error]; see [ReasonOf].
func (p *ProofVerifier) Verify(headers []string, use ProofUse) (*Proof, error) {
	switch len(headers) {
	case 0:
		return nil, &Error{Reason: ReasonMissingProof}
	case 1:
	default:
		return nil, malformed("more than one proof")
	}
	// The key is in the proof: nothing waits.
	t, err := p.verifier.Verify(context.Background(), headers[0])
	if err != nil {
		return nil, err
	}
	c := &t.Claims
	thumbprint := t.Key.Thumbprint()
	switch {
	case len(c.ID) > maxProofID:
		return nil, malformed("jti is too long")
	case c.HTTPMethod != use.Method:
		return nil, &Error{Reason: ReasonWrongMethod}
	case !sameTarget(c.HTTPURI, use.URL):
		return nil, &Error{Reason: ReasonWrongURL}
	case use.AccessToken != "" && c.TokenHash != TokenHash(use.AccessToken):
		return nil, &Error{Reason: ReasonWrongToken}
	case use.Thumbprint != "" && thumbprint != use.Thumbprint:
		return nil, &Error{Reason: ReasonWrongKey}
	case use.Nonce != nil && (c.Nonce == "" || !use.Nonce(c.Nonce)):
		return nil, &Error{Reason: ReasonNonceNeeded}
	}
	return &Proof{
		Thumbprint: thumbprint, Nonce: c.Nonce, IssuedAt: c.Issued(), Mark: sha256.Sum256([]byte(thumbprint + " " + c.ID)),
		NotBefore: c.Issued().Add(-p.verifier.config.FutureLeeway),
		// Ages are compared in whole seconds: the last good one is over a second later.
		ExpiresAt: c.Issued().Add(p.verifier.config.MaxAge + time.Second),
	}, nil
}

// TokenHash is the claim ath for an access token (RFC 9449 section 4.2): the
// SHA-256 of its text, base64url.
func TokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ValidThumbprint reports whether s has the form of an RFC 7638 SHA-256
// thumbprint: 43 characters of base64url.
func ValidThumbprint(s string) bool {
	if len(s) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return false
	}
	_, ok := appendDecoded(nil, s)
	return ok
}

// Presentation is the request that a proof is made for.
type Presentation struct {
	Method, URL string
	AccessToken string    // that the request carries; "" for none
	Nonce       string    // the last that the server gave out; "" for none
	Now         time.Time // zero means time.Now
}

// NewProof makes a DPoP proof (RFC 9449 section 4.2) with a random jti. It is
// good for one request, at once.
func NewProof(key *jwk.Key, p Presentation) (string, error) {
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	var id [proofIDBytes]byte
	_, _ = rand.Read(id[:]) // never fails
	claims := Claims{
		ID: base64.RawURLEncoding.EncodeToString(id[:]), HTTPMethod: p.Method, HTTPURI: withoutQuery(p.URL),
		IssuedAt: p.Now.Unix(), Nonce: p.Nonce,
	}
	if p.AccessToken != "" {
		claims.TokenHash = TokenHash(p.AccessToken)
	}
	return SignDPoP(key, &claims)
}
