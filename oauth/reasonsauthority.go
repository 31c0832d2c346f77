package oauth

import "net/http"

// Codes of refusals by the authority. Where nothing more can be said the code is
// that of the protocol, such as invalid_request.
const (
	ReasonMethodNotAllowed  = "method_not_allowed"
	ReasonTooLarge          = "too_large"
	ReasonTooManyAttempts   = "too_many_attempts"
	ReasonScopeNotGranted   = "scope_not_granted"
	ReasonInvalidCode       = "invalid_code"
	ReasonWrongCodeVerifier = "wrong_code_verifier"
	ReasonKeyReused         = "idempotency_key_reused"

	ReasonRefreshMalformed  = "refresh_token_malformed"
	ReasonRefreshUnknown    = "refresh_token_unknown"
	ReasonRefreshIdle       = "refresh_token_idle"
	ReasonRefreshExpired    = "refresh_token_expired"
	ReasonRefreshAhead      = "refresh_token_ahead"
	ReasonRefreshReused     = "refresh_token_reused"
	ReasonRefreshShared     = "refresh_token_shared"
	ReasonCodeReplayed      = "code_replayed"
	ReasonAccountDisabled   = "account_disabled"
	ReasonPasswordChanged   = "password_changed"
	ReasonConsentWithdrawn  = "consent_withdrawn"
	ReasonWrongNetwork      = "wrong_network"
	ReasonWrongKey          = "wrong_key"
	reasonGrantRevoked      = ReasonRevoked
	reasonGrantSessionEnded = ReasonSessionEnded
)

// reasonsAtAuthority begins with the codes of the protocol themselves.
var reasonsAtAuthority = []Reason{
	{string(InvalidRequest), AtAuthority, http.StatusBadRequest, InvalidRequest, ThenGiveUp,
		"The request is malformed: a parameter is missing, repeated, or has a value that it cannot have.",
		"Mend the request; error_description names the fault."},
	{ReasonMethodNotAllowed, AtAuthority, http.StatusMethodNotAllowed, InvalidRequest, ThenGiveUp,
		"The endpoint does not have this method.",
		"Use one of the methods in Allow."},
	{ReasonTooLarge, AtAuthority, http.StatusRequestEntityTooLarge, InvalidRequest, ThenGiveUp,
		"The request is larger than the endpoint takes.",
		"Send less at once."},
	{string(InvalidClient), AtAuthority, http.StatusUnauthorized, InvalidClient, ThenGiveUp,
		"The client did not prove who it is. Nothing more is said to one who has not.",
		"Look at the client's id, its secret and how it is sent; the operator finds the cause in the log."},
	{ReasonTooManyAttempts, AtAuthority, http.StatusTooManyRequests, TemporarilyUnavailable, ThenRetry,
		"There were too many failed attempts.",
		"Try again after the time in Retry-After."},
	{string(UnauthorizedClient), AtAuthority, http.StatusBadRequest, UnauthorizedClient, ThenGiveUp,
		"The client may not do this: it is not registered for the grant type, has no minting policy, or the token belongs to another client. The feed answers 403 instead.",
		"The operator changes what the client may do (jeton client update)."},
	{string(UnsupportedGrantType), AtAuthority, http.StatusBadRequest, UnsupportedGrantType, ThenGiveUp,
		"The grant type is not offered.",
		"Use one of grant_types_supported in the metadata."},
	{string(InvalidScope), AtAuthority, http.StatusBadRequest, InvalidScope, ThenGiveUp,
		"The scope is malformed.",
		"Send names separated by single spaces."},
	{ReasonScopeNotGranted, AtAuthority, http.StatusBadRequest, InvalidScope, ThenAskForScope,
		"The scope is wider than the one that was granted, or the client is registered for none of it.",
		"Ask for less; for more, send the person to /authorize, or have the operator register it."},
	{ReasonInvalidCode, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"The code is unknown, expired, used, of another client or another redirect URI. It is not said which.",
		"Begin the sign-in again. A code works once, for a minute."},
	{ReasonWrongCodeVerifier, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenGiveUp,
		"The code_verifier is missing, or does not belong to the code_challenge (RFC 7636).",
		"Keep the verifier of each sign-in with its state."},
	{ReasonRefreshMalformed, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenGiveUp,
		"What was sent is not of the form of a refresh token, or was damaged.",
		"Send the refresh token unchanged; an access token is none."},
	{ReasonRefreshUnknown, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"It is not a refresh token of this client: forged, of another client, or of a grant so old that it is forgotten. It is not said which.",
		"Sign in again."},
	{ReasonRefreshIdle, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"The refresh token was not used for longer than the client's idle time.",
		"Sign in again."},
	{ReasonRefreshExpired, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"The grant has reached the end of its time, however often it was refreshed.",
		"Sign in again."},
	{ReasonRefreshAhead, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"The refresh token is newer than the record of its grant: was the database restored from a backup?",
		"Sign in again. The operator finds the event refresh_token_from_future."},
	{ReasonRefreshReused, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"A refresh token came whose successor had been used: somebody may have stolen it, and the grant ended.",
		"Sign in again. Store each refresh token before using it, and share one store between processes."},
	{ReasonRefreshShared, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"Two parties in different places used the refresh token in turn, and the grant ended.",
		"Sign in again; look for who else has the token."},
	{ReasonCodeReplayed, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"The code that made the grant came a second time, and the grant ended.",
		"Sign in again. Send each code once."},
	{reasonGrantRevoked, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"The grant of the refresh token was revoked, by the client, the person or an operator.",
		"Sign in again."},
	{reasonGrantSessionEnded, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"The person signed out, or was signed out.",
		"Sign in again."},
	{ReasonAccountDisabled, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenGiveUp,
		"The person's account is disabled.",
		"Only an operator can help."},
	{ReasonPasswordChanged, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"The person's password was changed, which ends what was signed in with the old one.",
		"Sign in again."},
	{ReasonConsentWithdrawn, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"The person does not allow the app any more what they allowed.",
		"Sign in again, if the person wants to: they are asked what they allow."},
	{ReasonWrongNetwork, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenSignIn,
		"The client's tokens are bound to networks, and the refresh token came from another one. The grant goes on where it was.",
		"Refresh from where the person signed in, or sign in again."},
	{ReasonWrongKey, AtAuthority, http.StatusBadRequest, InvalidGrant, ThenGiveUp,
		"The refresh token is bound to a key, and the sender showed another one (RFC 9449).",
		"Send a DPoP proof made with the key that the tokens were asked for with."},
	{string(InvalidDPoPProof), AtAuthority, http.StatusBadRequest, InvalidDPoPProof, ThenGiveUp,
		"The DPoP proof is not good for this request, was used before, or is missing for a refresh token that is bound to a key.",
		"Make a proof for each request, of its method and URL, with the time of now."},
	{string(UseDPoPNonce), AtAuthority, http.StatusBadRequest, UseDPoPNonce, ThenRetry,
		"The DPoP proof needs a nonce of the authority.",
		"Make a proof with the nonce in the header DPoP-Nonce of this answer, and send the request again."},
	{ReasonKeyReused, AtAuthority, http.StatusBadRequest, InvalidRequest, ThenGiveUp,
		"The idempotency key was used for another batch.",
		"Make a new key for each batch, and keep it when the same one is sent again."},
	{string(TemporarilyUnavailable), AtAuthority, http.StatusServiceUnavailable, TemporarilyUnavailable, ThenRetry,
		"The authority is overloaded, or this node is stopping.",
		"Try again after the time in Retry-After."},
	{string(ServerError), AtAuthority, http.StatusInternalServerError, ServerError, ThenRetry,
		"Something failed that is not the client's fault.",
		"Try again with growing pauses; the operator finds the cause in the log by the request id."},
}

