package web

import (
	"net/http"
	"strings"
	"unicode"

	"github.com/jetonhq/jeton/internal/authority"
)

// person is how pages show an account.
type person struct {
	ID      string
	Name    string // the login, where there is no name
	Login   string // "" where it would only repeat the name
	Initial string
}

func personOf(a authority.Account) person {
	p := person{ID: a.Subject(), Name: a.Name, Login: a.Login}
	if p.Name == "" || p.Name == p.Login {
		p.Name, p.Login = a.Login, ""
	}
	for _, r := range strings.TrimSpace(p.Name) {
		p.Initial = string(unicode.ToUpper(r))
		break
	}
	return p
}

type homePage struct {
	Account *person
	Apps    []appLine
}

// home says who is signed in here, and what their apps may do.
func (h *Handler) home(w http.ResponseWriter, r *http.Request) error {
	b, err := h.browser(r)
	if err != nil {
		return err
	}
	page := homePage{}
	if b.SignedIn() {
		p := personOf(b.Account)
		page.Account = &p
		apps, err := h.cfg.Accounts.Apps(r.Context(), b.Account.ID)
		if err != nil {
			return err
		}
		page.Apps = h.appLines(apps)
	}
	return h.show(w, r, http.StatusOK, "home", "Your account", page)
}
