package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// idClaims verifies an ID token the way a client does, and returns its claims.
func (w *world) idClaims(client, token string, algorithm jwk.Algorithm) map[string]any {
	w.t.Helper()
	set, err := jwk.ParseSet([]byte(w.get("/jwks").ok().body))
	must(w.t, err)
	v, err := jwt.NewVerifier(jwt.Config{Profile: jwt.IDToken, Issuer: w.issuer, Audience: []string{client}, Algorithms: []jwk.Algorithm{algorithm}, Keys: set, Now: w.clock.Now})
	must(w.t, err)
	verified, err := v.Verify(w.t.Context(), token)
	must(w.t, err)
	var claims map[string]any
	must(w.t, json.Unmarshal(verified.Claims.Payload(), &claims))
	return claims
}

// The same request by GET and by a cross-site POST; openid decides whether there
// is an ID token.
func TestOP_1_OpenIDInScopeMakesAnIDToken(t *testing.T) {
	w := newWorld(t, options{})
	v := w.visitor()
	for names, want := range map[string]bool{"openid read": true, "read": false, "read openidx": false} {
		address := w.authorize("web", "scope", names)
		a := w.redeem("web", v.walk(address).Get("code")).ok()
		if got := a.text("id_token") != ""; got != want {
			t.Errorf("scope %q: ID token %t, want %t", names, got, want)
		}
		path, query, _ := strings.Cut(address, "?")
		p := v.open(http.MethodPost, path, query)
		u, err := url.Parse(p.location)
		must(t, err)
		w.remember("code", u.Query().Get("code"))
		if got := w.redeem("web", u.Query().Get("code")).ok().text("id_token") != ""; got != want {
			t.Errorf("scope %q by POST: ID token %t, want %t", names, got, want)
		}
	}
}

// The claims parameter is not advertised: it is ignored, and adds nothing.
func TestOP_5_ClaimsParameterIsNotOffered(t *testing.T) {
	w := newWorld(t, options{})
	code := w.visitor().walk(w.authorize("web", "claims", `{"userinfo":{"email":{"essential":true}},"id_token":{"sub":{"value":"somebody-else"}}}`)).Get("code")
	a := w.redeem("web", code).ok()
	if got := w.userinfo(a.text("access_token")).ok().json; got["email"] != nil || got["sub"] != w.person.Subject() {
		t.Errorf("userinfo %v", got)
	}
}

func TestOP_6_IDTokenClaims(t *testing.T) {
	w := newWorld(t, options{})
	both := []string{oauth.AuthorizationCode, oauth.RefreshToken}
	for _, algorithm := range []string{"ES256", "Ed25519"} {
		w.client(clients.Spec{ID: "rp-" + algorithm, GrantTypes: both, RedirectURIs: []string{"https://rp.example.com/cb"}, Scope: everything, Audience: api, IDTokenAlg: algorithm})
	}
	nonce := strings.Repeat("n-", 40)
	for client, algorithm := range map[string]jwk.Algorithm{"web": jwk.RS256, "rp-ES256": jwk.ES256, "rp-Ed25519": jwk.Ed25519} {
		t.Run(client, func(t *testing.T) {
			s := w.session(w.person)
			a := w.signedIn(client, in(s), scope("openid", "email"), func(c *authority.Code) { c.Nonce = nonce })
			now := float64(w.clock.Now().Unix())
			want := map[string]any{
				"iss": w.issuer, "sub": w.person.Subject(), "aud": client, "iat": now, "exp": now + 300, "auth_time": now, "nonce": nonce,
				"amr": []any{"pwd"}, "sid": s.ID.String(), "at_hash": jwt.HalfHash(algorithm, a.text("access_token")),
			}
			if diff := cmp.Diff(want, w.idClaims(client, a.text("id_token"), algorithm)); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
			u, err := jwt.Parse(a.text("id_token"), 0)
			must(t, err)
			var header map[string]any
			must(t, json.Unmarshal(u.RawHeader, &header))
			if diff := cmp.Diff(map[string]any{"typ": "JWT", "alg": string(algorithm), "kid": u.Header.KeyID}, header); diff != "" {
				t.Errorf("header: want -, got +\n%s", diff)
			}
		})
	}
	a := w.signedIn("web", scope("openid"))
	if _, has := w.idClaims("web", a.text("id_token"), jwk.RS256)["nonce"]; has {
		t.Error("a nonce that nobody sent")
	}
}

func TestOP_7_IDTokenOfARefresh(t *testing.T) {
	w := newWorld(t, options{})
	first := w.signedIn("web", scope("openid", "read"), func(c *authority.Code) { c.Nonce = "n" })
	before := w.idClaims("web", first.text("id_token"), jwk.RS256)
	w.clock.advance(time.Hour)
	a := w.refresh("web", first.text("refresh_token")).ok()
	after := w.idClaims("web", a.text("id_token"), jwk.RS256)
	for _, name := range []string{"iss", "sub", "aud", "auth_time", "sid"} {
		if before[name] != after[name] {
			t.Errorf("%s went from %v to %v", name, before[name], after[name])
		}
	}
	if after["iat"] != before["iat"].(float64)+3600 {
		t.Errorf("iat %v after %v", after["iat"], before["iat"])
	}
	if _, has := after["nonce"]; has {
		t.Error("the nonce came again")
	}
	if after["at_hash"] != jwt.HalfHash(jwk.RS256, a.text("access_token")) {
		t.Error("at_hash is of another access token")
	}
}

