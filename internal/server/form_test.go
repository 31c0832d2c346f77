package server_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

func secretValue(s string) secret.Value { return secret.New(s) }

func TestGEN_2_EmptyIsAbsentUnknownIsIgnored(t *testing.T) {
	w := newWorld(t, options{})
	w.post("/token", "machine", "grant_type", "client_credentials", "scope", "", "client_id", "", "client_secret", "", "unknown", "x", "resource", "").ok()
	code := w.code("web")
	w.redeem("web", code, "redirect_uri", "", "scope", "", "extra", "1").ok()
	w.post("/introspect", "reports-api", "token", "").refused(http.StatusBadRequest, oauth.InvalidRequest)
	w.post("/revoke", "web", "token", "", "token_type_hint", "").refused(http.StatusBadRequest, oauth.InvalidRequest)
}

func TestGEN_3_RepeatedParameter(t *testing.T) {
	w := newWorld(t, options{})
	for name, pairs := range map[string][]string{
		"grant_type":        {"grant_type", "client_credentials", "grant_type", "client_credentials"},
		"scope":             {"grant_type", "client_credentials", "scope", "read", "scope", "write"},
		"one of them empty": {"grant_type", "client_credentials", "scope", "", "scope", "write"},
		"unknown":           {"grant_type", "client_credentials", "x", "1", "x", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			w.post("/token", "machine", pairs...).refused(http.StatusBadRequest, oauth.InvalidRequest)
		})
	}
	token := w.machine()
	w.post("/introspect", "reports-api", "token", token, "token", token).refused(http.StatusBadRequest, oauth.InvalidRequest)
	w.post("/revoke", "machine", "token", token, "token", token).refused(http.StatusBadRequest, oauth.InvalidRequest)
	w.wantAlive("the token", token)
	for _, name := range []string{"client_id", "client_secret"} {
		w.post("/token", "", "grant_type", "client_credentials", "client_id", "post", "client_secret", w.keys["post"], name, "again").
			refused(http.StatusBadRequest, oauth.InvalidRequest)
	}
}

func TestGEN_4_CaseMatters(t *testing.T) {
	w := newWorld(t, options{})
	w.post("/token", "machine", "GRANT_TYPE", "client_credentials").refused(http.StatusBadRequest, oauth.InvalidRequest)
	w.post("/token", "machine", "grant_type", "Client_Credentials").refused(http.StatusBadRequest, oauth.UnsupportedGrantType)
	w.post("/token", "machine", "grant_type", "client_credentials", "scope", "READ").refused(http.StatusBadRequest, oauth.InvalidScope)
	r := w.form("/token", "", "grant_type", "client_credentials")
	r.SetBasicAuth("MACHINE", w.keys["machine"])
	w.do(r).refused(http.StatusUnauthorized, oauth.InvalidClient)
	for _, kind := range []string{"Application/X-WWW-Form-URLEncoded", "application/x-www-form-urlencoded;charset=Utf-8", `application/x-www-form-urlencoded; CHARSET="utf-8"`} {
		r = w.form("/token", "machine", "grant_type", "client_credentials")
		r.Header.Set("Content-Type", kind)
		w.do(r).ok()
	}
}

func TestGEN_5_OnlyTheBodyOfAForm(t *testing.T) {
	w := newWorld(t, options{})
	for _, kind := range []string{"", "application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded; charset=iso-8859-1"} {
		for _, path := range []string{"/token", "/introspect", "/revoke"} {
			r := w.form(path, "machine", "grant_type", "client_credentials", "token", "x")
			r.Header.Set("Content-Type", kind)
			w.do(r).refused(http.StatusBadRequest, oauth.InvalidRequest)
		}
	}
	r := w.request(http.MethodPost, "/token", `{"grant_type":"client_credentials"}`)
	r.Header.Set("Content-Type", "application/json")
	w.do(r).refused(http.StatusBadRequest, oauth.InvalidRequest)

	// What stands in the URL does not count, wherever the rest stands.
	query := "?" + values("grant_type", "client_credentials", "client_id", "post", "client_secret", w.keys["post"]).Encode()
	w.post("/token"+query, "").refused(http.StatusUnauthorized, oauth.InvalidClient)
	w.post("/token?client_id=post&client_secret="+w.keys["post"], "", "grant_type", "client_credentials").refused(http.StatusUnauthorized, oauth.InvalidClient)
	w.post("/token?grant_type=client_credentials", "machine").refused(http.StatusBadRequest, oauth.InvalidRequest)
	w.post("/token?scope=write", "machine", "grant_type", "client_credentials", "scope", "read").ok() // and does not count as repeated
	token := w.machine()
	w.post("/introspect?token="+token, "reports-api").refused(http.StatusBadRequest, oauth.InvalidRequest)
	w.post("/revoke?token="+token, "machine").refused(http.StatusBadRequest, oauth.InvalidRequest)
}

