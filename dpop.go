package jeton

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"

	"github.com/jetonhq/jeton/internal/dpop"
	"github.com/jetonhq/jeton/internal/seen"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

const (
	proofHeader = "Dpop" // DPoP, as net/http has it
	nonceHeader = "DPoP-Nonce"

	defaultProofs = 1_000_000
)

// RequireDPoP demands that the token is bound to a key (RFC 9449): one that was stolen is then worth nothing
// without the key. Bound tokens come as "Authorization: DPoP" with a proof in the header DPoP, made for this
// request; the guard checks that with or without this demand, and refuses them after Bearer. See
// [Config.RequireDPoP] for an API that takes no others anywhere.
func RequireDPoP() Demand { return Demand{kind: demandDPoP} }

// InsecureSkipProof takes a token that is bound to a key without a proof, also outside of HTTP: the guard says
// whether the token is good, and whoever calls [Guard.Check] has to check who may present it, as in an answer to
// an introspection request ([jwt.ProofVerifier]). Without that, a stolen token works.
func InsecureSkipProof() Demand { return Demand{kind: demandSkipProof} }

// scheme is how a token came.
type scheme uint8

const (
	bearerScheme scheme = iota // or without any
	dpopScheme
)

// schemeOf is how the token of a request came.
func schemeOf(r *http.Request) scheme {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return bearerScheme
	}
	_, as, _ := extractValue(values[0])
	return as
}

// proofs checks who presents a bound token.
type proofs struct {
	verifier *jwt.ProofVerifier
	seen     *dpop.Seen
	nonces   *dpop.Nonces // nil: none is asked for
	names    []string     // of the algorithms
}

func newProofs(c Config, clock *clock) (*proofs, error) {
	verifier, err := jwt.NewProofVerifier(jwt.ProofConfig{Now: c.Now})
	if err != nil {
		return nil, err
	}
	p := &proofs{verifier: verifier, seen: dpop.NewSeen(c.Cache.Proofs)}
	for _, alg := range verifier.Algorithms() {
		p.names = append(p.names, string(alg))
	}
	if c.DPoPNonce {
		key := nonceKey(c)
		p.nonces = &dpop.Nonces{
			Keys: func() [][]byte { return [][]byte{key} }, Label: c.Audience, Now: clock.time,
		}
	}
	return p, nil
}

// nonceKey is the same in all processes of an API, as far as they share its credentials: a nonce from one is then
// good for the next request, wherever that goes.
func nonceKey(c Config) []byte {
	secret := make([]byte, sha256.Size)
	if c.Client.none() {
		_, _ = rand.Read(secret) // never fails
	} else {
		secret = []byte(*c.Client.secret)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("jeton guard: DPoP nonces"))
	return mac.Sum(nil)
}

// bindable reports whether the guard can check proofs: it must know its URLs.
func (g *Guard) bindable() bool { return g.config.PublicURL != "" }

// held holds a good token against the way it was presented: a bound one by the holder of its key, with a proof
// for this request, and any other one as a bearer token (RFC 9449 sections 7.1 and 7.2).
func (g *Guard) held(e *seen.Entry[record], r *rule, now instant) *Refusal {
	key := ""
	if b := e.Value.bound; b != nil {
		key = b.key
	}
	switch {
	case key == "" && r.requireDPoP:
		return refuse(ReasonDPoPRequired)
	case key == "" && r.scheme == dpopScheme:
		return refuse(ReasonTokenNotBound)
	case key == "" || r.skipProof:
		return nil
	case r.request == nil:
		return refuse(ReasonProofMissing)
	case r.scheme != dpopScheme:
		return refuse(ReasonBoundAsBearer)
	case !g.bindable():
		return refuse(ReasonUnsupported)
	}
	use := jwt.ProofUse{
		// A copy: what leaves here on its way to the heap would take the demands of every check with it.
		Method: strings.Clone(r.request.Method), URL: g.config.PublicURL + pathOf(r.request.URL), AccessToken: e.Token(), Thumbprint: key,
	}
	if n := g.proofs.nonces; n != nil {
		use.Nonce = n.Good
	}
	proof, err := g.proofs.verifier.Verify(r.request.Header[proofHeader], use)
	if err != nil {
		return refuse(oauth.ReasonOfProof(jwt.ReasonOf(err)))
	}
	switch err := g.proofs.seen.Add(proof.Mark, proof.ExpiresAt.Unix(), now.seconds()); {
	case errors.Is(err, dpop.ErrReplayed):
		return refuse(ReasonProofReplayed)
	case err != nil:
		return refuse(ReasonProofsFull)
	}
	r.nonce = proof.Nonce
	return nil
}

// nextNonce gives out the nonce for the next proofs, when the last is none of ours or half its life is over.
func (g *Guard) nextNonce(h http.Header, last string) {
	if n := g.proofs.nonces; n != nil && n.Aging(last) {
		h.Set(nonceHeader, n.New())
	}
}

// refused is a refusal as the request gets it. One that came with the scheme DPoP, or has to, is challenged for
// that scheme.
func (r *rule) refused(refusal *Refusal) *Refusal {
	if r.scheme != dpopScheme && !r.requireDPoP {
		return refusal
	}
	under := *refusal
	under.dpop = true
	return &under
}

// underDPoP reports whether the challenge of a refusal is of the scheme DPoP.
func (r *Refusal) underDPoP() bool {
	return r.dpop || r.Reason == ReasonBoundAsBearer || r.Reason == ReasonTokenNotBound || strings.HasPrefix(r.Reason, "dpop_")
}
