package jwt

import (
	"errors"

	"github.com/jetonhq/jeton/jwk"
)

// Reasons why a token is refused. They are stable: other programs may act on
// them.
const (
	ReasonMalformed       = "malformed"        // not a compact JWS with strict JSON, or a claim of the wrong type
	ReasonWrongType       = "wrong_type"       // another kind of token
	ReasonWrongAlgorithm  = "wrong_algorithm"  // not on the list, or not the key's
	ReasonUnknownKey      = "unknown_key"      // no key with this id, or no id and several keys
	ReasonKeysUnavailable = "keys_unavailable" // the key source could not answer: not the token's fault
	ReasonBadSignature    = "bad_signature"    // no candidate key verifies it
	ReasonWrongIssuer     = "wrong_issuer"     // iss differs
	ReasonWrongAudience   = "wrong_audience"   // aud does not contain us, or contains too much
	ReasonWrongSubject    = "wrong_subject"    // sub breaks a rule of the profile
	ReasonExpired         = "expired"          // exp has come
	ReasonNotYetValid     = "not_yet_valid"    // nbf has not come
	ReasonIssuedInFuture  = "issued_in_future" // iat is ahead of the clock
	ReasonTooOld          = "too_old"          // iat is longer ago than allowed
	ReasonMissingClaim    = "missing_claim"    // a required claim is absent or empty
	ReasonForbiddenClaim  = "forbidden_claim"  // a claim that this kind of token must not have

	// Of DPoP proofs alone.
	ReasonMissingProof = "missing_proof" // the request has no proof
	ReasonWrongMethod  = "wrong_method"  // htm is not the method of the request
	ReasonWrongURL     = "wrong_url"     // htu is not the URL of the request
	ReasonWrongToken   = "wrong_token"   // ath is absent, or of another access token
	ReasonWrongKey     = "wrong_key"     // made with another key than the token is bound to
	ReasonNonceNeeded  = "nonce_needed"  // nonce is absent, or not one of ours, or too old
)

// Error is a refusal. Detail says more in fixed words, never with content of the
// token. Err is the cause, if there is one, for errors.Is.
type Error struct {
	Reason string
	Detail string
	Err    error
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return "jwt: " + e.Reason
	}
	return "jwt: " + e.Reason + ": " + e.Detail
}

func (e *Error) Unwrap() error { return e.Err }

// Is reports a match with the sentinels of this package: errors with the same
// reason and nothing else.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason && t.Detail == "" && t.Err == nil
}

// One sentinel per reason, for errors.Is.
var (
	ErrMalformed       = &Error{Reason: ReasonMalformed}
	ErrWrongType       = &Error{Reason: ReasonWrongType}
	ErrWrongAlgorithm  = &Error{Reason: ReasonWrongAlgorithm}
	ErrUnknownKey      = &Error{Reason: ReasonUnknownKey}
	ErrKeysUnavailable = &Error{Reason: ReasonKeysUnavailable}
	ErrBadSignature    = &Error{Reason: ReasonBadSignature}
	ErrWrongIssuer     = &Error{Reason: ReasonWrongIssuer}
	ErrWrongAudience   = &Error{Reason: ReasonWrongAudience}
	ErrWrongSubject    = &Error{Reason: ReasonWrongSubject}
	ErrExpired         = &Error{Reason: ReasonExpired}
	ErrNotYetValid     = &Error{Reason: ReasonNotYetValid}
	ErrIssuedInFuture  = &Error{Reason: ReasonIssuedInFuture}
	ErrTooOld          = &Error{Reason: ReasonTooOld}
	ErrMissingClaim    = &Error{Reason: ReasonMissingClaim}
	ErrForbiddenClaim  = &Error{Reason: ReasonForbiddenClaim}
	ErrMissingProof    = &Error{Reason: ReasonMissingProof}
	ErrWrongMethod     = &Error{Reason: ReasonWrongMethod}
	ErrWrongURL        = &Error{Reason: ReasonWrongURL}
	ErrWrongToken      = &Error{Reason: ReasonWrongToken}
	ErrWrongKey        = &Error{Reason: ReasonWrongKey}
	ErrNonceNeeded     = &Error{Reason: ReasonNonceNeeded}
)

// ReasonOf is the reason inside err, or "" if err is no refusal of this package.
func ReasonOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	switch {
	case errors.Is(err, jwk.ErrUnknownKey):
		return ReasonUnknownKey
	case errors.Is(err, jwk.ErrUnavailable):
		return ReasonKeysUnavailable
	case errors.Is(err, jwk.ErrSignature):
		return ReasonBadSignature
	}
	return ""
}

func malformed(detail string) error { return &Error{Reason: ReasonMalformed, Detail: detail} }