// Through the pages: no consent to offline access, no refresh token that
// outlives the session.
func TestOP_8_OfflineAccessOnlyWithConsent(t *testing.T) {
	w := newWorld(t, options{})
	w.client(clients.Spec{ID: "plain", GrantTypes: []string{oauth.AuthorizationCode}, RedirectURIs: []string{"https://app.example.com/cb"}, Scope: everything, Audience: api})
	v := w.visitor()
	a := w.redeem("web", v.walk(w.authorize("web", "scope", "openid read offline_access")).Get("code")).ok()
	if a.text("scope") != "openid read offline_access" || a.text("refresh_token") == "" {
		t.Errorf("with consent: %v", a.json)
	}
	// Consent to offline access is recorded now; asking for less does not use it.
	b := w.redeem("web", v.walk(w.authorize("web", "scope", "openid read")).Get("code")).ok()
	if b.text("scope") != "openid read" {
		t.Errorf("granted %q", b.text("scope"))
	}
	must(t, w.signOut())
	w.refresh("web", a.text("refresh_token")).ok()
	w.refresh("web", b.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.wantDead("an access token of the session", b.text("access_token"))
	// A client that is not registered for refresh tokens gets none, whatever it asks.
	c := w.redeem("plain", w.visitor().walk(w.authorize("plain", "scope", "openid offline_access")).Get("code")).ok()
	if c.text("refresh_token") != "" {
		t.Error("a refresh token for a client without that grant type")
	}
}

// signOut ends every session of ada.
func (w *world) signOut() error {
	sessions, err := w.parts.Accounts.Sessions(w.t.Context(), w.person.ID, authority.Page{})
	for _, s := range sessions {
		if e := w.parts.Accounts.SignOut(w.t.Context(), s, authority.Context{}); e != nil {
			return e
		}
	}
	return err
}

func TestOP_9_Userinfo(t *testing.T) {
	w := newWorld(t, options{})
	updated := float64(w.person.UpdatedAt.Unix())
	for _, tt := range []struct {
		scope []string
		want  map[string]any
	}{
		{[]string{"openid"}, map[string]any{}},
		{[]string{"openid", "email"}, map[string]any{"email": "ada@example.com", "email_verified": true}},
		{[]string{"openid", "profile"}, map[string]any{"name": "Ada Lovelace", "preferred_username": "ada", "updated_at": updated}},
	} {
		a := w.signedIn("web", scope(tt.scope...))
		tt.want["sub"] = w.idClaims("web", a.text("id_token"), jwk.RS256)["sub"]
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := w.request(method, "/userinfo", "")
			r.Header.Set("Authorization", "Bearer "+a.text("access_token"))
			got := w.do(r).ok()
			if diff := cmp.Diff(tt.want, got.json); diff != "" {
				t.Errorf("%s with %v: want -, got +\n%s", method, tt.scope, diff)
			}
			if got.header.Get("Content-Type") != "application/json" {
				t.Errorf("Content-Type %q", got.header.Get("Content-Type"))
			}
		}
	}
	// Without openid the token is good, but not for this.
	a := w.userinfo(w.signedIn("web", scope("read", "email")).text("access_token"))
	if a.status != http.StatusForbidden || a.text("error") != "insufficient_scope" || !strings.Contains(a.header.Get("WWW-Authenticate"), `scope="openid"`) {
		t.Errorf("without openid: %d %s %s", a.status, a.body, a.header.Get("WWW-Authenticate"))
	}
	if a := w.userinfo(w.machine()); a.status != http.StatusForbidden {
		t.Errorf("a program: %d", a.status)
	}
}

func TestOP_10_ClaimsFollowTheAccountAndEmptyOnesAreLeftOut(t *testing.T) {
	w := newWorld(t, options{})
	token := w.signedIn("web", scope("openid", "profile", "email")).text("access_token")
	_, err := w.parts.Accounts.UpdateProfile(t.Context(), admin(), w.person.ID, accounts.Profile{Login: "ada", Name: "Countess"}, "test")
	must(t, err)
	a := w.userinfo(token).ok()
	if a.text("name") != "Countess" {
		t.Errorf("name %q", a.text("name"))
	}
	for _, name := range []string{"email", "email_verified", "phone_number", "address"} {
		if v, has := a.json[name]; has {
			t.Errorf("%s is %v, want it left out", name, v)
		}
	}
}

// bearer sends a userinfo request with these Authorization values.
func (w *world) bearer(method, path, body string, authorization ...string) answer {
	w.t.Helper()
	r := w.request(method, path, body)
	r.Header["Authorization"] = authorization
	return w.do(r)
}

