package oauth

import "errors"

// Code is an error code of the protocol.
type Code string

// Error codes of the authorization and token endpoints (OAuth 2.1 sections
// 4.1.2.1 and 3.2.4), of token revocation (RFC 7009 section 2.2.1) and of
// OpenID Connect Core section 3.1.2.6.
const (
	InvalidRequest           Code = "invalid_request"
	InvalidClient            Code = "invalid_client"
	InvalidGrant             Code = "invalid_grant"
	UnauthorizedClient       Code = "unauthorized_client"
	UnsupportedGrantType     Code = "unsupported_grant_type"
	UnsupportedResponseType  Code = "unsupported_response_type"
	UnsupportedTokenType     Code = "unsupported_token_type"
	InvalidScope             Code = "invalid_scope"
	AccessDenied             Code = "access_denied"
	ServerError              Code = "server_error"
	TemporarilyUnavailable   Code = "temporarily_unavailable"
	LoginRequired            Code = "login_required"
	ConsentRequired          Code = "consent_required"
	InteractionRequired      Code = "interaction_required"
	AccountSelectionRequired Code = "account_selection_required"
	RequestNotSupported      Code = "request_not_supported"
	RequestURINotSupported   Code = "request_uri_not_supported"
	RegistrationNotSupported Code = "registration_not_supported"
	InvalidToken             Code = "invalid_token"      // RFC 6750 section 3.1
	InsufficientScope        Code = "insufficient_scope" // RFC 6750 section 3.1
	InvalidDPoPProof         Code = "invalid_dpop_proof" // RFC 9449 section 5
	UseDPoPNonce             Code = "use_dpop_nonce"     // RFC 9449 section 8

	InsufficientUserAuthentication  Code = "insufficient_user_authentication"  // RFC 9470 section 3, of an API
	UnmetAuthenticationRequirements Code = "unmet_authentication_requirements" // RFC 9470 section 5, of /authorize
)

// Error is a refusal the protocol lets a client see (RFC 6749 section 5.2).
// Cause is for the operator's log and never leaves the process.
type Error struct {
	Code        Code
	Reason      string // stable code of the table, see ReasonAt; "" where Code says it all
	Description string // fixed text of ours: no user input, no identifiers; characters of GEN-7 only
	Cause       error
}

// Refuse returns an *Error as an error.
func Refuse(code Code, description string) error {
	return &Error{Code: code, Description: description}
}

// RefuseCause is Refuse with a cause for the operator's log.
func RefuseCause(code Code, description string, cause error) error {
	return &Error{Code: code, Description: description, Cause: cause}
}

func (e *Error) Error() string {
	s := string(e.Code)
	if e.Reason != "" && e.Reason != s {
		s += " (" + e.Reason + ")"
	}
	if e.Description != "" {
		s += ": " + e.Description
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// CodeOf returns the code of the *Error in err's chain, or "".
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// ErrorResponse is the JSON error body (OAuth 2.1 section 3.2.4).
type ErrorResponse struct {
	Error       Code   `json:"error"`
	Description string `json:"error_description,omitempty"`
	URI         string `json:"error_uri,omitempty"`
	Reason      string `json:"reason,omitempty"` // stable code, see ReasonAt
}
