package bff

import (
	"encoding/json"
	"html/template"
	"net/http"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/oauth"
)

// page says what went wrong, or leads on.
var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
{{with .Next}}<meta http-equiv="refresh" content="0; url={{.}}">{{end}}
<title>{{.Title}}</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}</style>
<h1>{{.Title}}</h1>
<p>{{.Text}}
{{with .Link}}<p><a href="{{.}}">Sign in</a>{{end}}
{{with .Next}}<p><a href="{{.}}">Go on</a>{{end}}
</html>
`))

type pageContent struct{ Title, Text, Link, Next string }

func (a *App) show(w http.ResponseWriter, status int, c pageContent) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := page.Execute(w, c); err != nil {
		a.log.Debug("a page was not written", "error", err)
	}
}

func (a *App) problem(w http.ResponseWriter, status int, title, text string) {
	a.show(w, status, pageContent{Title: title, Text: text, Link: a.config.Path + "/sign-in"})
}

func (a *App) refuseSignIn(w http.ResponseWriter, r *http.Request, status int, text string, cause error) {
	a.stats.Refused.Add(1)
	if cause != nil {
		a.log.WarnContext(r.Context(), "a sign-in was not finished", "error", cause)
	}
	a.problem(w, status, "Not signed in", text)
}

func (a *App) broken(w http.ResponseWriter, r *http.Request, err error) {
	a.log.ErrorContext(r.Context(), "a request was not answered", "path", r.URL.Path, "error", err)
	a.problem(w, http.StatusInternalServerError, "Something went wrong", "Please try again later.")
}

// leave goes on to a path of ours. The address is written in full, so that nobody can read it as another host's. A
// Strict cookie is not sent on a way that began at another site, so that a page of ours begins a new one.
func (a *App) leave(w http.ResponseWriter, path string) {
	if a.config.StrictCookie {
		a.show(w, http.StatusOK, pageContent{Title: "Signed in", Next: a.config.PublicURL + path})
		return
	}
	see(w, a.config.PublicURL+path)
}

// see redirects with a GET (RFC 9700 section 4.12: never 307 here).
func see(w http.ResponseWriter, address string) {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the browser may be gone
}

// refuse answers like a guard, with a reason of its table.
func refuse(w http.ResponseWriter, code string) {
	for _, reason := range jeton.Reasons() {
		if reason.Code != code {
			continue
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Jeton-Reason", code)
		if reason.Status == http.StatusUnauthorized {
			// RFC 9110 section 15.5.2 wants a challenge. There is none that a browser could meet by itself.
			w.Header().Set("WWW-Authenticate", `Cookie realm="app"`)
		}
		if reason.Status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		writeJSON(w, reason.Status, refusal{reason.Error, reason.Means, code})
		return
	}
}

type refusal struct {
	Error       oauth.Code `json:"error"`
	Description string     `json:"error_description"`
	Reason      string     `json:"reason"`
}
