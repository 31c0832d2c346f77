package admin

import (
	"errors"
	"fmt"
)

// Code says why a call was refused.
type Code string

// Codes of refusals. A server may answer with others.
const (
	CodeInvalid      Code = "invalid"      // 400: what was sent makes no sense
	CodeUnauthorized Code = "unauthorized" // 401: the admin token is missing or wrong
	CodeNotFound     Code = "not_found"    // 404
	CodeConflict     Code = "conflict"     // 409: the name is taken, or the record changed since it was read
	CodeTooLarge     Code = "too_large"    // 413
	CodeUnavailable  Code = "unavailable"  // 503: try again
	CodeMail         Code = "mail_failed"  // 502: the mail server did not take the mail
	CodeInternal     Code = "internal"     // 500: the server's log says more
)

// Error is a refusal by the server.
type Error struct {
	Status  int    // HTTP status
	Code    Code   // "" when the answer was not one of the admin API
	Message string // for people
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("admin API answered %d", e.Status)
	}
	return e.Message
}

// CodeOf returns the code of the *Error in err's chain, or "".
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// ErrorBody is the JSON body of a refusal.
type ErrorBody struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}
