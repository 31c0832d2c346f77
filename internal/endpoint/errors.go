package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/throttle"
	"github.com/jetonhq/jeton/oauth"
)

// errMethod is a method that the endpoint does not have.
var errMethod = errors.New("method not allowed")

// errForbidden marks a refusal whose caller is known and may not ask: 403, where
// the token endpoint's rules (RFC 6749 section 5.2) do not apply.
var errForbidden = errors.New("forbidden")

// bearerError is a refusal of a protected resource, with a challenge of the scheme
// that was used or has to be (RFC 6750 section 3, RFC 9449 section 7.1).
type bearerError struct {
	code   oauth.Code // "" when no credentials came (RS-3)
	scope  string
	reason string // stable code for Jeton-Reason
	dpop   bool   // the challenge is of the scheme DPoP
	cause  error
}

func (e *bearerError) Error() string {
	if e.cause != nil {
		return string(e.code) + ": " + e.cause.Error()
	}
	return string(e.code)
}

func (e *bearerError) Unwrap() error { return e.cause }

// headerReason carries the stable code of a refusal.
const headerReason = "Jeton-Reason"

// refusalOf is the stable code of an error, by which the table of package oauth
// knows status and error, and what to tell besides. What is not a refusal of the
// protocol is server_error, without detail.
func refusalOf(err error) (reason, description string) {
	if _, ok := errors.AsType[*throttle.Error](err); ok {
		return oauth.ReasonTooManyAttempts, "too many attempts; try again later"
	}
	if e, ok := errors.AsType[*oauth.Error](err); ok {
		return oauth.ReasonOf(e), e.Description
	}
	switch {
	case errors.Is(err, errMethod):
		return oauth.ReasonMethodNotAllowed, "this method is not allowed here"
	case errors.Is(err, errTooLarge):
		return oauth.ReasonTooLarge, "the request is too large"
	case errors.Is(err, authority.ErrBusy):
		return string(oauth.TemporarilyUnavailable), "not possible now; try again"
	}
	return string(oauth.ServerError), ""
}

// fail translates an error to status, headers and body. The cause goes to the
// log, once, here.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody is listening
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if e, ok := errors.AsType[*bearerError](err); ok {
		h.failBearer(w, r, e)
		return
	}
	reason, description := refusalOf(err)
	known, ok := oauth.ReasonAt(oauth.AtAuthority, reason)
	if !ok { // a code that the table lacks is a fault of ours, and refuses all the same
		known = oauth.Reason{Status: http.StatusBadRequest, Error: oauth.CodeOf(err)}
	}
	code := known.Status
	switch {
	case errors.Is(err, errForbidden):
		code = http.StatusForbidden
	case errors.Is(err, authority.ErrBusy):
		header.Set("Retry-After", "1")
	case known.Error == oauth.UseDPoPNonce:
		h.giveNonce(w)
	case known.Error == oauth.InvalidClient:
		header.Set("WWW-Authenticate", `Basic realm="jeton", charset="UTF-8"`)
	}
	if e, ok := errors.AsType[*throttle.Error](err); ok {
		header.Set("Retry-After", strconv.Itoa(e.Seconds()))
	}
	header.Set(headerReason, reason)
	body := oauth.ErrorResponse{Error: known.Error, Description: oauth.Printable(description), Reason: reason}
	if code >= http.StatusInternalServerError {
		h.cfg.Logger.ErrorContext(ctx, "request failed", "path", r.URL.Path, "status", code, "reason", reason, "error", err)
	} else {
		h.cfg.Logger.InfoContext(ctx, "request refused", "path", r.URL.Path, "status", code, "reason", reason, "error", err)
	}
	writeBody(w, code, body)
}

func (h *Handler) failBearer(w http.ResponseWriter, r *http.Request, e *bearerError) {
	challenge := oauth.BearerChallenge{Realm: h.cfg.Issuer, Error: e.code, Scope: e.scope}
	var code int
	switch e.code {
	case oauth.InsufficientScope:
		code = http.StatusForbidden
	case oauth.InvalidRequest:
		code = http.StatusBadRequest
	default: // no token, or one that is worth nothing
		code = http.StatusUnauthorized
	}
	if !e.dpop {
		w.Header().Set("WWW-Authenticate", challenge.String())
	}
	if e.dpop || e.code == "" {
		w.Header().Add("WWW-Authenticate", challenge.DPoP(h.proofAlgorithms()...))
	}
	if e.reason != "" {
		w.Header().Set(headerReason, e.reason)
	}
	h.cfg.Logger.InfoContext(r.Context(), "request refused", "path", r.URL.Path, "status", code, "reason", e.reason, "error", e)
	if e.code == "" {
		w.WriteHeader(code)
		return
	}
	writeBody(w, code, oauth.ErrorResponse{Error: e.code, Reason: e.reason})
}

func writeBody(w http.ResponseWriter, code int, body any) {
	b, err := json.Marshal(body)
	if err != nil { // our own types marshal
		b = []byte(`{"error":"server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(code)
	_, _ = w.Write(b)
}

// writeJSON answers 200 with a body that no cache may keep (GEN-6).
func writeJSON(w http.ResponseWriter, body any) error {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache") // RFC 6749 section 5.1
	writeBody(w, http.StatusOK, body)
	return nil
}
