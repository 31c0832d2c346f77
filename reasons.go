package jeton

import (
	"net/http"
	"slices"

	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// Codes of refusals. They are stable; [Reasons] says what each means.
const (
	ReasonMissingToken         = "missing_token"
	ReasonMalformedRequest     = "malformed_request"
	ReasonNoSession            = "no_session"
	ReasonSessionUnavailable   = "session_unavailable"
	ReasonCrossOrigin          = "cross_origin"
	ReasonCookieNotAllowed     = "cookie_not_allowed"
	ReasonTokenInURL           = "token_in_url"
	ReasonMalformed            = jwt.ReasonMalformed
	ReasonWrongType            = jwt.ReasonWrongType
	ReasonWrongAlgorithm       = jwt.ReasonWrongAlgorithm
	ReasonUnknownKey           = jwt.ReasonUnknownKey
	ReasonKeysUnavailable      = jwt.ReasonKeysUnavailable
	ReasonBadSignature         = jwt.ReasonBadSignature
	ReasonWrongIssuer          = jwt.ReasonWrongIssuer
	ReasonWrongAudience        = jwt.ReasonWrongAudience
	ReasonMissingClaim         = jwt.ReasonMissingClaim
	ReasonUnsupported          = "unsupported_restriction"
	ReasonExpired              = jwt.ReasonExpired
	ReasonTooOld               = jwt.ReasonTooOld
	ReasonIssuedInFuture       = jwt.ReasonIssuedInFuture
	ReasonNotYetValid          = jwt.ReasonNotYetValid
	ReasonRefreshNeeded        = "refresh_needed"
	ReasonRevoked              = "revoked"
	ReasonSessionEnded         = "session_ended"
	ReasonKeyRevoked           = "key_revoked"
	ReasonUnknownToken         = "unknown_token"
	ReasonInsufficientScope    = "insufficient_scope"
	ReasonSignInTooOld         = "sign_in_too_old"
	ReasonStepUpNeeded         = "step_up_needed"
	ReasonWrongSubject         = "wrong_subject"
	ReasonWrongClient          = "wrong_client"
	ReasonWrongURL             = "wrong_url"
	ReasonWrongNetwork         = "wrong_network"
	ReasonNoUsesLeft           = "no_uses_left"
	ReasonNotSingleUse         = "not_single_use"
	ReasonLocked               = "locked"
	ReasonPolicyUnsupported    = "policy_unsupported"
	ReasonViewStale            = "view_stale"
	ReasonAuthorityUnavailable = "authority_unavailable"
)

// Reason is one way of being refused.
type Reason struct {
	Code   string     // in Jeton-Reason, in the body, and in Refusal.Reason
	Status int        // of the HTTP answer
	Error  oauth.Code // in the challenge and the body; the challenge to a request without a token has none
	Means  string
	Advice string // for whoever wrote the client
}

// reasons is the one place in which a code is given its status. docs/reasons.md is held against it by a test.
var reasons = []Reason{
	{ReasonMissingToken, http.StatusUnauthorized, oauth.InvalidRequest,
		"The request has no bearer token.",
		"Send the access token as Authorization: Bearer. A token in the query or in a form is not read."},
	{ReasonMalformedRequest, http.StatusBadRequest, oauth.InvalidRequest,
		"There is more than one Authorization header, or it is not of the form Bearer, space, token.",
		"Mend the client; another token will not help."},
	{ReasonNoSession, http.StatusUnauthorized, oauth.InvalidToken,
		"The session cookie is missing, has expired, or was signed out.",
		"Send the browser to the sign-in page."},
	{ReasonSessionUnavailable, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable,
		"The request came with a session cookie, and no token for the session could be had at the moment.",
		"Try again; the person is still signed in."},
	{ReasonCrossOrigin, http.StatusForbidden, oauth.AccessDenied,
		"The request would change something, has no token, and comes from a page of another origin: a cookie does not count then.",
		"Send the request from a page of the API's own origin, or with an access token."},
	{ReasonCookieNotAllowed, http.StatusUnauthorized, oauth.InvalidRequest,
		"The request has no token, and a central policy keeps session cookies out of this route.",
		"Send an access token as Authorization: Bearer."},
	{ReasonTokenInURL, http.StatusBadRequest, oauth.InvalidRequest,
		"The token is in the query of the URL, where this route does not take it.",
		"Send it as Authorization: Bearer. It may have been logged on the way: get a new one."},
	{ReasonMalformed, http.StatusUnauthorized, oauth.InvalidToken,
		"The token is not a signed JWT, or a claim has the wrong form.",
		"Send the access token unchanged; an ID token or a refresh token is not for APIs."},
	{ReasonWrongType, http.StatusUnauthorized, oauth.InvalidToken,
		"The token is of another kind than at+jwt.",
		"Send the access token, not the ID token."},
	{ReasonWrongAlgorithm, http.StatusUnauthorized, oauth.InvalidToken,
		"The token's algorithm is not allowed here, or is not the one of its key.",
		"Get a new token. If it persists, the API's list of algorithms does not fit the authority's keys."},
	{ReasonUnknownKey, http.StatusUnauthorized, oauth.InvalidToken,
		"The authority has no key with the token's kid, or the token names none.",
		"Get a new token from the authority this API trusts."},
	{ReasonBadSignature, http.StatusUnauthorized, oauth.InvalidToken,
		"The signature does not fit the token and its key.",
		"Send the token unchanged, or get a new one."},
	{ReasonWrongIssuer, http.StatusUnauthorized, oauth.InvalidToken,
		"The token is from another authority.",
		"Get the token from the authority named in the resource metadata."},
	{ReasonWrongAudience, http.StatusUnauthorized, oauth.InvalidToken,
		"The token was made for another API.",
		"Ask the authority for a token for this API (parameter resource)."},
	{ReasonMissingClaim, http.StatusUnauthorized, oauth.InvalidToken,
		"A claim that an access token must have is absent or empty (RFC 9068).",
		"Get the token from an authority that issues RFC 9068 tokens."},
	{ReasonUnsupported, http.StatusUnauthorized, oauth.InvalidToken,
		"The token is restricted (cnf, url, method or uses) in a way this API cannot enforce.",
		"Get a token without the restriction for this API."},
	{ReasonExpired, http.StatusUnauthorized, oauth.InvalidToken,
		"The token's exp has come.",
		"Refresh and try again."},
	{ReasonTooOld, http.StatusUnauthorized, oauth.InvalidToken,
		"The token was issued longer ago than this route allows.",
		"Refresh and try again."},
	{ReasonIssuedInFuture, http.StatusUnauthorized, oauth.InvalidToken,
		"The token's iat is ahead of this API's clock.",
		"Compare the clocks of the API and the authority."},
	{ReasonNotYetValid, http.StatusUnauthorized, oauth.InvalidToken,
		"The token's nbf has not come.",
		"Wait, or compare the clocks of the API and the authority."},
	{ReasonRefreshNeeded, http.StatusUnauthorized, oauth.InvalidToken,
		"What the token says about its subject has changed since it was issued, and this route wants to know the present.",
		"Refresh once and try again; the person stays signed in."},
	{ReasonRevoked, http.StatusUnauthorized, oauth.InvalidToken,
		"The token, or the grant it belongs to, was revoked.",
		"Refresh once. If that is refused too, sign in again."},
	{ReasonSessionEnded, http.StatusUnauthorized, oauth.InvalidToken,
		"The session in which the token was issued has ended.",
		"Sign in again."},
	{ReasonKeyRevoked, http.StatusUnauthorized, oauth.InvalidToken,
		"The key that signed the token is compromised.",
		"Refresh and try again."},
	{ReasonUnknownToken, http.StatusUnauthorized, oauth.InvalidToken,
		"The token verifies, and yet the authority never issued it.",
		"Get a new token. The operator should look for a forged_token event: someone may hold a signing key."},
	{ReasonInsufficientScope, http.StatusForbidden, oauth.InsufficientScope,
		"The token lacks a scope that this route demands.",
		"Ask for the scopes in the challenge."},
	{ReasonSignInTooOld, http.StatusUnauthorized, oauth.InsufficientUserAuthentication,
		"The person signed in longer ago than this route allows.",
		"Send the person to /authorize with the max_age and acr_values of the challenge. A refresh does not help."},
	{ReasonStepUpNeeded, http.StatusUnauthorized, oauth.InsufficientUserAuthentication,
		"The person did not sign in in one of the ways that this route demands.",
		"Send the person to /authorize with the acr_values and max_age of the challenge. A refresh does not help."},
	{ReasonWrongSubject, http.StatusForbidden, oauth.AccessDenied,
		"The token is in the URL, and the URL is not about the token's subject.",
		"Put the subject of the token into the URL, where the API wants it."},
	{ReasonWrongClient, http.StatusForbidden, oauth.AccessDenied,
		"The route is not open to the client the token was issued to.",
		"Use a client that the route allows."},
	{ReasonWrongURL, http.StatusForbidden, oauth.AccessDenied,
		"The token was made for another URL or method.",
		"Send it to the URL it was made for, or get one for this URL."},
	{ReasonWrongNetwork, http.StatusUnauthorized, oauth.InvalidToken,
		"The token comes from another network than it was issued to, or was issued to none.",
		"Refresh once and try again: the new token is for the network from which you refresh."},
	{ReasonNoUsesLeft, http.StatusUnauthorized, oauth.InvalidToken,
		"The token has been used as often as it may be.",
		"Get a new token."},
	{ReasonNotSingleUse, http.StatusForbidden, oauth.AccessDenied,
		"The route takes only tokens whose uses are counted, or only those made for one use.",
		"Ask the authority for a token with uses."},
	{ReasonLocked, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable,
		"The operator of the API has locked this route: nobody passes for now.",
		"Try again later; nothing is wrong with the token."},
	{ReasonPolicyUnsupported, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable,
		"A central policy demands something here that this version of the API's guard cannot check.",
		"Try again later; the operator has to update the API or change the policy."},
	{ReasonKeysUnavailable, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable,
		"The API has not been able to fetch the authority's keys yet.",
		"Try again; nothing is wrong with the token."},
	{ReasonViewStale, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable,
		"The API does not know what was revoked lately, and this route refuses then.",
		"Try again; nothing is known to be wrong with the token."},
	{ReasonAuthorityUnavailable, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable,
		"The API had to ask the authority about the token and got no answer.",
		"Try again; nothing is known to be wrong with the token."},
}

// Reasons lists every way of being refused, in the order of docs/reasons.md.
func Reasons() []Reason { return slices.Clone(reasons) }

// prepared has one Refusal for each reason, so that refusing allocates nothing.
var prepared = func() map[string]*Refusal {
	m := make(map[string]*Refusal, len(reasons))
	for _, r := range reasons {
		m[r.Code] = &Refusal{Reason: r.Code, Status: r.Status, Code: r.Error, Description: r.Means}
	}
	return m
}()
