package grants

import (
	"context"
	"errors"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

// errCode is the one refusal of a code: it never says why (COD-1, COD-2).
func errCode(cause string) error {
	return oauth.RefuseFor(oauth.ReasonInvalidCode, "the code is invalid, expired or used", errors.New(cause))
}

// code redeems an authorization code (OAuth 2.1 section 4.1.3).
func (s *Service) code(ctx context.Context, r Request, client authority.Client, holder tokens.Holder) (tokens.Issued, error) {
	if r.Code == "" {
		return tokens.Issued{}, oauth.Refuse(oauth.InvalidRequest, "code is missing")
	}
	code, err := s.presentedCode(ctx, r, client, holder)
	if err != nil {
		return tokens.Issued{}, err
	}
	// From here on the presenter has proved to be the rightful one, so a second
	// time is a valid replay (COD-5): the grant of the first ends with it.
	if !code.GrantID.IsZero() {
		return tokens.Issued{}, s.endReplayed(ctx, code, r)
	}
	issued, err := s.cfg.Mint.RedeemCode(ctx, code, client, holder, r.Context)
	switch {
	case errors.Is(err, authority.ErrUsed):
		// Another request redeemed it between our look and the commit. Its grant
		// is found by looking again.
		code, err := s.presentedCode(ctx, r, client, holder)
		if err != nil {
			return tokens.Issued{}, err
		}
		return tokens.Issued{}, s.endReplayed(ctx, code, r)
	case errors.Is(err, authority.ErrNotFound):
		return tokens.Issued{}, errCode("expired")
	case errors.Is(err, authority.ErrEnded):
		return tokens.Issued{}, errCode("its session is over or its account disabled")
	}
	return issued, err
}

// presentedCode finds the code and checks everything that binds it, consuming
// nothing.
func (s *Service) presentedCode(ctx context.Context, r Request, client authority.Client, holder tokens.Holder) (authority.Code, error) {
	id, ok := tokens.CodeID(r.Code)
	if !ok {
		return authority.Code{}, errCode("not of the form of a code")
	}
	code, err := s.cfg.Codes.Code(ctx, id)
	if errors.Is(err, authority.ErrNotFound) {
		return code, errCode("no such code")
	}
	if err != nil {
		return code, fmt.Errorf("grants: look up code: %w", err)
	}
	digest := secret.Digest(r.Code)
	switch {
	case !secret.Equal(digest[:], code.Digest[:]):
		return code, errCode("the secret part is wrong")
	case code.ClientID != client.ID: // COD-1
		return code, errCode("it belongs to another client")
	case code.GrantID.IsZero() && !s.cfg.Now().Before(code.ExpiresAt): // COD-2; a used one is a replay however late
		return code, errCode("expired")
	case r.RedirectURI != "" && r.RedirectURI != code.RedirectURI: // COD-4
		return code, errCode("redirect_uri differs from the one of the authorization request")
	case code.KeyThumbprint != "" && code.KeyThumbprint != holder.Thumbprint: // COD-7, RFC 9449 section 10
		return code, errCode("it is bound to a DPoP key, and the sender has not shown that key")
	}
	return code, verifierMatches(r.CodeVerifier, code.Challenge)
}

// verifierMatches applies COD-3: a verifier if and only if there was a
// challenge.
func verifierMatches(verifier, challenge string) error {
	switch {
	case challenge == "" && verifier == "":
		return nil
	case challenge == "":
		return oauth.Refuse(oauth.InvalidRequest, "code_verifier was sent, but the authorization request had no code_challenge")
	case verifier == "":
		return oauth.RefuseFor(oauth.ReasonWrongCodeVerifier, "code_verifier is missing", nil)
	case !oauth.VerifierMatches(verifier, challenge):
		return oauth.RefuseFor(oauth.ReasonWrongCodeVerifier, "code_verifier does not belong to the code_challenge", nil)
	}
	return nil
}

// endReplayed ends what a code made when it was first redeemed (RFC 6749
// section 4.1.2; SPECS COD-5, 20.7: the session stays).
//
// Concurrent redemptions by the rightful client are replays too: a client that
// sends one code twice cannot be told from a thief who has both the code and
// the verifier.
func (s *Service) endReplayed(ctx context.Context, code authority.Code, r Request) error {
	err := s.cfg.Revoker.Revoke(ctx, authority.Revocation{
		Grant: code.GrantID, Reason: oauth.ReasonCodeReplayed, Code: oauth.ReasonCodeReplayed,
		Event: authority.Event{
			Type: authority.EventCodeReplayed, Actor: authority.Actor{Kind: "client", ID: code.ClientID}, AccountID: code.AccountID,
			ClientID: code.ClientID, SessionID: code.SessionID, GrantID: code.GrantID, Context: r.Context,
		},
	})
	if err != nil {
		return fmt.Errorf("grants: end the grant of a replayed code: %w", err)
	}
	return errCode("used before: the grant it made was ended")
}
