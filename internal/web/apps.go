package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
)

// appLine is an app on a person's own page.
type appLine struct {
	ID, Name string
	Scopes   []scopeLine
	Since    string
	LastUsed string // "" where it holds nothing at the moment
	Agent    bool   // it acts by itself, and was not allowed to by the person
}

func (h *Handler) appLines(list []accounts.App) []appLine {
	day := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format("2 Jan 2006")
	}
	var lines []appLine
	for _, a := range list {
		line := appLine{ID: a.ClientID, Name: a.Name, Since: day(a.Since), LastUsed: day(a.LastUsed), Agent: a.Agent}
		for _, scope := range a.Scope {
			line.Scopes = append(line.Scopes, h.scopeLine(scope))
		}
		lines = append(lines, line)
	}
	return lines
}

// withdraw takes back what the person allows an app.
func (h *Handler) withdraw(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	b, err := h.browser(r)
	if err != nil {
		return err
	}
	// The page may be older than the sign-in: only the account it showed counts.
	if b.SignedIn() && form.Get("account") == b.Account.Subject() {
		actor := authority.Actor{Kind: "account", ID: b.Account.Subject()}
		err := h.cfg.Accounts.WithdrawConsent(r.Context(), actor, b.Account.ID, form.Get("app"), "withdrawn by the person", b.Context)
		if err != nil && !errors.Is(err, authority.ErrNotFound) { // withdrawn already, in another window
			return err
		}
	}
	h.see(w, h.prefix+"/")
	return nil
}
