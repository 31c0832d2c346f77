package bff

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/jetonhq/jeton"
)

// Cookies. The __Host- prefix makes browsers refuse one without Secure, with a Domain, or below another path, so
// that no neighbour host can plant one; it cannot be had without https.
const (
	hostPrefix   = "__Host-"
	sessionName  = "jeton-bff"
	signInPrefix = "jeton-bff-signin-" // and the beginning of the state: each tab has its own
)

// random is 256 bits, in 43 characters of base64url.
func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// isRandom reports whether s can come from random.
func isRandom(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 32 && len(s) == 43
}

func (a *App) cookieName(name string) string {
	if a.secure {
		return hostPrefix + name
	}
	return name
}

// setCookie also keeps the answer out of caches, which would hand the cookie on.
func (a *App) setCookie(w http.ResponseWriter, name, value string, age time.Duration, mode http.SameSite) {
	w.Header().Set("Cache-Control", "no-store")
	http.SetCookie(w, &http.Cookie{ // #nosec G124 -- without Secure only where the app's URL is http, on loopback
		Name: a.cookieName(name), Value: value, Path: "/", MaxAge: int(age.Seconds()), Secure: a.secure, HttpOnly: true, SameSite: mode,
	})
}

// setSession keeps the session in the browser until it closes; when the session ends is decided here, not there.
func (a *App) setSession(w http.ResponseWriter, value string) {
	mode := http.SameSiteLaxMode
	if a.config.StrictCookie {
		mode = http.SameSiteStrictMode
	}
	a.setCookie(w, sessionName, value, 0, mode)
}

// gone is the age of a cookie that the browser is to drop.
const gone = -time.Second

func (a *App) dropSession(w http.ResponseWriter) {
	a.setCookie(w, sessionName, "", gone, http.SameSiteLaxMode)
}

// key is the digest of the request's session cookie. Two cookies of the name are none: one of them was planted.
func (a *App) key(r *http.Request) (Digest, error) {
	switch cookies := r.CookiesNamed(a.cookieName(sessionName)); {
	case len(cookies) != 1:
		return Digest{}, jeton.ErrNoCookie
	case !isRandom(cookies[0].Value):
		return Digest{}, jeton.ErrNoSession
	default:
		return digest("cookie", cookies[0].Value), nil
	}
}

// pending counts the cookies of sign-ins that are under way, and names them.
func (a *App) pending(r *http.Request) []string {
	var names []string
	for _, c := range r.Cookies() {
		if name, ok := strings.CutPrefix(c.Name, a.cookieName(signInPrefix)); ok {
			names = append(names, signInPrefix+name)
		}
	}
	return names
}
