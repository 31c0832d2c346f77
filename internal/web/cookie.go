package web

import (
	"errors"
	"net/http"

	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/flow"
	"github.com/jetonhq/jeton/internal/secret"
)

// CookieName is the name of the session cookie. The __Host- prefix makes
// browsers refuse it without Secure, with a Domain, or below another path, so no
// neighbour host can plant one; it cannot be had without https.
func CookieName(secure bool) string {
	if secure {
		return "__Host-jeton"
	}
	return "jeton"
}

// setCookie keeps the session in the browser until it closes; when the session
// ends is decided here, not there. SameSite is Lax because people arrive by links
// from other sites, and Strict would have them sign in each time.
func (h *Handler) setCookie(w http.ResponseWriter, v secret.Value) {
	http.SetCookie(w, h.cookie(v.Reveal(), 0))
}

func (h *Handler) dropCookie(w http.ResponseWriter) {
	http.SetCookie(w, h.cookie("", -1))
}

func (h *Handler) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{ // #nosec G124 -- without Secure only where the issuer is http, on loopback
		Name:     CookieName(h.secure),
		Value:    value,
		Path:     "/",
		MaxAge:   maxAge,
		Secure:   h.secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
}

// browser says who is asking. Nobody being signed in is no error.
func (h *Handler) browser(r *http.Request) (flow.Browser, error) {
	b := flow.Browser{Context: h.from(r)}
	cookies := r.CookiesNamed(CookieName(h.secure))
	if len(cookies) != 1 {
		// None; or two, and then one of them was planted.
		return b, nil
	}
	session, account, err := h.cfg.Accounts.Session(r.Context(), cookies[0].Value, b.Context)
	if errors.Is(err, accounts.ErrNoSession) {
		return b, nil
	}
	b.Session, b.Account = session, account
	return b, err
}

func (h *Handler) from(r *http.Request) authority.Context {
	return authority.Context{Network: accounts.NetworkOf(h.cfg.Addr(r)), UserAgent: r.UserAgent()}
}