// reasonsAtMint are the codes of [MintResult].
var reasonsAtMint = []Reason{
	{string(MintMalformed), AtMint, 0, "", ThenGiveUp,
		"The item is not the JSON of a request, or has a member that is unknown here.", "Mend the item."},
	{string(MintTooLarge), AtMint, 0, "", ThenGiveUp,
		"The item has more than 4 KiB.", "Leave claims out."},
	{string(MintSubjectNotAllowed), AtMint, 0, "", ThenGiveUp,
		"The policy does not let the client mint for this subject, or there is no such account or live session. It is not said which.",
		"Compare with the client's minting policy (jeton client mint-policy)."},
	{string(MintReasonMissing), AtMint, 0, "", ThenGiveUp,
		"A token for a person needs a reason, and that can be shown to them.", "Say why."},
	{string(MintClaimReserved), AtMint, 0, "", ThenGiveUp,
		"A claim that nobody may set.", "Leave it out."},
	{string(MintClaimNotAllowed), AtMint, 0, "", ThenGiveUp,
		"A claim that is not in the client's minting policy.", "Leave it out, or have the policy widened."},
	{string(MintAudienceNotAllowed), AtMint, 0, "", ThenGiveUp,
		"An audience that is not in the client's minting policy.", "Mint for one that is, or have the policy widened."},
	{string(MintScopeNotAllowed), AtMint, 0, "", ThenAskForScope,
		"A scope that is not in the client's minting policy.", "Ask for less, or have the policy widened."},
	{string(MintLifetimeTooLong), AtMint, 0, "", ThenGiveUp,
		"The lifetime is longer than the policy says, or negative.", "Ask for a shorter one."},
	{string(MintBadRestriction), AtMint, 0, "", ThenGiveUp,
		"url, method or uses make no sense.", "Mend the item."},
	{string(MintRateLimited), AtMint, 0, "", ThenRetry,
		"The client has minted as many a minute as its policy says.", "Send the item again later."},
	{string(MintNotMinted), AtMint, 0, "", ThenGiveUp,
		"Nothing is wrong with the item, but another of the same all-or-nothing batch was refused.", "Mend the other one."},
}
