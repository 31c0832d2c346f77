package bff

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/jetonhq/jeton"
)

// who is what the session route tells the browser app: never a token.
type who struct {
	SignedIn  bool                       `json:"signed_in"`
	Subject   string                     `json:"sub,omitempty"`
	Claims    map[string]json.RawMessage `json:"claims,omitempty"`
	ExpiresAt int64                      `json:"expires_at,omitempty"` // Unix seconds: when it ends unless used before
}

// session tells the browser app who is signed in. Asking is no use of the session, so that a page that asks now and
// then does not keep it alive. The answer is the authority's as of the last refresh, at most a token's life ago.
func (a *App) session(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	key, err := a.key(r)
	if err != nil {
		writeJSON(w, http.StatusOK, who{})
		return
	}
	s, err := a.look(ctx, key)
	if err == nil && !a.now().Before(s.due(key)) {
		s, err = a.freshest(r, key, s)
	}
	switch {
	case errors.Is(err, jeton.ErrNoSession):
		writeJSON(w, http.StatusOK, who{})
		return
	case err != nil:
		a.log.ErrorContext(ctx, "a session could not be read", "error", err)
		refuse(w, jeton.ReasonSessionUnavailable)
		return
	}
	s = a.currentClaims(r, key, s)
	writeJSON(w, http.StatusOK, who{true, s.subject, s.claims, a.ends(s).Unix()})
}

// freshest is the session after a refresh, or as it is while the authority cannot be asked.
func (a *App) freshest(r *http.Request, key Digest, s *session) (*session, error) {
	f, err := a.refresh(key, s, true)
	if err != nil {
		return s, nil // failed a moment ago
	}
	select {
	case <-f.done:
	case <-r.Context().Done():
		return s, nil
	}
	if f.err == nil || errors.Is(f.err, jeton.ErrNoSession) {
		return f.session, f.err
	}
	return s, nil
}

// currentClaims are asked for once per access token.
func (a *App) currentClaims(r *http.Request, key Digest, s *session) *session {
	if len(a.config.Claims) == 0 || s.claimsOf == digest("access token", s.access.Reveal()) || !s.good(a.now()) {
		return s
	}
	next := s.next()
	if next.claims == nil {
		next.claims = make(map[string]json.RawMessage)
	}
	if err := a.readClaims(r.Context(), next); err != nil {
		a.log.WarnContext(r.Context(), "the claims of a person could not be had; they are asked for again", "error", err)
		return s
	}
	if err := a.replace(r.Context(), key, next); err != nil && !errors.Is(err, ErrConflict) {
		return s
	}
	return next
}