func TestRS_1_HowTheTokenTravels(t *testing.T) {
	w := newWorld(t, options{})
	token := w.signedIn("web", scope("openid")).text("access_token")
	for _, value := range []string{"Bearer " + token, "bearer " + token, "BEARER   " + token} {
		w.bearer(http.MethodGet, "/userinfo", "", value).ok()
	}
	w.bearer(http.MethodPost, "/userinfo", "access_token="+token).ok()
	// Never from the URL, also not together with a good one.
	a := w.get("/userinfo?access_token=" + token)
	if a.status != http.StatusUnauthorized || a.body != "" {
		t.Errorf("token in the URL: %d %s", a.status, a.body)
	}
	w.bearer(http.MethodGet, "/userinfo?access_token=x", "", "Bearer "+token).ok()
	if a := w.bearer(http.MethodPost, "/userinfo?access_token="+token, "x=y"); a.status != http.StatusUnauthorized {
		t.Errorf("token in the URL of a POST: %d", a.status)
	}
}

func TestRS_2_TwoTokensInOneRequest(t *testing.T) {
	w := newWorld(t, options{})
	token := w.signedIn("web", scope("openid")).text("access_token")
	for name, a := range map[string]answer{
		"header and body":      w.bearer(http.MethodPost, "/userinfo", "access_token="+token, "Bearer "+token),
		"two headers":          w.bearer(http.MethodGet, "/userinfo", "", "Bearer "+token, "Bearer "+token),
		"twice in the body":    w.bearer(http.MethodPost, "/userinfo", "access_token="+token+"&access_token="+token),
		"Basic and body token": w.bearer(http.MethodPost, "/userinfo", "access_token="+token, "Basic eDp5"),
	} {
		if a.status != http.StatusBadRequest || a.text("error") != "invalid_request" || !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_request"`) {
			t.Errorf("%s: %d %s %s", name, a.status, a.body, a.header.Get("WWW-Authenticate"))
		}
	}
}

func TestRS_3_NoCredentialsNoErrorCode(t *testing.T) {
	w := newWorld(t, options{})
	for name, a := range map[string]answer{
		"nothing":        w.get("/userinfo"),
		"another scheme": w.bearer(http.MethodGet, "/userinfo", "", "Basic eDp5"),
		"only a scheme":  w.bearer(http.MethodGet, "/userinfo", "", "Bearer"),
		"an empty form":  w.bearer(http.MethodPost, "/userinfo", "access_token="),
	} {
		challenge := a.header.Get("WWW-Authenticate")
		if a.status != http.StatusUnauthorized || challenge != `Bearer realm="`+w.issuer+`"` || a.body != "" {
			t.Errorf("%s: %d %q %s", name, a.status, challenge, a.body)
		}
	}
}

func TestRS_4_RS_5_Challenges(t *testing.T) {
	w := newWorld(t, options{})
	dead := w.signedIn("web", scope("openid")).text("access_token")
	w.revoke("web", dead, "")
	ended := w.signedIn("web", scope("openid"))
	w.revoke("web", ended.text("refresh_token"), "")
	expired := w.signedIn("web", scope("openid")).text("access_token")
	session := w.session(w.person)
	signedOut := w.signedIn("web", in(session), scope("openid")).text("access_token")
	must(t, w.parts.Accounts.SignOut(t.Context(), session, authority.Context{}))
	w.clock.advance(5 * time.Minute)
	for token, reason := range map[string]string{
		"x": "malformed", "a.b.c": "malformed", expired: "expired", "x " + expired: "malformed", `"><x`: "malformed",
	} {
		w.wantChallenge(token, reason)
	}
	w.clock.advance(-5 * time.Minute)
	for token, reason := range map[string]string{dead: "revoked", ended.text("access_token"): "revoked", signedOut: "session_ended"} {
		w.wantChallenge(token, reason)
	}
}

func (w *world) wantChallenge(token, reason string) {
	w.t.Helper()
	a := w.userinfo(token)
	want := fmt.Sprintf(`Bearer realm="%s", error="invalid_token"`, w.issuer)
	if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != want || a.header.Get("Jeton-Reason") != reason || a.text("error") != "invalid_token" {
		w.t.Errorf("%d %q %q %s, want 401 %s with %q", a.status, a.header.Get("WWW-Authenticate"), a.header.Get("Jeton-Reason"), a.body, reason, want)
	}
}

func TestRS_6_EveryRequestIsCheckedAgain(t *testing.T) {
	w := newWorld(t, options{edit: func(c *config.Config) { c.Tokens.AccessLifetime = 10 * time.Minute }})
	a := w.signedIn("web", scope("openid"))
	for range 3 {
		w.userinfo(a.text("access_token")).ok()
	}
	_, err := w.parts.Accounts.Disable(t.Context(), admin(), w.person.ID, "test")
	must(t, err)
	if got := w.userinfo(a.text("access_token")); got.status != http.StatusUnauthorized {
		t.Errorf("after the account was disabled: %d %s", got.status, got.body)
	}
}
