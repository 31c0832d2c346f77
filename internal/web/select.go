package web

import (
	"net/http"

	"github.com/jetonhq/jeton/internal/flow"
)

type selectPage struct {
	App     string
	Account person
}

func (h *Handler) selectAccount(w http.ResponseWriter, r *http.Request) error {
	v, ok, err := h.visit(r)
	if err != nil {
		return err
	}
	step, here := v.step.(flow.SelectAccount)
	switch {
	case !ok:
		h.see(w, h.prefix+"/")
		return nil
	case !here:
		return h.take(w, r, v)
	}
	allowForm(w.Header(), step.Request.RedirectURI)
	return h.show(w, r, http.StatusOK, "select", "Choose an account", selectPage{step.Request.App(), personOf(v.browser.Account)})
}

func (h *Handler) selectAccountPost(w http.ResponseWriter, r *http.Request) error {
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
	if form.Get("choice") == "other" {
		return h.switchAccount(w, r, v)
	}
	// The page may be older than the sign-in: only the account it showed counts.
	if v.browser.SignedIn() && form.Get("account") == v.browser.Account.Subject() {
		v.browser.State.Selected = v.browser.Session.ID
	}
	return h.leave(w, r, h.local("/authorize/resume", v))
}

// switchAccount goes to the sign-in page although somebody is signed in.
func (h *Handler) switchAccount(w http.ResponseWriter, r *http.Request, v visit) error {
	v.browser.State = flow.State{Switch: true}
	return h.leave(w, r, h.local("/signin", v))
}