func TestGEN_5_MalformedForms(t *testing.T) {
	w := newWorld(t, options{})
	for name, body := range map[string]string{
		"bad escape": "grant_type=client_credentials&scope=%zz",
		"semicolon":  "grant_type=client_credentials;scope=read",
		"not UTF-8":  "grant_type=client_credentials&scope=%ff",
		"bad name":   "grant_type=client_credentials&%ff=1",
	} {
		t.Run(name, func(t *testing.T) {
			r := w.form("/token", "machine")
			r.Body, r.ContentLength = http.NoBody, 0
			full := w.request(http.MethodPost, "/token", body)
			full.Header.Set("Authorization", r.Header.Get("Authorization"))
			w.do(full).refused(http.StatusBadRequest, oauth.InvalidRequest)
		})
	}
	a := w.post("/token", "machine", "grant_type", "client_credentials", "scope", strings.Repeat("a", 70<<10))
	if a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of 70 kB: got %d", a.status)
	}
}

func TestGEN_6_NoStore(t *testing.T) {
	w := newWorld(t, options{})
	token := w.signedIn("web", scope("openid", "read")).text("access_token")
	for name, a := range map[string]answer{
		"token":        w.post("/token", "machine", "grant_type", "client_credentials").ok(),
		"introspect":   w.introspect(token),
		"inactive":     w.introspect("x"),
		"userinfo":     w.userinfo(token).ok(),
		"no token":     w.get("/userinfo"),
		"bad token":    w.userinfo("x"),
		"revoke":       w.post("/revoke", "web", "token", token).ok(),
		"feed":         w.get("/revocations"),
		"sign-in page": w.get("/signin"),
		"bad request":  w.get("/authorize"),
	} {
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q, want no-store", name, got)
		}
		if got := a.header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options %q", name, got)
		}
	}
}

func TestGEN_7_ErrorsNeverEchoInput(t *testing.T) {
	w := newWorld(t, options{})
	const evil = "\"\\<intruder>\r\nX: y\x00é"
	for _, name := range []string{"grant_type", "scope", "code", "refresh_token", "redirect_uri", "code_verifier", "client_id", "token", "token_type_hint"} {
		for _, path := range []string{"/token", "/revoke", "/introspect"} {
			for _, as := range []string{"web", "machine", ""} {
				pairs := map[string]string{"grant_type": "authorization_code", "code": "x"}
				pairs[name] = evil
				form := url.Values{}
				for k, v := range pairs {
					form.Set(k, v)
				}
				r := w.form(path, as)
				full := w.request(http.MethodPost, path, form.Encode())
				full.Header["Authorization"] = r.Header["Authorization"]
				a := w.do(full)
				if strings.Contains(a.body, "intruder") || strings.Contains(a.header.Get("WWW-Authenticate"), "intruder") || a.header.Get("X") != "" {
					t.Errorf("%s %s as %q: the answer has the input: %s", path, name, as, a.body)
				}
				if a.status >= 400 {
					a.refused(a.status, oauth.Code(a.text("error")))
				}
			}
		}
	}
}

// The authorization endpoint and the pages have no such headers (GEN-10), and
// neither has introspection.
func TestGEN_10_CORS(t *testing.T) {
	w := newWorld(t, options{})
	token := w.signedIn("web", scope("openid")).text("access_token")
	preflight := func(path, method string) answer {
		r := w.request(http.MethodOptions, path, "")
		r.Header.Set("Origin", "https://spa.example.com")
		r.Header.Set("Access-Control-Request-Method", method)
		r.Header.Set("Access-Control-Request-Headers", "authorization")
		return w.do(r)
	}
	for path, method := range map[string]string{
		"/token": "POST", "/revoke": "POST", "/userinfo": "GET", "/jwks": "GET",
		oauth.WellKnownServer: "GET", oauth.WellKnownOpenID: "GET",
	} {
		a := preflight(path, method)
		if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "*" ||
			!strings.Contains(a.header.Get("Access-Control-Allow-Methods"), method) ||
			!strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("%s: preflight %d %v", path, a.status, a.header)
		}
		r := w.request(method, path, "")
		r.Header.Set("Origin", "https://spa.example.com")
		r.Header.Set("Authorization", "Bearer "+token)
		a = w.do(r)
		exposed := a.header.Get("Access-Control-Expose-Headers")
		if a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(exposed, "WWW-Authenticate") || !strings.Contains(exposed, "DPoP-Nonce") {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
		if a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s allows credentials", path)
		}
	}
	for _, path := range []string{"/authorize", "/introspect", "/end_session", "/signin", "/consent", "/revocations", "/registry/check"} {
		for _, a := range []answer{preflight(path, "POST"), preflight(path, "GET"), func() answer {
			r := w.request(http.MethodGet, path, "")
			r.Header.Set("Origin", "https://spa.example.com")
			return w.do(r)
		}()} {
			for name := range a.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s has %s", path, name)
				}
			}
		}
	}
}

