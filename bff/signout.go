package bff

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/jetonhq/jeton"
)

var crossOrigin = http.NewCrossOriginProtection()

// sameOrigin lets only pages of ours cause a change (CSRF).
func (a *App) sameOrigin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if crossOrigin.Check(r) != nil {
			refuse(w, jeton.ReasonCrossOrigin)
			return
		}
		next(w, r)
	}
}

const maxForm = 8 << 10 // bytes

type signedOut struct {
	SignedOut     bool   `json:"signed_out"`
	EndSessionURL string `json:"end_session_url"`
}

// signOut ends the session here and the grant at the authority. The session at the authority stays, which other apps
// may use: whoever wants to end that too follows end_session_url, where the authority asks the person. A script
// (Accept: application/json) is told that address; a form is sent there with everywhere=1, or else to return_to.
func (a *App) signOut(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		a.problem(w, http.StatusBadRequest, "Not signed out", "The request cannot be read.")
		return
	}
	if key, err := a.key(r); err == nil {
		if s, err := a.look(r.Context(), key); err == nil {
			if err := a.config.Store.End(r.Context(), key); err != nil {
				a.broken(w, r, err) // with the cookie: the session is still there
				return
			}
			a.stats.SignOuts.Add(1)
			a.revoke(r.Context(), s.refresh)
		}
	}
	a.dropSession(w)
	everywhere := a.endpoint("/end_session?") + url.Values{
		// No id_token_hint: that would be a token in the browser. Without one the authority asks the person.
		"client_id": {a.config.ClientID}, "post_logout_redirect_uri": {a.SignedOutURI()},
	}.Encode()
	switch {
	case strings.Contains(r.Header.Get("Accept"), "application/json"):
		writeJSON(w, http.StatusOK, signedOut{true, everywhere})
	case r.PostForm.Get("everywhere") != "":
		see(w, everywhere)
	default:
		see(w, a.config.PublicURL+returnTo(r.PostForm.Get("return_to")))
	}
}
