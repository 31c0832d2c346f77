package oauth

import "net/http"

// Codes of refusals by an API: a guard, an agent, or the authority's own
// resources.
const (
	ReasonMissingToken         = "missing_token"
	ReasonMalformedRequest     = "malformed_request"
	ReasonNoSession            = "no_session"
	ReasonSessionUnavailable   = "session_unavailable"
	ReasonCrossOrigin          = "cross_origin"
	ReasonCookieNotAllowed     = "cookie_not_allowed"
	ReasonTokenInURL           = "token_in_url"
	ReasonMalformed            = "malformed"
	ReasonWrongType            = "wrong_type"
	ReasonWrongAlgorithm       = "wrong_algorithm"
	ReasonUnknownKey           = "unknown_key"
	ReasonKeysUnavailable      = "keys_unavailable"
	ReasonBadSignature         = "bad_signature"
	ReasonWrongIssuer          = "wrong_issuer"
	ReasonWrongAudience        = "wrong_audience"
	ReasonMissingClaim         = "missing_claim"
	ReasonUnsupported          = "unsupported_restriction"
	ReasonExpired              = "expired"
	ReasonTooOld               = "too_old"
	ReasonIssuedInFuture       = "issued_in_future"
	ReasonNotYetValid          = "not_yet_valid"
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
	ReasonNoUsesLeft           = "no_uses_left"
	ReasonNotSingleUse         = "not_single_use"
	ReasonLocked               = "locked"
	ReasonPolicyUnsupported    = "policy_unsupported"
	ReasonViewStale            = "view_stale"
	ReasonAuthorityUnavailable = "authority_unavailable"
)

