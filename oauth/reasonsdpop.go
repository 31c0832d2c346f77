package oauth

import "net/http"

// Codes of refusals by an API that are about the binding of a token to a key
// (DPoP, RFC 9449). What is wrong with a proof has the code that package jwt has
// for it, after dpop_.
const (
	ReasonBoundAsBearer = "bound_token_as_bearer"
	ReasonTokenNotBound = "token_not_bound"
	ReasonDPoPRequired  = "dpop_required"

	ReasonProofMissing        = "dpop_missing_proof"
	ReasonProofMalformed      = "dpop_malformed"
	ReasonProofWrongType      = "dpop_wrong_type"
	ReasonProofWrongAlgorithm = "dpop_wrong_algorithm"
	ReasonProofBadSignature   = "dpop_bad_signature"
	ReasonProofMissingClaim   = "dpop_missing_claim"
	ReasonProofExpired        = "dpop_expired"
	ReasonProofNotYetValid    = "dpop_not_yet_valid"
	ReasonProofIssuedInFuture = "dpop_issued_in_future"
	ReasonProofTooOld         = "dpop_too_old"
	ReasonProofWrongMethod    = "dpop_wrong_method"
	ReasonProofWrongURL       = "dpop_wrong_url"
	ReasonProofWrongToken     = "dpop_wrong_token"
	ReasonProofWrongKey       = "dpop_wrong_key"
	ReasonProofReplayed       = "dpop_replayed"
	ReasonNonceNeeded         = "dpop_nonce_needed"
	ReasonProofsFull          = "dpop_full"
)

// ReasonOfProof is the code for what package jwt found wrong with a DPoP proof.
func ReasonOfProof(reason string) string { return "dpop_" + reason }

var reasonsOfProofs = []Reason{
	{ReasonBoundAsBearer, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"The token is bound to a key (cnf), and came as a bearer token.",
		"Send it as Authorization: DPoP, with a proof for the request in the header DPoP (RFC 9449)."},
	{ReasonTokenNotBound, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"The token came as Authorization: DPoP, and is bound to no key.",
		"Ask the authority for the token with a DPoP proof, or send it as Authorization: Bearer."},
	{ReasonDPoPRequired, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"The route takes only tokens that are bound to a key (DPoP).",
		"Ask the authority for the token with a DPoP proof, and send it with one."},
	{ReasonProofMissing, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The token is bound to a key, and the request has no DPoP proof.",
		"Make a proof for each request and send it in the header DPoP."},
	{ReasonProofMalformed, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The DPoP proof is not a signed JWT with a public key in its header, or there is more than one.",
		"Send one header DPoP with one proof."},
	{ReasonProofWrongType, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The header DPoP has a JWT of another kind than dpop+jwt.",
		"Make the proof as RFC 9449 section 4.2 says."},
	{ReasonProofWrongAlgorithm, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The algorithm of the DPoP proof is not allowed here, or does not fit its key.",
		"Use one of the algorithms in the challenge (algs)."},
	{ReasonProofBadSignature, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The signature of the DPoP proof is not by the key in it.",
		"Sign the proof with the key that it shows."},
	{ReasonProofMissingClaim, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The DPoP proof lacks jti, htm, htu or iat.",
		"Make the proof as RFC 9449 section 4.2 says."},
	{ReasonProofWrongMethod, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The DPoP proof was made for another method (htm).",
		"Make a proof for each request."},
	{ReasonProofWrongURL, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The DPoP proof was made for another URL (htu).",
		"Make a proof for each request. If it persists, the API does not know the URL its callers use (PublicURL)."},
	{ReasonProofWrongToken, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The DPoP proof lacks ath, or was made for another access token.",
		"Put the hash of the token that is sent into the proof."},
	{ReasonProofWrongKey, AtAPI, http.StatusUnauthorized, InvalidToken, ThenGiveUp,
		"The DPoP proof was made with another key than the one the token is bound to.",
		"Use the key that the token was asked for with."},
	{ReasonProofTooOld, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The DPoP proof was made more than a minute ago.",
		"Make a proof for each request, and set the client's clock."},
	{ReasonProofIssuedInFuture, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The iat of the DPoP proof is ahead of this API's clock.",
		"Set the client's clock."},
	{ReasonProofExpired, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The DPoP proof has an exp, and it has come.",
		"Make a proof for each request; it needs no exp."},
	{ReasonProofNotYetValid, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The DPoP proof has an nbf, and it has not come.",
		"Make a proof for each request; it needs no nbf."},
	{ReasonProofReplayed, AtAPI, http.StatusUnauthorized, InvalidDPoPProof, ThenGiveUp,
		"The DPoP proof came a second time.",
		"Make a proof for each request, also when one is sent again."},
	{ReasonNonceNeeded, AtAPI, http.StatusUnauthorized, UseDPoPNonce, ThenRetry,
		"The DPoP proof has to carry the nonce of this API, and has none or an old one.",
		"Make a proof with the nonce in the header DPoP-Nonce of this answer, and send the request again."},
	{ReasonProofsFull, AtAPI, http.StatusServiceUnavailable, TemporarilyUnavailable, ThenRetry,
		"More DPoP proofs came in within a minute than the API can remember.",
		"Try again; nothing is wrong with the token. The operator can raise Cache.Proofs."},
}
