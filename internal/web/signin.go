package web

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/flow"
	"github.com/jetonhq/jeton/internal/secret"
)

type signInPage struct {
	App   string // "" when nobody asked
	Login string
	Again bool
	Error string
}

func (h *Handler) signIn(w http.ResponseWriter, r *http.Request) error {
	v, ok, err := h.visit(r)
	if err != nil {
		return err
	}
	if !ok {
		if v.browser.SignedIn() {
			h.see(w, h.prefix+"/")
			return nil
		}
		return h.show(w, r, http.StatusOK, "signin", "Sign in", signInPage{})
	}
	step, ok := v.step.(flow.SignIn)
	if !ok {
		return h.take(w, r, v) // signed in meanwhile, in another tab
	}
	allowForm(w.Header(), step.Request.RedirectURI)
	return h.show(w, r, http.StatusOK, "signin", "Sign in", signInFor(step))
}

func signInFor(s flow.SignIn) signInPage {
	return signInPage{App: s.Request.App(), Login: s.Login, Again: s.Again}
}

func (h *Handler) signInPost(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	v, ok, err := h.visit(r)
	if err != nil {
		return err
	}
	var page signInPage
	switch s := v.step.(type) {
	case flow.Respond: // the request cannot succeed any more, whoever signs in
		return h.respond(w, r, s)
	case flow.SignIn:
		allowForm(w.Header(), s.Request.RedirectURI)
		page = signInFor(s)
	}
	page.Login = form.Get("login")
	in, err := h.cfg.Accounts.SignIn(r.Context(), accounts.SignIn{
		Login:     page.Login,
		Password:  secret.New(form.Get("password")),
		Addr:      h.cfg.Addr(r),
		UserAgent: r.UserAgent(),
		Replaces:  v.browser.Session.ID,
	})
	if errors.Is(err, accounts.ErrCredentials) {
		page.Error = "This login and password do not belong together. Check both and try again."
		return h.show(w, r, http.StatusUnprocessableEntity, "signin", "Sign in", page)
	}
	if throttled, ok := errors.AsType[*accounts.ThrottledError](err); ok {
		w.Header().Set("Retry-After", throttled.Header())
		page.Error = "There were too many attempts. Try again in " + inWords(throttled.RetryAfter) + "."
		return h.show(w, r, http.StatusTooManyRequests, "signin", "Sign in", page)
	}
	if err != nil {
		return err
	}
	h.setCookie(w, in.Cookie)
	if !ok {
		return h.leave(w, r, h.prefix+"/")
	}
	v.browser.State = flow.State{Authenticated: in.Session.ID}
	return h.leave(w, r, h.local("/authorize/resume", v))
}

// inWords rounds a wait up to what a person would say.
func inWords(d time.Duration) string {
	plural := func(n int64, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return strconv.FormatInt(n, 10) + " " + unit + "s"
	}
	up := func(unit time.Duration) int64 { return max(1, int64((d+unit-1)/unit)) }
	switch {
	case d <= 90*time.Second:
		return plural(up(time.Second), "second")
	case d <= 90*time.Minute:
		return plural(up(time.Minute), "minute")
	case d <= 36*time.Hour:
		return plural(up(time.Hour), "hour")
	default:
		return plural(up(24*time.Hour), "day")
	}
}
