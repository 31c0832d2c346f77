package web

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/jetonhq/jeton/internal/flow"
	"github.com/jetonhq/jeton/oauth"
)

// respond brings an answer to the client, in the mode it asked for.
func (h *Handler) respond(w http.ResponseWriter, r *http.Request, a flow.Respond) error {
	h.logAnswer(r, a)
	if a.Mode == flow.ModeFormPost {
		allowPost(w.Header(), a.RedirectURI)
		return h.show(w, r, http.StatusOK, "post", "One moment", postPage{a.RedirectURI, a.Params()})
	}
	if !a.Web() {
		h.see(w, a.Location())
		return nil
	}
	return h.leave(w, r, a.Location())
}

// postPage posts an answer to the client (OAuth 2.0 Form Post Response Mode
// section 2).
type postPage struct {
	Action string
	Params []flow.Param
}

// leave goes on after a form. A program gets a redirect. A browser that came
// from a form gets a page that goes on by itself, because it would hold the
// form's policy against all redirects that follow, whoever sends them.
func (h *Handler) leave(w http.ResponseWriter, r *http.Request, location string) error {
	if r.Method == http.MethodPost && strings.Contains(r.Header.Get("Accept"), "text/html") {
		return h.show(w, r, http.StatusOK, "leave", "One moment", location)
	}
	h.see(w, location)
	return nil
}

// logAnswer writes one line for an answer that is not a code, with its cause.
func (h *Handler) logAnswer(r *http.Request, a flow.Respond) {
	if a.Error == "" {
		return
	}
	level := slog.LevelInfo
	if a.Error == oauth.ServerError || a.Error == oauth.TemporarilyUnavailable {
		level = slog.LevelError
	}
	h.cfg.Logger.LogAttrs(r.Context(), level, "authorization refused",
		slog.String("client", a.ClientID), slog.String("code", string(a.Error)), slog.Any("error", a.Cause))
}
