package bff

import (
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// maxLogoutAge is the oldest logout token that is taken, and so how long one is remembered. Their exp is earlier.
const maxLogoutAge = 10 * time.Minute

// backChannel ends the sessions that a logout token names (OpenID Connect Back-Channel Logout section 2.5): of one
// session at the authority (sid), or all of a person's (sub alone). A token counts once; ending what is not there is
// no error.
func (a *App) backChannel(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" || r.ParseForm() != nil || len(r.PostForm["logout_token"]) != 1 {
		refuseLogout(w, "the body is no form with one logout_token")
		return
	}
	t, err := a.logout.Verify(ctx, r.PostForm.Get("logout_token"))
	if jwt.ReasonOf(err) == jwt.ReasonKeysUnavailable {
		a.log.WarnContext(ctx, "a logout token could not be verified", "error", err)
		writeJSON(w, http.StatusServiceUnavailable, oauth.ErrorResponse{Error: oauth.TemporarilyUnavailable, Description: "the keys are not available"})
		return
	}
	if err != nil {
		a.log.WarnContext(ctx, "a logout token was refused", "error", err)
		refuseLogout(w, "the logout token is refused: "+jwt.ReasonOf(err))
		return
	}
	marker := digest("logout token", t.Claims.ID)
	switch _, err := a.config.Store.Find(ctx, marker); {
	case err == nil:
		refuseLogout(w, "the logout token was used before")
		return
	case !errors.Is(err, ErrNotFound):
		a.logoutFailed(w, r, err)
		return
	}
	ended, err := a.endNamed(r, &t.Claims)
	if err == nil {
		// Only now: a token whose work was not done has to work when it comes again.
		err = a.config.Store.Create(ctx, marker, Record{Version: 1, Expires: a.now().Add(maxLogoutAge + time.Minute)})
	}
	if err != nil && !errors.Is(err, ErrConflict) {
		a.logoutFailed(w, r, err)
		return
	}
	a.stats.Ended.Add(uint64(ended)) // #nosec G115 -- a number of sessions
	w.WriteHeader(http.StatusOK)
}

func (a *App) endNamed(r *http.Request, c *jwt.Claims) (int, error) {
	if c.SessionID != "" {
		return a.config.Store.EndSession(r.Context(), digest("sid", c.SessionID))
	}
	return a.config.Store.EndSubject(r.Context(), digest("sub", c.Subject))
}

func (a *App) logoutFailed(w http.ResponseWriter, r *http.Request, err error) {
	a.log.ErrorContext(r.Context(), "sessions were not ended", "error", err)
	writeJSON(w, http.StatusInternalServerError, oauth.ErrorResponse{Error: oauth.ServerError, Description: "the sessions could not be ended"})
}

func refuseLogout(w http.ResponseWriter, why string) {
	writeJSON(w, http.StatusBadRequest, oauth.ErrorResponse{Error: oauth.InvalidRequest, Description: why})
}
