package endpoint

import (
	"errors"
	"net/http"
	"strings"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

// person is the userinfo answer (OpenID Connect Core section 5.3.2). Claims
// that were not consented to, or are empty, are left out.
type person struct {
	Subject           string `json:"sub"`
	Name              string `json:"name,omitempty"`
	PreferredUsername string `json:"preferred_username,omitempty"`
	UpdatedAt         int64  `json:"updated_at,omitempty"`
	Email             string `json:"email,omitempty"`
	EmailVerified     *bool  `json:"email_verified,omitempty"`
}

// userinfo answers who the token is about. The token's audience is an API, or
// this authority: its openid scope is what allows the question.
func (h *Handler) userinfo(w http.ResponseWriter, r *http.Request) error {
	p, err := presentedToken(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	_, from := h.cfg.Caller(r)
	t, err := h.cfg.Tokens.Check(ctx, p.token, from)
	if reason := tokens.ReasonOf(err); reason != "" {
		return &bearerError{code: oauth.InvalidToken, reason: reason, dpop: p.dpop, cause: err}
	}
	if err != nil {
		return err
	}
	if err := h.holds(w, r, p, &t.Claims); err != nil {
		return err
	}
	// A token for one URL, or for so many uses, was not made for this question,
	// and is not counted here.
	if c := &t.Claims; c.Has("url") || c.Has("url#S256") || c.Has("method") || c.Has("uses") {
		return &bearerError{code: oauth.InvalidToken, reason: oauth.ReasonUnsupported, dpop: p.dpop}
	}
	scope, _ := oauth.ParseScope(t.Claims.Scope)
	if !scope.Has(oauth.ScopeOpenID) {
		return &bearerError{code: oauth.InsufficientScope, scope: oauth.ScopeOpenID, reason: oauth.ReasonInsufficientScope, dpop: p.dpop}
	}
	a, err := h.cfg.Tokens.Person(ctx, t.Claims.Subject, scope)
	if errors.Is(err, authority.ErrNotFound) {
		return &bearerError{code: oauth.InvalidToken, reason: oauth.ReasonRevoked, dpop: p.dpop, cause: err}
	}
	if err != nil {
		return err
	}
	answer := person{Subject: a.Subject()}
	if scope.Has(oauth.ScopeProfile) {
		answer.Name, answer.PreferredUsername, answer.UpdatedAt = a.Name, a.Login, a.UpdatedAt.Unix()
	}
	if scope.Has(oauth.ScopeEmail) && a.Email != "" {
		answer.Email, answer.EmailVerified = a.Email, &a.EmailVerified
	}
	return writeJSON(w, answer)
}

// presentedToken takes the token from the Authorization header, or from the body
// of a form POST, but not from both and never from the URL (RS-1, RS-2).
func presentedToken(w http.ResponseWriter, r *http.Request) (presented, error) {
	var fromBody string
	if r.Method == http.MethodPost && strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/x-www-form-urlencoded") {
		form, err := readForm(w, r)
		if err != nil {
			return presented{}, &bearerError{code: oauth.InvalidRequest, reason: oauth.ReasonMalformedRequest, cause: err}
		}
		fromBody = form.Get("access_token")
	}
	values := r.Header.Values("Authorization")
	switch {
	case len(values) > 1 || len(values) == 1 && fromBody != "":
		return presented{}, &bearerError{code: oauth.InvalidRequest, reason: oauth.ReasonMalformedRequest, cause: errors.New("two tokens in one request")}
	case len(values) == 0 && fromBody == "":
		return presented{}, &bearerError{reason: oauth.ReasonMissingToken}
	case len(values) == 0:
		return presented{token: fromBody}, nil
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	dpop := strings.EqualFold(scheme, oauth.DPoP)
	if !ok || !dpop && !strings.EqualFold(scheme, oauth.Bearer) {
		return presented{}, &bearerError{reason: oauth.ReasonMissingToken}
	}
	return presented{strings.TrimLeft(token, " "), dpop}, nil
}
