package web

import (
	"errors"
	"net/http"

	"github.com/jetonhq/jeton/internal/flow"
)

type signOutPage struct {
	App     string // who asks, if anybody said so
	Account person
	Request string // what the confirmation has to bring back
	Problem *flow.Problem
}

// endSession is where clients send people to sign out (RP-Initiated Logout
// section 2).
func (h *Handler) endSession(w http.ResponseWriter, r *http.Request) error {
	b, err := h.browser(r)
	if err != nil {
		return err
	}
	ask, err := h.cfg.Flow.Logout(r.Context(), r.URL.RawQuery, b)
	if problem, ok := errors.AsType[*flow.Problem](err); ok && b.SignedIn() {
		// Section 4: whatever is wrong with the request, the person may still want
		// to sign out. They stay here then.
		h.logProblem(r, problem)
		return h.show(w, r, problem.Status, "signout", "Sign out", signOutPage{Account: personOf(b.Account), Problem: problem})
	}
	if err != nil {
		return err
	}
	if b.SignedIn() && !ask.Now {
		return h.confirmSignOut(w, r, b, ask)
	}
	return h.end(w, r, b, ask)
}

// endSessionPost turns a post, which comes without the session cookie, into a
// GET that comes with it.
func (h *Handler) endSessionPost(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	h.see(w, h.prefix+"/end_session?"+form.Encode())
	return nil
}

// signOut asks whether to sign out of this place, with no app involved.
func (h *Handler) signOut(w http.ResponseWriter, r *http.Request) error {
	b, err := h.browser(r)
	if err != nil {
		return err
	}
	if !b.SignedIn() {
		h.see(w, h.prefix+"/signed-out")
		return nil
	}
	return h.confirmSignOut(w, r, b, flow.Logout{})
}

func (h *Handler) confirmSignOut(w http.ResponseWriter, r *http.Request, b flow.Browser, ask flow.Logout) error {
	allowForm(w.Header(), ask.RedirectURI)
	page := signOutPage{App: ask.App(), Account: personOf(b.Account), Request: ask.Query()}
	return h.show(w, r, http.StatusOK, "signout", "Sign out", page)
}

// signOutPost is the person's yes. Where it leads is checked again.
func (h *Handler) signOutPost(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	b, err := h.browser(r)
	if err != nil {
		return err
	}
	ask, err := h.cfg.Flow.Logout(r.Context(), form.Get("request"), b)
	if problem, ok := errors.AsType[*flow.Problem](err); ok {
		h.logProblem(r, problem)
		ask, err = flow.Logout{}, nil
	}
	if err != nil {
		return err
	}
	return h.end(w, r, b, ask)
}

// end ends the session, if there is one, and only then goes on.
func (h *Handler) end(w http.ResponseWriter, r *http.Request, b flow.Browser, ask flow.Logout) error {
	if b.SignedIn() {
		if err := h.cfg.Accounts.SignOut(r.Context(), b.Session, b.Context); err != nil {
			return err
		}
	}
	h.dropCookie(w)
	if ask.Return != "" {
		if ownScheme(ask.Return) != "" {
			h.see(w, ask.Return)
			return nil
		}
		return h.leave(w, r, ask.Return)
	}
	return h.leave(w, r, h.prefix+"/signed-out")
}

// signedOut says so. Somebody who is signed in gets the truth instead.
func (h *Handler) signedOut(w http.ResponseWriter, r *http.Request) error {
	b, err := h.browser(r)
	if err != nil {
		return err
	}
	if b.SignedIn() {
		h.see(w, h.prefix+"/")
		return nil
	}
	return h.show(w, r, http.StatusOK, "signedout", "Signed out", nil)
}
