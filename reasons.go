package jeton

import (
	"github.com/jetonhq/jeton/oauth"
)

// Codes of refusals. They are stable; [Reasons] says what each means.
const (
	ReasonMissingToken         = oauth.ReasonMissingToken
	ReasonMalformedRequest     = oauth.ReasonMalformedRequest
	ReasonNoSession            = oauth.ReasonNoSession
	ReasonSessionUnavailable   = oauth.ReasonSessionUnavailable
	ReasonCrossOrigin          = oauth.ReasonCrossOrigin
	ReasonCookieNotAllowed     = oauth.ReasonCookieNotAllowed
	ReasonTokenInURL           = oauth.ReasonTokenInURL
	ReasonMalformed            = oauth.ReasonMalformed
	ReasonWrongType            = oauth.ReasonWrongType
	ReasonWrongAlgorithm       = oauth.ReasonWrongAlgorithm
	ReasonUnknownKey           = oauth.ReasonUnknownKey
	ReasonKeysUnavailable      = oauth.ReasonKeysUnavailable
	ReasonBadSignature         = oauth.ReasonBadSignature
	ReasonWrongIssuer          = oauth.ReasonWrongIssuer
	ReasonWrongAudience        = oauth.ReasonWrongAudience
	ReasonMissingClaim         = oauth.ReasonMissingClaim
	ReasonUnsupported          = oauth.ReasonUnsupported
	ReasonExpired              = oauth.ReasonExpired
	ReasonTooOld               = oauth.ReasonTooOld
	ReasonIssuedInFuture       = oauth.ReasonIssuedInFuture
	ReasonNotYetValid          = oauth.ReasonNotYetValid
	ReasonRefreshNeeded        = oauth.ReasonRefreshNeeded
	ReasonRevoked              = oauth.ReasonRevoked
	ReasonSessionEnded         = oauth.ReasonSessionEnded
	ReasonKeyRevoked           = oauth.ReasonKeyRevoked
	ReasonUnknownToken         = oauth.ReasonUnknownToken
	ReasonInsufficientScope    = oauth.ReasonInsufficientScope
	ReasonSignInTooOld         = oauth.ReasonSignInTooOld
	ReasonStepUpNeeded         = oauth.ReasonStepUpNeeded
	ReasonWrongSubject         = oauth.ReasonWrongSubject
	ReasonWrongClient          = oauth.ReasonWrongClient
	ReasonWrongURL             = oauth.ReasonWrongURL
	ReasonWrongNetwork         = oauth.ReasonWrongNetwork
	ReasonNoUsesLeft           = oauth.ReasonNoUsesLeft
	ReasonNotSingleUse         = oauth.ReasonNotSingleUse
	ReasonLocked               = oauth.ReasonLocked
	ReasonPolicyUnsupported    = oauth.ReasonPolicyUnsupported
	ReasonViewStale            = oauth.ReasonViewStale
	ReasonAuthorityUnavailable = oauth.ReasonAuthorityUnavailable

	ReasonBoundAsBearer       = oauth.ReasonBoundAsBearer
	ReasonTokenNotBound       = oauth.ReasonTokenNotBound
	ReasonDPoPRequired        = oauth.ReasonDPoPRequired
	ReasonProofMissing        = oauth.ReasonProofMissing
	ReasonProofMalformed      = oauth.ReasonProofMalformed
	ReasonProofWrongType      = oauth.ReasonProofWrongType
	ReasonProofWrongAlgorithm = oauth.ReasonProofWrongAlgorithm
	ReasonProofBadSignature   = oauth.ReasonProofBadSignature
	ReasonProofMissingClaim   = oauth.ReasonProofMissingClaim
	ReasonProofExpired        = oauth.ReasonProofExpired
	ReasonProofNotYetValid    = oauth.ReasonProofNotYetValid
	ReasonProofIssuedInFuture = oauth.ReasonProofIssuedInFuture
	ReasonProofTooOld         = oauth.ReasonProofTooOld
	ReasonProofWrongMethod    = oauth.ReasonProofWrongMethod
	ReasonProofWrongURL       = oauth.ReasonProofWrongURL
	ReasonProofWrongToken     = oauth.ReasonProofWrongToken
	ReasonProofWrongKey       = oauth.ReasonProofWrongKey
	ReasonProofReplayed       = oauth.ReasonProofReplayed
	ReasonNonceNeeded         = oauth.ReasonNonceNeeded
	ReasonProofsFull          = oauth.ReasonProofsFull
)

// Reason is one way of being refused. What the authority's own endpoints refuse with stands in the same table, see
// [oauth.Reasons].
type Reason = oauth.Reason

// Reasons lists every way in which a guard refuses, in the order of docs/reasons.md.
func Reasons() []Reason { return oauth.Reasons(oauth.AtAPI) }

// prepared has one Refusal for each reason, so that refusing allocates nothing.
var prepared = func() map[string]*Refusal {
	m := make(map[string]*Refusal)
	for _, r := range Reasons() {
		m[r.Code] = &Refusal{Reason: r.Code, Status: r.Status, Code: r.Error, Description: r.Means}
	}
	return m
}()