func TestGEN_10_CORSForNamedOrigins(t *testing.T) {
	w := newWorld(t, options{edit: func(c *config.Config) { c.CORS.Origins = []string{"https://spa.example.com"} }})
	for origin, want := range map[string]string{"https://spa.example.com": "https://spa.example.com", "https://evil.example": "", "": ""} {
		r := w.form("/token", "spa", "grant_type", "refresh_token")
		r.Header.Set("Origin", origin)
		a := w.do(r)
		if got := a.header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("origin %q is answered with %q", origin, got)
		}
		if !strings.Contains(a.header.Get("Vary"), "Origin") {
			t.Errorf("origin %q: Vary %q", origin, a.header.Get("Vary"))
		}
	}
	// What is public anyway stays readable for everyone.
	for _, path := range []string{"/jwks", oauth.WellKnownServer, oauth.WellKnownOpenID} {
		if got := w.get(path).header.Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("%s: Access-Control-Allow-Origin %q, want *", path, got)
		}
	}
}

func TestGEN_11_GuessingAClientSecretIsThrottled(t *testing.T) {
	w := newWorld(t, options{})
	guess := func(path string) answer {
		r := w.form(path, "", "grant_type", "client_credentials", "token", "x")
		r.SetBasicAuth("machine", "jcs_guess")
		return w.do(r)
	}
	for _, path := range []string{"/token", "/introspect", "/revoke"} { // one count for all of them
		for range 7 {
			guess(path)
		}
	}
	a := guess("/token")
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the 22nd guess: %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	// A right secret within the wait is not even looked at; another client is not held up.
	if a := w.post("/token", "machine", "grant_type", "client_credentials"); a.status != http.StatusTooManyRequests {
		t.Errorf("the right secret at once: %d", a.status)
	}
	w.post("/token", "", "grant_type", "client_credentials", "client_id", "post", "client_secret", w.keys["post"]).ok()
	w.clock.advance(10 * 60 * 1e9)
	w.post("/token", "machine", "grant_type", "client_credentials").ok()
}

// The database, with its write-ahead log, holds nothing that can be presented.
func TestGEN_12_OnlyHashesAreStored(t *testing.T) {
	w := newWorld(t, options{})
	a := w.signedIn("web", scope(everything...))
	w.refresh("web", a.text("refresh_token")).ok()
	w.machine()
	code := w.code("spa")
	v := w.visitor()
	v.signIn()
	w.remember("session cookie", v.cookie())
	_, rotated, err := w.parts.Clients.RotateSecret(t.Context(), admin(), "machine", clients.Rotation{}, "test")
	must(t, err)
	w.remember("rotated secret", rotated.Reveal())
	_, err = w.parts.Accounts.SetPassword(t.Context(), admin(), w.person.ID, secret.New("another long enough passphrase"), "test")
	must(t, err)
	w.remember("new password", "another long enough passphrase")
	_, err = w.parts.Accounts.Create(t.Context(), admin(), accounts.NewAccount{Login: "bob", Password: secret.New("the passphrase of bob here")}, "test")
	must(t, err)
	w.remember("password of bob", "the passphrase of bob here")

	var stored []byte
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(w.file + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		stored = append(stored, b...)
	}
	text := string(stored)
	if !strings.Contains(text, "Ada Lovelace") {
		t.Fatal("the database was not read")
	}
	for value, what := range w.secrets {
		if strings.Contains(text, value) {
			t.Errorf("the database has a %s", what)
		}
	}
	// Lengths: a code and a secret have 256 random bits, a refresh token a MAC of as many.
	for name, value := range map[string]string{"code": code, "refresh token": a.text("refresh_token"), "client secret": w.keys["web"]} {
		if len(value) < 43 {
			t.Errorf("a %s has %d characters", name, len(value))
		}
	}
	seen := make(map[string]bool)
	for range 200 {
		code := w.code("web", in(w.session(w.person)))
		if seen[code[len(code)-43:]] {
			t.Fatal("a code came twice")
		}
		seen[code[len(code)-43:]] = true
	}
}
