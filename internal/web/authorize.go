package web

import (
	"net/http"

	"github.com/jetonhq/jeton/internal/flow"
)

// authorize begins a request (OAuth 2.1 section 4.1.1).
func (h *Handler) authorize(w http.ResponseWriter, r *http.Request) error {
	v := visit{query: r.URL.RawQuery}
	var err error
	if v.browser, err = h.browser(r); err != nil {
		v.step, err = h.cfg.Flow.Fail(r.Context(), v.query, err)
	} else {
		v.step, err = h.cfg.Flow.Decide(r.Context(), v.query, v.browser)
	}
	if err != nil {
		return err
	}
	return h.take(w, r, v)
}

// authorizePost turns a posted request into a GET of itself: a post from another
// site comes without the session cookie, the GET that follows comes with it
// (SPECS HT-1).
func (h *Handler) authorizePost(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	h.see(w, h.prefix+"/authorize?"+form.Encode())
	return nil
}

// resume goes on after a person signed in or chose an account.
func (h *Handler) resume(w http.ResponseWriter, r *http.Request) error {
	v, ok, err := h.visit(r)
	if err != nil {
		return err
	}
	if !ok {
		h.see(w, h.prefix+"/")
		return nil
	}
	if !v.browser.State.Authenticated.IsZero() && !v.browser.SignedIn() {
		return &flow.Problem{
			Status: http.StatusBadRequest,
			Title:  "Your browser did not keep our cookie",
			Text:   "You entered the right password, but without a cookie we cannot remember it even for one step. Allow cookies for this site, then go back to the app and start again.",
		}
	}
	return h.take(w, r, v)
}
