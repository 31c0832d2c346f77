package oauth

import "encoding/json"

// MintRequest asks for one token. POST /mint takes a JSON array of them.
//
// Subject and Login say for whom: an account, by id or by login; the client
// itself (its id, or neither of the two); or one of its service accounts, its
// id, a colon and a name.
type MintRequest struct {
	Subject  string                     `json:"sub,omitempty"`
	Login    string                     `json:"login,omitempty"`
	Audience string                     `json:"aud,omitempty"`      // default: the first the client may mint for
	Scope    string                     `json:"scope,omitempty"`    // default: all it may mint; none for a person
	Lifetime int64                      `json:"lifetime,omitempty"` // seconds; default: the longest it may mint
	Claims   map[string]json.RawMessage `json:"claims,omitempty"`   // further claims
	URL      string                     `json:"url,omitempty"`      // the one URL it is good for
	URLHash  string                     `json:"url_hash,omitempty"` // S256: carry the URL's hash only
	Method   string                     `json:"method,omitempty"`   // the one method it is good for
	Uses     int64                      `json:"uses,omitempty"`     // how often it may be used
	Reason   string                     `json:"reason,omitempty"`   // required for a person's token, and carried by it
}

// MintResult is the answer to one MintRequest: a token, or an error. It may
// hold a live token: never log or format one.
type MintResult struct {
	AccessToken string   `json:"access_token,omitempty"` // absent when the batch was minted before
	TokenType   string   `json:"token_type,omitempty"`
	ExpiresIn   int64    `json:"expires_in,omitempty"` // seconds
	ExpiresAt   int64    `json:"expires_at,omitempty"` // seconds since 1970
	ID          string   `json:"jti,omitempty"`
	GrantID     string   `json:"gid,omitempty"`
	Error       MintCode `json:"error,omitempty"`
}

// MintResponse is the answer to POST /mint: one result for each request, in order.
type MintResponse struct {
	Results  []MintResult `json:"results,omitempty"`
	Replayed bool         `json:"replayed,omitempty"` // the same batch was minted before: identities, no tokens

	// A batch that waits for approval has no results yet.
	Request   string `json:"request,omitempty"`
	State     string `json:"state,omitempty"` // pending, denied, done or expired
	ExpiresAt int64  `json:"expires_at,omitempty"`
}

// MintCode says why a token was not minted. The codes are stable.
type MintCode string

// Codes of tokens that were not minted.
const (
	MintMalformed          MintCode = "malformed"            // not the JSON of a request, or one with a field unknown here
	MintTooLarge           MintCode = "too_large"            // more than 4 KiB
	MintSubjectNotAllowed  MintCode = "subject_not_allowed"  // by the policy; also: no such account, no live session
	MintReasonMissing      MintCode = "reason_missing"       // a person's token needs one
	MintClaimReserved      MintCode = "claim_reserved"       // nobody may set it
	MintClaimNotAllowed    MintCode = "claim_not_allowed"    // not in the policy
	MintAudienceNotAllowed MintCode = "audience_not_allowed" // not in the policy
	MintScopeNotAllowed    MintCode = "scope_not_allowed"    // not in the policy
	MintLifetimeTooLong    MintCode = "lifetime_too_long"    // longer than the policy says, or negative
	MintBadRestriction     MintCode = "bad_restriction"      // url, method or uses make no sense
	MintRateLimited        MintCode = "rate_limited"         // more a minute than the policy says
	MintNotMinted          MintCode = "not_minted"           // another of an atomic batch failed
)
