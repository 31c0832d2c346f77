package bff

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/jetonhq/jeton/oauth"
)

const (
	// patience is how long a person may take to sign in.
	patience = 10 * time.Minute
	// maxPending bounds the cookies of sign-ins that were begun and not finished: they travel with each request.
	maxPending = 8
	// maxReturn bounds the address to return to, so that the cookie stays below 1 kB.
	maxReturn = 300
	// stateName is how much of the state is in the cookie's name.
	stateName = 8
)

// attempt is a sign-in that is under way. It is sealed into a cookie: nothing is stored for people who have not
// signed in.
type attempt struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"`
	Return   string    `json:"r"`
	Began    time.Time `json:"t"`
	MaxAge   *int64    `json:"a,omitempty"` // seconds, as it was asked for
}

// placeOfAttempt is where attempts are sealed for. The state in the cookie's name is also inside.
const placeOfAttempt = "sign-in"

// signIn sends the browser to the authority (OAuth 2.1 section 4.1.1). Parameters: return_to, where to go afterwards,
// a path of ours; and prompt, max_age, acr_values and login_hint, which are passed on (OpenID Connect Core section
// 3.1.2.1): what an API's challenge asks for with step_up_needed.
func (a *App) signIn(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	t := attempt{State: random(), Nonce: random(), Verifier: random(), Return: returnTo(asked.Get("return_to")), Began: a.now()}
	to := url.Values{
		"response_type": {"code"}, "client_id": {a.config.ClientID}, "redirect_uri": {a.RedirectURI()}, "scope": {a.config.Scope},
		"state": {t.State}, "nonce": {t.Nonce}, "code_challenge": {oauth.Challenge(t.Verifier)}, "code_challenge_method": {oauth.S256},
	}
	for _, name := range []string{"prompt", "acr_values", "login_hint"} {
		if value := asked.Get(name); value != "" {
			to.Set(name, value)
		}
	}
	if text := asked.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			a.problem(w, http.StatusBadRequest, "This sign-in link does not work", "Its max_age is no number of seconds.")
			return
		}
		t.MaxAge = new(int64(seconds))
		to.Set("max_age", text)
	}
	plain, err := json.Marshal(t)
	if err != nil {
		a.broken(w, r, err)
		return
	}
	if pending := a.pending(r); len(pending) >= maxPending {
		for _, name := range pending {
			a.setCookie(w, name, "", gone, http.SameSiteLaxMode)
		}
	}
	sealed := base64.RawURLEncoding.EncodeToString(a.sealer.seal(plain, placeOfAttempt))
	// Lax, whatever the session's cookie is: the browser comes back from another site.
	a.setCookie(w, signInPrefix+t.State[:stateName], sealed, patience, http.SameSiteLaxMode)
	see(w, a.endpoint("/authorize?")+to.Encode())
}

// returnTo is the path to go to after signing in. Whatever is not plainly one of ours is the front page.
func returnTo(asked string) string {
	if len(asked) > maxReturn || !localPath(asked) {
		return "/"
	}
	return asked
}

// attempt is the sign-in that a callback with this state belongs to, if it was begun in this browser and not too long
// ago.
func (a *App) attempt(r *http.Request, state string) (t attempt, ok bool) {
	if !isRandom(state) {
		return t, false
	}
	cookies := r.CookiesNamed(a.cookieName(signInPrefix + state[:stateName]))
	if len(cookies) != 1 {
		return t, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookies[0].Value)
	if err != nil {
		return t, false
	}
	plain, err := a.sealer.open(sealed, placeOfAttempt)
	if err != nil || json.Unmarshal(plain, &t) != nil {
		return t, false
	}
	age := a.now().Sub(t.Began)
	return t, same(t.State, state) && age < patience && age > -time.Minute
}