// reasonsAtAPI is the one place in which a code of an API is given its status.
var reasonsAtAPI = []Reason{
	{ReasonMissingToken, AtAPI, http.StatusUnauthorized, InvalidRequest, ThenGiveUp,
		"The request has no bearer token.",
		"Send the access token as Authorization: Bearer. A token in the query or in a form is not read."},
	{ReasonMalformedRequest, AtAPI, http.StatusBadRequest, InvalidRequest, ThenGiveUp,
		"There is more than one Authorization header, or it is not of the form Bearer (or DPoP), space, token.",
		"Mend the client; another token will not help."},
	{ReasonNoSession, AtAPI, http.StatusUnauthorized, InvalidToken, ThenSignIn,
		"The session cookie is missing, has expired, or was signed out.",
		"Send the browser to the sign-in page."},
	{ReasonSessionUnavailable, AtAPI, http.StatusServiceUnavailable, TemporarilyUnavailable, ThenRetry,
		"The request came with a session cookie, and no token for the session could be had at the moment.",
		"Try again; the person is still signed in."},
	{ReasonCrossOrigin, AtAPI, http.StatusForbidden, AccessDenied, ThenGiveUp,
		"The request would change something, has no token, and comes from a page of another origin: a cookie does not count then.",
		"Send the request from a page of the API's own origin, or with an access token."},
	{ReasonCookieNotAllowed, AtAPI, http.StatusUnauthorized, InvalidRequest, ThenGiveUp,
		"The request has no token, and a central policy keeps session cookies out of this route.",
		"Send an access token as Authorization: Bearer."},
	{ReasonTokenInURL, AtAPI, http.StatusBadRequest, InvalidRequest, ThenGiveUp,
		"The token is in the query of the URL, where this route does not take it.",
		"Send it as Authorization: Bearer. It may have been logged on the way: get a new one."},
	{ReasonMalformed, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"The token is not a signed JWT, or a claim has the wrong form.",
		"Send the access token unchanged; an ID token or a refresh token is not for APIs."},
	{ReasonWrongType, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"The token is of another kind than at+jwt.",
		"Send the access token, not the ID token."},
	{ReasonWrongAlgorithm, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"The token's algorithm is not allowed here, or is not the one of its key.",
		"Get a new token. If it persists, the API's list of algorithms does not fit the authority's keys."},
	{ReasonUnknownKey, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"The authority has no key with the token's kid, or the token names none.",
		"Get a new token from the authority this API trusts."},
	{ReasonBadSignature, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"The signature does not fit the token and its key.",
		"Send the token unchanged, or get a new one."},
	{ReasonWrongIssuer, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"The token is from another authority.",
		"Get the token from the authority named in the resource metadata."},
	{ReasonWrongAudience, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"The token was made for another API.",
		"Ask the authority for a token for this API (parameter resource)."},
	{ReasonMissingClaim, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"A claim that an access token must have is absent or empty (RFC 9068).",
		"Get the token from an authority that issues RFC 9068 tokens."},
	{ReasonUnsupported, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"The token is restricted (cnf, url, method or uses) in a way this API cannot enforce: by a certificate, or to a URL or a key where the API does not know its own URL.",
		"Get a token without the restriction for this API."},
	{ReasonExpired, AtAPI, http.StatusUnauthorized, InvalidToken, ThenRefresh,
		"The token's exp has come.",
		"Refresh and try again."},
	{ReasonTooOld, AtAPI, http.StatusUnauthorized, InvalidToken, ThenRefresh,
		"The token was issued longer ago than this route allows.",
		"Refresh and try again."},
	{ReasonIssuedInFuture, AtAPI, http.StatusUnauthorized, InvalidToken, ThenRetry,
		"The token's iat is ahead of this API's clock.",
		"Compare the clocks of the API and the authority."},
	{ReasonNotYetValid, AtAPI, http.StatusUnauthorized, InvalidToken, ThenRetry,
		"The token's nbf has not come.",
		"Wait, or compare the clocks of the API and the authority."},
	{ReasonRefreshNeeded, AtAPI, http.StatusUnauthorized, InvalidToken, ThenRefresh,
		"What the token says about its subject has changed since it was issued, and this route wants to know the present.",
		"Refresh once and try again; the person stays signed in."},
	{ReasonRevoked, AtAPI, http.StatusUnauthorized, InvalidToken, ThenRefresh,
		"The token, or the grant it belongs to, was revoked.",
		"Refresh once. If that is refused too, sign in again."},
	{ReasonSessionEnded, AtAPI, http.StatusUnauthorized, InvalidToken, ThenSignIn,
		"The session in which the token was issued has ended.",
		"Sign in again."},
	{ReasonKeyRevoked, AtAPI, http.StatusUnauthorized, InvalidToken, ThenRefresh,
		"The key that signed the token is compromised.",
		"Refresh and try again."},
	{ReasonUnknownToken, AtAPI, http.StatusUnauthorized, InvalidToken, ThenRefresh,
		"The token verifies, and yet the authority never issued it.",
		"Get a new token. The operator should look for a forged_token event: someone may hold a signing key."},
	{ReasonInsufficientScope, AtAPI, http.StatusForbidden, InsufficientScope, ThenAskForScope,
		"The token lacks a scope that this route demands.",
		"Ask for the scopes in the challenge."},
	{ReasonSignInTooOld, AtAPI, http.StatusUnauthorized, InsufficientUserAuthentication, ThenSignIn,
		"The person signed in longer ago than this route allows.",
		"Send the person to /authorize with the max_age and acr_values of the challenge. A refresh does not help."},
	{ReasonStepUpNeeded, AtAPI, http.StatusUnauthorized, InsufficientUserAuthentication, ThenSignIn,
		"The person did not sign in in one of the ways that this route demands.",
		"Send the person to /authorize with the acr_values and max_age of the challenge. A refresh does not help."},
	{ReasonWrongSubject, AtAPI, http.StatusForbidden, AccessDenied, ThenGiveUp,
		"The token is in the URL, and the URL is not about the token's subject.",
		"Put the subject of the token into the URL, where the API wants it."},
	{ReasonWrongClient, AtAPI, http.StatusForbidden, AccessDenied, ThenGiveUp,
		"The route is not open to the client the token was issued to.",
		"Use a client that the route allows."},
	{ReasonWrongURL, AtAPI, http.StatusForbidden, AccessDenied, ThenGiveUp,
		"The token was made for another URL or method.",
		"Send it to the URL it was made for, or get one for this URL."},
	{ReasonWrongNetwork, AtAPI, http.StatusUnauthorized, InvalidToken, ThenRefresh,
		"The token comes from another network than it was issued to, or was issued to none.",
		"Refresh once and try again: the new token is for the network from which you refresh."},
	{ReasonNoUsesLeft, AtAPI, http.StatusUnauthorized, InvalidToken, ThenRefresh,
		"The token has been used as often as it may be.",
		"Get a new token."},
	{ReasonNotSingleUse, AtAPI, http.StatusForbidden, AccessDenied, ThenGiveUp,
		"The route takes only tokens whose uses are counted, or only those made for one use.",
		"Ask the authority for a token with uses."},
	{ReasonLocked, AtAPI, http.StatusServiceUnavailable, TemporarilyUnavailable, ThenRetry,
		"The operator of the API has locked this route: nobody passes for now.",
		"Try again later; nothing is wrong with the token."},
	{ReasonPolicyUnsupported, AtAPI, http.StatusServiceUnavailable, TemporarilyUnavailable, ThenRetry,
		"A central policy demands something here that this version of the API's guard cannot check.",
		"Try again later; the operator has to update the API or change the policy."},
	{ReasonKeysUnavailable, AtAPI, http.StatusServiceUnavailable, TemporarilyUnavailable, ThenRetry,
		"The API has not been able to fetch the authority's keys yet.",
		"Try again; nothing is wrong with the token."},
	{ReasonViewStale, AtAPI, http.StatusServiceUnavailable, TemporarilyUnavailable, ThenRetry,
		"The API does not know what was revoked lately, and this route refuses then.",
		"Try again; nothing is known to be wrong with the token."},
	{ReasonAuthorityUnavailable, AtAPI, http.StatusServiceUnavailable, TemporarilyUnavailable, ThenRetry,
		"The API had to ask the authority about the token and got no answer.",
		"Try again; nothing is known to be wrong with the token."},
}
