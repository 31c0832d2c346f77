package endpoint

import (
	"net/http"

	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// giveNonce tells the client the nonce for its next proofs (RFC 9449 section 8),
// where they need one.
func (h *Handler) giveNonce(w http.ResponseWriter) {
	if h.cfg.Proofs.Nonces != nil {
		w.Header().Set("DPoP-Nonce", h.cfg.Proofs.Nonces.New())
	}
}

// proofAlgorithms are those that DPoP proofs may use.
func (h *Handler) proofAlgorithms() []string {
	var names []string
	for _, alg := range h.cfg.Proofs.Verifier.Algorithms() {
		names = append(names, string(alg))
	}
	return names
}

// presented is a token as it came with a request to a protected resource.
type presented struct {
	token string
	dpop  bool // after the scheme DPoP
}

// holds checks that whoever presents a token may: one that is bound to a key
// comes after the scheme DPoP, with a proof for this request (RFC 9449 section
// 7.1), and any other one after Bearer.
func (h *Handler) holds(w http.ResponseWriter, r *http.Request, p presented, c *jwt.Claims) error {
	cnf := c.Confirmation
	switch {
	case !c.Has("cnf") && !p.dpop:
		return nil
	case cnf.Others || cnf.CertificateThumbprint != "" || c.Has("cnf") && cnf.KeyThumbprint == "":
		return &bearerError{code: oauth.InvalidToken, reason: "unsupported_restriction", dpop: p.dpop}
	case !c.Has("cnf"):
		return &bearerError{code: oauth.InvalidToken, reason: "token_not_bound", dpop: true}
	case !p.dpop:
		return &bearerError{code: oauth.InvalidToken, reason: "bound_token_as_bearer", dpop: true}
	}
	use := jwt.ProofUse{Method: r.Method, URL: h.cfg.Issuer + "/userinfo", AccessToken: p.token, Thumbprint: cnf.KeyThumbprint}
	proof, err := h.cfg.Proofs.Check(r.Header.Values("DPoP"), use)
	if err == nil {
		err = h.cfg.Proofs.Spend(r.Context(), proof)
	}
	code := oauth.CodeOf(err)
	switch {
	case err == nil:
		if n := h.cfg.Proofs.Nonces; n != nil && n.Aging(proof.Nonce) {
			h.giveNonce(w)
		}
		return nil
	case code == "":
		return err
	case code == oauth.UseDPoPNonce:
		h.giveNonce(w)
	case jwt.ReasonOf(err) == jwt.ReasonWrongKey:
		code = oauth.InvalidToken // another's token: no proof will help
	}
	return &bearerError{code: code, reason: oauth.ReasonOfProof(reasonOf(err)), dpop: true, cause: err}
}

// reasonOf is the reason for which a proof was refused.
func reasonOf(err error) string {
	if reason := jwt.ReasonOf(err); reason != "" {
		return reason
	}
	return "replayed"
}
