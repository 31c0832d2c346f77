package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/oauth"
)

func TestTOK_1_SuccessResponse(t *testing.T) {
	w := newWorld(t, options{})
	a := w.signedIn("web", scope("openid", "read"))
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	var body struct {
		AccessToken  string          `json:"access_token"`
		TokenType    string          `json:"token_type"`
		ExpiresIn    json.RawMessage `json:"expires_in"`
		Scope        string          `json:"scope"`
		RefreshToken string          `json:"refresh_token"`
		IDToken      string          `json:"id_token"`
	}
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		t.Fatal(err)
	}
	if body.AccessToken == "" || body.TokenType != "Bearer" || body.Scope != "openid read" || body.RefreshToken == "" || body.IDToken == "" {
		t.Errorf("got %s", a.body)
	}
	if string(body.ExpiresIn) != "300" {
		t.Errorf("expires_in is %s, want the number 300", body.ExpiresIn)
	}
	if a := w.signedIn("web"); a.text("id_token") != "" {
		t.Error("an ID token without openid in the scope")
	}
}

func TestTOK_1_JitterKeepsExpiresInTrue(t *testing.T) {
	w := newWorld(t, options{edit: func(c *config.Config) { c.Tokens.AccessJitter = 0.05 }})
	seen := make(map[float64]bool)
	for range 40 {
		a := w.post("/token", "machine", "grant_type", "client_credentials").ok()
		in := a.json["expires_in"].(float64)
		if exp := w.introspect(a.text("access_token")).json["exp"].(float64); exp != float64(w.clock.Now().Unix())+in {
			t.Errorf("exp is %v, expires_in says %v", exp, in)
		}
		if in < 285 || in > 315 {
			t.Errorf("expires_in %v is more than 5%% off 300", in)
		}
		seen[in] = true
	}
	if len(seen) < 5 {
		t.Errorf("40 tokens have %d different lifetimes", len(seen))
	}
}

func TestTOK_1_MethodsOtherThanPost(t *testing.T) {
	w := newWorld(t, options{})
	for _, path := range []string{"/token", "/introspect", "/revoke"} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodHead} {
			a := w.do(w.request(method, path+"?grant_type=client_credentials", ""))
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
				t.Errorf("%s %s: got %d, Allow %q", method, path, a.status, a.header.Get("Allow"))
			}
			if a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: Cache-Control %q", method, path, a.header.Get("Cache-Control"))
			}
		}
	}
}

func TestTOK_2_InvalidClient(t *testing.T) {
	w := newWorld(t, options{})
	machine := w.keys["machine"]
	basic := func(id, key string) *http.Request {
		r := w.form("/token", "", "grant_type", "client_credentials")
		r.SetBasicAuth(id, key)
		return r
	}
	header := func(value string) *http.Request {
		r := w.form("/token", "", "grant_type", "client_credentials")
		r.Header.Set("Authorization", value)
		return r
	}
	for name, r := range map[string]*http.Request{
		"unknown client":           basic("nobody", machine),
		"wrong secret":             basic("machine", "jcs_wrong"),
		"secret of another":        basic("machine", w.keys["web"]),
		"empty secret":             basic("machine", ""),
		"nothing":                  header(""),
		"garbage":                  header("Basic %%%"),
		"no colon":                 header("Basic bWFjaGluZQ=="),
		"another scheme":           header("Bearer " + machine),
		"unknown client by post":   w.form("/token", "", "grant_type", "client_credentials", "client_id", "nobody", "client_secret", machine),
		"wrong secret by post":     w.form("/token", "", "grant_type", "client_credentials", "client_id", "post", "client_secret", machine),
		"unknown public client":    w.form("/token", "", "grant_type", "client_credentials", "client_id", "nobody"),
		"assertion":                w.form("/token", "", "grant_type", "client_credentials", "client_assertion", "a.b.c", "client_assertion_type", "x"),
		"user name without scheme": header("machine:" + machine),
	} {
		a := w.do(r)
		a.refused(http.StatusUnauthorized, oauth.InvalidClient)
		if a.json["error_description"] != "client authentication failed" {
			t.Errorf("%s: the refusal says %v: it must not tell why", name, a.json["error_description"])
		}
	}
}

