package grants

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/dpop"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// Proofs checks the DPoP proofs that come with requests to the authority, each
// good for one request on any node.
type Proofs struct {
	Verifier *jwt.ProofVerifier
	Tickets  authority.TicketStore
	Nonces   *dpop.Nonces // nil: no nonce is asked for
	Now      func() time.Time
}

// clocksApart is how far the clocks of two nodes may be apart.
const clocksApart = time.Second

// Check makes every check of a proof, except whether it was used before: that is
// for spend, when all else is in order, so that strangers write nothing.
// Refusals are *oauth.Error with a *jwt.Error in them.
func (p *Proofs) Check(headers []string, use jwt.ProofUse) (*jwt.Proof, error) {
	if p.Nonces != nil {
		use.Nonce = p.Nonces.Good
	}
	proof, err := p.Verifier.Verify(headers, use)
	switch {
	case err == nil:
		return proof, nil
	case jwt.ReasonOf(err) == jwt.ReasonNonceNeeded:
		return nil, oauth.RefuseCause(oauth.UseDPoPNonce, "the proof needs the nonce that comes with this answer", err)
	}
	return nil, oauth.RefuseCause(oauth.InvalidDPoPProof, "the DPoP proof is not good for this request", err)
}

// Spend marks a proof as used. Of any number of requests with one proof, to any
// node, one gets past it.
func (p *Proofs) Spend(ctx context.Context, proof *jwt.Proof) error {
	err := p.Tickets.CreateTicket(ctx, authority.Ticket{
		Kind: authority.TicketProof, Key: base64.RawURLEncoding.EncodeToString(proof.Mark[:]), ExpiresAt: proof.ExpiresAt,
		Since: proof.NotBefore.Add(-clocksApart),
	}, p.Now())
	if errors.Is(err, authority.ErrConflict) {
		return oauth.RefuseCause(oauth.InvalidDPoPProof, "the DPoP proof was used before", err)
	}
	if err != nil {
		return fmt.Errorf("grants: mark a proof as used: %w", err)
	}
	return nil
}

// holder finds out which key the sender holds. A request without a proof is one
// for bearer tokens, which the client must be allowed to have (RFC 9449 section
// 5.2).
func (s *Service) holder(r Request, client authority.Client) (tokens.Holder, error) {
	if len(r.Proofs) == 0 {
		if client.DPoPBound {
			return tokens.Holder{}, oauth.Refuse(oauth.InvalidRequest, "the client gets only tokens that are bound to a key: a DPoP proof is missing")
		}
		return tokens.Holder{}, nil
	}
	proof, err := s.cfg.Proofs.Check(r.Proofs, jwt.ProofUse{Method: "POST", URL: s.cfg.TokenURL})
	if err != nil {
		return tokens.Holder{}, err
	}
	return tokens.Holder{
		Thumbprint: proof.Thumbprint,
		Spend:      func(ctx context.Context) error { return s.cfg.Proofs.Spend(ctx, proof) },
	}, nil
}
