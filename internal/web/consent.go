package web

import (
	"net/http"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/flow"
	"github.com/jetonhq/jeton/oauth"
)

type consentPage struct {
	App     string
	Account person
	Scopes  []scopeLine
	Target  string // where the answer goes
	Offline bool
	Lasts   string // how long offline access lasts
	Refresh bool   // the app keeps access as long as the person is signed in
	Seen    string
}

type scopeLine struct {
	Text string
	Name string // the scope itself, where we have no words for it
	New  bool   // not allowed before, although others were
}

func (h *Handler) consent(w http.ResponseWriter, r *http.Request) error {
	v, ok, err := h.visit(r)
	if err != nil {
		return err
	}
	if !ok {
		h.see(w, h.prefix+"/")
		return nil
	}
	return h.ask(w, r, v)
}

// ask shows the question, if it is still the one to ask.
func (h *Handler) ask(w http.ResponseWriter, r *http.Request, v visit) error {
	step, ok := v.step.(flow.Consent)
	if !ok {
		return h.take(w, r, v)
	}
	req := step.Request
	allowForm(w.Header(), req.RedirectURI)
	return h.show(w, r, http.StatusOK, "consent", "Allow "+req.App(), consentPage{
		App:     req.App(),
		Account: personOf(v.browser.Account),
		Scopes:  h.scopeLines(step),
		Target:  req.Target(),
		Offline: step.Scope.Has(oauth.ScopeOfflineAccess),
		Lasts:   inWords(h.lasts(req.Client)),
		Refresh: req.Client.AllowsGrant(oauth.RefreshToken),
		Seen:    step.Seen(v.browser.Account.ID),
	})
}

// browserAbsolute bounds the access of public browser apps (SPECS REF-4).
const browserAbsolute = 24 * time.Hour

// lasts is how long an app keeps offline access at most: what the mint will do.
func (h *Handler) lasts(c authority.Client) time.Duration {
	switch {
	case c.RefreshAbsolute > 0:
		return c.RefreshAbsolute
	case c.Public() && !c.Native:
		return min(h.cfg.RefreshAbsolute, browserAbsolute)
	}
	return h.cfg.RefreshAbsolute
}

func (h *Handler) consentPost(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	v, ok, err := h.visit(r)
	if err != nil {
		return err
	}
	if !ok {
		h.see(w, h.prefix+"/")
		return nil
	}
	if form.Get("answer") == "switch" {
		return h.switchAccount(w, r, v)
	}
	step, ok := v.step.(flow.Consent)
	if !ok || form.Get("seen") != step.Seen(v.browser.Account.ID) {
		// Signed out, or as somebody else, or another scope: not what was answered.
		return h.ask(w, r, v)
	}
	switch form.Get("answer") {
	case "allow":
		return h.respond(w, r, h.cfg.Flow.Issue(r.Context(), step.Allow(), v.browser))
	case "deny":
		return h.respond(w, r, h.cfg.Flow.Deny(step))
	default:
		return h.ask(w, r, v)
	}
}

// words for the scopes that mean the same everywhere (OpenID Connect Core
// sections 5.4 and 11). They continue "it will be able to".
var words = map[string]string{
	oauth.ScopeOpenID:        "Know that it is you",
	oauth.ScopeProfile:       "See your name and login",
	oauth.ScopeEmail:         "See your email address",
	oauth.ScopeOfflineAccess: "Act for you while you are away",
}

func (h *Handler) scopeLines(c flow.Consent) []scopeLine {
	var lines []scopeLine
	for _, scope := range c.Scope {
		line := h.scopeLine(scope)
		line.New = len(c.Known) > 0 && !c.Known.Has(scope)
		lines = append(lines, line)
	}
	return lines
}

// scopeLine has plain words for a scope, or its name where there are none.
func (h *Handler) scopeLine(scope string) scopeLine {
	line := scopeLine{Text: h.cfg.Scopes[scope]}
	if line.Text == "" {
		line.Text = words[scope]
	}
	if line.Text == "" {
		line.Name = scope
	}
	return line
}