func TestTOK_2_DisabledClient(t *testing.T) {
	w := newWorld(t, options{})
	token := w.machine()
	c, err := w.parts.Clients.Lookup(t.Context(), "machine")
	must(t, err)
	spec := clients.SpecOf(c)
	spec.Disabled = true
	_, err = w.parts.Clients.Update(t.Context(), authority.System, "machine", spec, "test")
	must(t, err)
	w.post("/token", "machine", "grant_type", "client_credentials").refused(http.StatusUnauthorized, oauth.InvalidClient)
	w.wantDead("the token of a disabled client", token)
}

func TestTOK_3_TwoAuthMethods(t *testing.T) {
	w := newWorld(t, options{})
	for name, pairs := range map[string][]string{
		"Basic and body secret": {"client_secret", w.keys["machine"], "client_id", "machine"},
		"Basic and assertion":   {"client_assertion", "a.b.c", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/token", "/introspect", "/revoke"} {
				w.post(path, "machine", append([]string{"grant_type", "client_credentials", "token", "x"}, pairs...)...).
					refused(http.StatusBadRequest, oauth.InvalidRequest)
			}
		})
	}
	r := w.form("/token", "machine", "grant_type", "client_credentials")
	r.Header.Add("Authorization", r.Header.Get("Authorization"))
	w.do(r).refused(http.StatusBadRequest, oauth.InvalidRequest)
}

func TestTOK_4_ConfidentialClientsAuthenticateTheirWay(t *testing.T) {
	w := newWorld(t, options{})
	grant := []string{"grant_type", "client_credentials"}
	for name, r := range map[string]*http.Request{
		"no authentication":           w.form("/token", "", append(grant, "client_id", "machine")...),
		"post, registered for basic":  w.form("/token", "", append(grant, "client_id", "machine", "client_secret", w.keys["machine"])...),
		"basic, registered for post":  w.form("/token", "post", grant...),
		"another client_id in body":   w.form("/token", "machine", append(grant, "client_id", "web")...),
		"public client with a secret": w.form("/token", "", "grant_type", "refresh_token", "refresh_token", "x", "client_id", "spa", "client_secret", "guess"),
	} {
		if a := w.do(r); a.status != http.StatusUnauthorized {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		} else {
			a.refused(http.StatusUnauthorized, oauth.InvalidClient)
		}
	}
	w.post("/token", "machine", append(grant, "client_id", "machine")...).ok() // the same id twice is one id
}

func TestTOK_5_GrantType(t *testing.T) {
	w := newWorld(t, options{})
	w.post("/token", "machine").refused(http.StatusBadRequest, oauth.InvalidRequest)
	w.post("/token", "machine", "grant_type", "").refused(http.StatusBadRequest, oauth.InvalidRequest)
	for _, grant := range []string{"password", "implicit", "urn:example:x", "CLIENT_CREDENTIALS", "client_credentials "} {
		w.post("/token", "machine", "grant_type", grant, "username", "ada", "password", password).
			refused(http.StatusBadRequest, oauth.UnsupportedGrantType)
	}
	w.post("/token", "machine", "grant_type", "authorization_code", "code", "x").refused(http.StatusBadRequest, oauth.UnauthorizedClient)
	w.post("/token", "machine", "grant_type", "refresh_token", "refresh_token", "x").refused(http.StatusBadRequest, oauth.UnauthorizedClient)
	w.post("/token", "web", "grant_type", "client_credentials").refused(http.StatusBadRequest, oauth.UnauthorizedClient)
	for _, grant := range []string{"authorization_code", "refresh_token"} { // what the grant itself needs
		w.post("/token", "web", "grant_type", grant).refused(http.StatusBadRequest, oauth.InvalidRequest)
	}
}

func TestTOK_6_BasicAndPost(t *testing.T) {
	w := newWorld(t, options{})
	w.post("/token", "machine", "grant_type", "client_credentials").ok()
	w.post("/token", "", "grant_type", "client_credentials", "client_id", "post", "client_secret", w.keys["post"]).ok()
	// V-12: both halves are form-encoded before they are joined.
	const key = "p+a/s s:w%é and enough to be a secret"
	w.client(clients.Spec{ID: "odd~id.x", GrantTypes: []string{oauth.ClientCredentials}, Secret: secretValue(key)})
	r := w.form("/token", "", "grant_type", "client_credentials")
	r.SetBasicAuth("odd%7Eid.x", url.QueryEscape(key))
	w.do(r).ok()
	r = w.form("/token", "", "grant_type", "client_credentials")
	r.SetBasicAuth("odd~id.x", key)
	w.do(r).refused(http.StatusUnauthorized, oauth.InvalidClient)
	r = w.form("/token", "machine", "grant_type", "client_credentials")
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "Basic", "bAsIc", 1)) // GEN-4
	w.do(r).ok()
}

