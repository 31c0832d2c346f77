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

// status is the one table of what a protocol error code is answered with.
// Codes that are missing here are 400 (SPECS TOK-2).
var status = map[oauth.Code]int{
	oauth.InvalidClient:          http.StatusUnauthorized,
	oauth.InvalidToken:           http.StatusUnauthorized,
	oauth.InsufficientScope:      http.StatusForbidden,
	oauth.ServerError:            http.StatusInternalServerError,
	oauth.TemporarilyUnavailable: http.StatusServiceUnavailable,
}

// fail translates an error to status, headers and body. What is not a refusal
// of the protocol becomes server_error with no detail; the cause goes to the
// log, once, here.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody is listening
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	body := oauth.ErrorResponse{Error: oauth.ServerError}
	code := http.StatusInternalServerError
	if e, ok := errors.AsType[*bearerError](err); ok {
		h.failBearer(w, r, e)
		return
	}
	if e, ok := errors.AsType[*throttle.Error](err); ok {
		header.Set("Retry-After", strconv.Itoa(e.Seconds()))
		body = oauth.ErrorResponse{Error: oauth.TemporarilyUnavailable, Description: "too many attempts; try again later"}
		code = http.StatusTooManyRequests
	} else if e, ok := errors.AsType[*oauth.Error](err); ok && errors.Is(err, errForbidden) {
		body = oauth.ErrorResponse{Error: e.Code, Description: oauth.Printable(e.Description)}
		code = http.StatusForbidden
	} else if e, ok := errors.AsType[*oauth.Error](err); ok {
		body = oauth.ErrorResponse{Error: e.Code, Description: oauth.Printable(e.Description)}
		code = http.StatusBadRequest
		if s, ok := status[e.Code]; ok {
			code = s
		}
		if e.Code == oauth.UseDPoPNonce {
			h.giveNonce(w)
		}
		if e.Code == oauth.InvalidClient {
			header.Set("WWW-Authenticate", `Basic realm="jeton", charset="UTF-8"`)
		}
	} else {
		switch {
		case errors.Is(err, errMethod):
			body = oauth.ErrorResponse{Error: oauth.InvalidRequest, Description: "this method is not allowed here"}
			code = http.StatusMethodNotAllowed
		case errors.Is(err, errTooLarge):
			body = oauth.ErrorResponse{Error: oauth.InvalidRequest, Description: "the request is too large"}
			code = http.StatusRequestEntityTooLarge
		case errors.Is(err, authority.ErrBusy):
			header.Set("Retry-After", "1")
			body = oauth.ErrorResponse{Error: oauth.TemporarilyUnavailable, Description: "overloaded; try again"}
			code = http.StatusServiceUnavailable
		}
	}
	if code >= http.StatusInternalServerError {
		h.cfg.Logger.ErrorContext(ctx, "request failed", "path", r.URL.Path, "status", code, "error", err)
	} else {
		h.cfg.Logger.InfoContext(ctx, "request refused", "path", r.URL.Path, "status", code, "error", err)
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
		w.Header().Set("Jeton-Reason", e.reason)
	}
	h.cfg.Logger.InfoContext(r.Context(), "request refused", "path", r.URL.Path, "status", code, "reason", e.reason, "error", e)
	if e.code == "" {
		w.WriteHeader(code)
		return
	}
	writeBody(w, code, oauth.ErrorResponse{Error: e.code})
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