func TestTOK_7_AnIDAloneNeverAuthenticates(t *testing.T) {
	w := newWorld(t, options{})
	code := w.code("web")
	w.post("/token", "", "grant_type", "authorization_code", "code", code, "code_verifier", verifier, "client_id", "web").
		refused(http.StatusUnauthorized, oauth.InvalidClient)
	w.redeem("web", code).ok()
	for _, path := range []string{"/introspect", "/revoke"} {
		w.post(path, "", "token", "x", "client_id", "web").refused(http.StatusUnauthorized, oauth.InvalidClient)
	}
}

func TestTOK_8_NothingIsConsumedBeforeEveryCheckPassed(t *testing.T) {
	w := newWorld(t, options{})
	code := w.code("web")
	form := []string{"grant_type", "authorization_code", "code", code}
	for name, r := range map[string]*http.Request{
		"repeated parameter":     w.form("/token", "web", append(form, "code_verifier", verifier, "code_verifier", verifier)...),
		"wrong client secret":    w.form("/token", "", append(form, "code_verifier", verifier, "client_id", "web", "client_secret", "no")...),
		"another client":         w.form("/token", "other", append(form, "code_verifier", verifier)...),
		"wrong verifier":         w.form("/token", "web", append(form, "code_verifier", wrong)...),
		"no verifier":            w.form("/token", "web", form...),
		"another redirect_uri":   w.form("/token", "web", append(form, "code_verifier", verifier, "redirect_uri", "https://app.example.com/cb/")...),
		"another grant type":     w.form("/token", "web", append([]string{"grant_type", "refresh_token", "refresh_token", code}, "code_verifier", verifier)...),
		"unsupported grant type": w.form("/token", "web", "grant_type", "password", "code", code),
	} {
		if a := w.do(r); a.status != http.StatusBadRequest && a.status != http.StatusUnauthorized {
			t.Errorf("%s: got %d", name, a.status)
		}
	}
	w.redeem("web", code).ok()
	// Order: who asks comes before what is asked.
	w.post("/token", "", "grant_type", "nonsense").refused(http.StatusUnauthorized, oauth.InvalidClient)
	w.post("/token", "", "grant_type", "a", "grant_type", "b").refused(http.StatusBadRequest, oauth.InvalidRequest)
}

func TestCC_1_ClientCredentials(t *testing.T) {
	w := newWorld(t, options{})
	a := w.post("/token", "machine", "grant_type", "client_credentials", "scope", "read").ok()
	if a.text("refresh_token") != "" || a.text("id_token") != "" || a.text("scope") != "read" {
		t.Errorf("got %v", a.json)
	}
	claims := w.introspect(a.text("access_token")).json
	if claims["sub"] != "machine" || claims["client_id"] != "machine" || claims["aud"] != api || claims["sid"] != nil || claims["auth_time"] != nil {
		t.Errorf("claims %v", claims)
	}
	if got := w.post("/token", "machine", "grant_type", "client_credentials").ok().text("scope"); got != "read write" {
		t.Errorf("without scope: %q", got)
	}
	if got := w.post("/token", "machine", "grant_type", "client_credentials", "scope", "read admin").ok().text("scope"); got != "read" {
		t.Errorf("with a scope it may not have: %q", got)
	}
	for _, bad := range []string{"admin", "read  write", `re"ad`, " read"} {
		w.post("/token", "machine", "grant_type", "client_credentials", "scope", bad).refused(http.StatusBadRequest, oauth.InvalidScope)
	}
	w.post("/token", "spa", "grant_type", "client_credentials").refused(http.StatusBadRequest, oauth.UnauthorizedClient)
	// The scopes that are about a person mean nothing to a program.
	w.client(clients.Spec{ID: "both", GrantTypes: []string{oauth.ClientCredentials}, Scope: everything})
	if got := w.post("/token", "both", "grant_type", "client_credentials", "scope", "openid profile read").ok(); got.text("scope") != "read" || got.text("id_token") != "" {
		t.Errorf("got %v", got.json)
	}
}
