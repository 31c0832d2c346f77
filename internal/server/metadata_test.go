package server_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/oauth"
)

// places are where the metadata of an issuer with this path is found.
func places(path string) []string {
	return []string{oauth.WellKnownServer + path, oauth.WellKnownOpenID + path, path + oauth.WellKnownOpenID}
}

func TestMD_1_MD_2_DocumentsAtEveryPlace(t *testing.T) {
	for _, path := range []string{"", "/t1", "/a/b"} {
		t.Run("issuer"+path, func(t *testing.T) {
			w := newWorld(t, options{path: path})
			var first string
			for _, place := range places(path) {
				a := w.get(w.origin + place).ok()
				if a.header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: Content-Type %q", place, a.header.Get("Content-Type"))
				}
				if a.text("issuer") != w.issuer {
					t.Errorf("%s: issuer %q, want %q", place, a.text("issuer"), w.issuer)
				}
				if first == "" {
					first = a.body
				}
				if a.body != first { // MD-5
					t.Errorf("%s: another document", place)
				}
				if len(a.header.Values("Set-Cookie")) > 0 {
					t.Errorf("%s sets a cookie", place)
				}
				for name, value := range a.json {
					if list, isList := value.([]any); value == nil || isList && len(list) == 0 {
						t.Errorf("%s: %s is empty, want it left out", place, name)
					}
				}
			}
			for _, place := range slices.Concat(places("/other"), places(path+"/x")) {
				if a := w.get(w.origin + place); a.status != http.StatusNotFound {
					t.Errorf("%s: %d, want 404", place, a.status)
				}
			}
			if path != "" {
				if a := w.get(w.origin + oauth.WellKnownOpenID); a.status != http.StatusNotFound {
					t.Errorf("the host without the path: %d, want 404", a.status)
				}
			}
		})
	}
}

func TestMD_3_MD_4_PK_2_DefaultsThatBiteAreStated(t *testing.T) {
	w := newWorld(t, options{})
	var m map[string]any
	must(t, json.Unmarshal([]byte(w.get(oauth.WellKnownServer).ok().body), &m))
	for name, want := range map[string]any{
		"grant_types_supported":                          []any{"authorization_code", "refresh_token", "client_credentials"},
		"response_types_supported":                       []any{"code"},
		"response_modes_supported":                       []any{"query", "form_post"},
		"token_endpoint_auth_methods_supported":          []any{"client_secret_basic", "client_secret_post", "none"},
		"revocation_endpoint_auth_methods_supported":     []any{"client_secret_basic", "client_secret_post", "none"},
		"introspection_endpoint_auth_methods_supported":  []any{"client_secret_basic", "client_secret_post"},
		"code_challenge_methods_supported":               []any{"S256"},
		"request_uri_parameter_supported":                false,
		"request_parameter_supported":                    false,
		"claims_parameter_supported":                     false,
		"authorization_response_iss_parameter_supported": true, // MD-6
	} {
		if diff := cmp.Diff(want, m[name]); diff != "" {
			t.Errorf("%s: want -, got +\n%s", name, diff)
		}
	}
	// MD-4: no signed assertions are offered, so no algorithms are; never "none".
	for name, value := range m {
		if list, ok := value.([]any); ok && strings.Contains(name, "alg") && slices.Contains(list, any("none")) {
			t.Errorf("%s offers none", name)
		}
		if strings.HasPrefix(name, "token_endpoint_auth_signing") {
			t.Errorf("%s is stated, but private_key_jwt is not offered", name)
		}
	}
}

// TestMD_5_EveryEndpointExists walks the document and calls what it names.
func TestMD_5_EveryEndpointExists(t *testing.T) {
	for _, path := range []string{"", "/t1"} {
		w := newWorld(t, options{path: path})
		m := w.get(w.origin + places(path)[0]).ok().json
		called := 0
		for name, value := range m {
			address, isText := value.(string)
			if !isText || name == "issuer" {
				continue
			}
			if !strings.HasPrefix(address, w.issuer+"/") {
				t.Errorf("%s is %s, not below the issuer", name, address)
			}
			called++
			method, want := http.MethodPost, []int{http.StatusUnauthorized}
			switch name {
			case "authorization_endpoint":
				method, want = http.MethodGet, []int{http.StatusBadRequest}
			case "jwks_uri", "end_session_endpoint":
				method, want = http.MethodGet, []int{http.StatusOK, http.StatusSeeOther}
			}
			if a := w.do(w.request(method, address, "")); !slices.Contains(want, a.status) && !(method == http.MethodPost && a.status == http.StatusBadRequest) {
				t.Errorf("%s: %s %s gives %d", name, method, address, a.status)
			}
		}
		if called != 7 {
			t.Errorf("the document names %d endpoints, want 7", called)
		}
		for _, method := range m["token_endpoint_auth_methods_supported"].([]any) {
			var a answer
			switch method {
			case "client_secret_basic":
				a = w.post("/token", "machine", "grant_type", "client_credentials")
			case "client_secret_post":
				a = w.post("/token", "", "grant_type", "client_credentials", "client_id", "post", "client_secret", w.keys["post"])
			case "none":
				a = w.redeem("spa", w.code("spa"))
			}
			if a.status != http.StatusOK {
				t.Errorf("%s is advertised but refused: %s", method, a.body)
			}
		}
	}
}

func TestMD_6_IssThroughThePages(t *testing.T) {
	w := newWorld(t, options{path: "/t1"})
	v := w.visitor()
	for name, address := range map[string]string{
		"refusal": w.authorize("web", "response_type", "token"),
		"silent":  w.authorize("web", "prompt", "none"),
	} {
		if got := v.walk(address); got.Get("iss") != w.issuer || got.Get("error") == "" || got.Get("state") != "s1" {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := v.walk(w.authorize("web")); got.Get("iss") != w.issuer || got.Get("code") == "" {
		t.Errorf("success: %v", got)
	}
	p := v.open(http.MethodGet, w.authorize("web", "response_mode", "form_post"), "")
	if !strings.Contains(p.body, `name="iss" value="`+w.issuer+`"`) {
		t.Errorf("form_post: %s", p.body)
	}
}

// An issuer with a path is a whole authority: sign-in, code, refresh, userinfo,
// introspection, revocation, sign-out.
func TestMD_1_IssuerWithAPathWorks(t *testing.T) {
	w := newWorld(t, options{path: "/t1"})
	v := w.visitor()
	got := v.walk(w.authorize("web", "scope", "openid profile read"))
	a := w.redeem("web", got.Get("code"), "redirect_uri", "https://app.example.com/cb").ok()
	if claims := w.idClaims("web", a.text("id_token"), jwk.RS256); claims["iss"] != w.issuer {
		t.Errorf("iss %v", claims["iss"])
	}
	if w.userinfo(a.text("access_token")).ok().text("name") != "Ada Lovelace" {
		t.Error("userinfo does not know the name")
	}
	b := w.refresh("web", a.text("refresh_token")).ok()
	w.wantAlive("the access token", b.text("access_token"))
	p := v.open(http.MethodGet, "/end_session?"+values("id_token_hint", a.text("id_token"), "post_logout_redirect_uri", "https://app.example.com/bye", "state", "x").Encode(), "")
	if p.location != "https://app.example.com/bye?state=x" {
		t.Errorf("sign-out leads to %d %q", p.status, p.location)
	}
	w.wantDead("the access token after sign-out", b.text("access_token"))
	for _, path := range []string{"/token", "/userinfo", "/jwks", "/authorize", "/signin"} {
		if a := w.get(w.origin + path); a.status != http.StatusNotFound {
			t.Errorf("%s outside the issuer's path: %d", path, a.status)
		}
	}
}

func TestDI_1_Discovery(t *testing.T) {
	w := newWorld(t, options{})
	a := w.get(oauth.WellKnownOpenID).ok()
	var m oauth.Metadata
	must(t, json.Unmarshal([]byte(a.body), &m))
	for name, value := range map[string]string{
		"issuer": m.Issuer, "authorization_endpoint": m.AuthorizationEndpoint, "token_endpoint": m.TokenEndpoint, "jwks_uri": m.JWKSURI,
	} {
		if value == "" {
			t.Errorf("%s is missing", name)
		}
	}
	if !slices.Equal(m.ResponseTypesSupported, []string{"code"}) || !slices.Equal(m.SubjectTypesSupported, []string{"public"}) {
		t.Errorf("%v %v", m.ResponseTypesSupported, m.SubjectTypesSupported)
	}
	if algs := m.IDTokenSigningAlgValuesSupported; !slices.Contains(algs, "RS256") || slices.Contains(algs, "none") {
		t.Errorf("id_token_signing_alg_values_supported %v", algs)
	}
	if !slices.Contains(m.ScopesSupported, "openid") {
		t.Errorf("scopes_supported %v", m.ScopesSupported)
	}
	// OP-11: what is not supported is refused by its own name.
	for name, want := range map[string]string{"request": "request_not_supported", "request_uri": "request_uri_not_supported", "registration": "registration_not_supported"} {
		if got := w.visitor().walk(w.authorize("web", name, "https://x.example")).Get("error"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestOP_11_ErrorsOfOpenIDConnect(t *testing.T) {
	w := newWorld(t, options{})
	v := w.visitor()
	for want, pairs := range map[string][]string{
		"login_required":             {"prompt", "none"},
		"invalid_request":            {"prompt", "none login"},
		"request_not_supported":      {"request", "a.b.c"},
		"request_uri_not_supported":  {"request_uri", "https://evil.example"},
		"registration_not_supported": {"registration", "{}"},
	} {
		if got := v.walk(w.authorize("web", pairs...)).Get("error"); got != want {
			t.Errorf("%v: %q, want %q", pairs, got, want)
		}
	}
	v.open(http.MethodGet, "/signin", "")
	v.signIn()
	if got := v.walk(w.authorize("web", "prompt", "none")).Get("error"); got != "consent_required" {
		t.Errorf("without consent: %q", got)
	}
}

func TestJW_30_KeySetOverHTTP(t *testing.T) {
	for name, algorithm := range map[string]string{"ES256": "ES256", "Ed25519": "Ed25519"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{edit: func(c *config.Config) { c.Tokens.AccessAlgorithm = algorithm }})
			if algorithm != "ES256" { // the template's: the change is a rotation, and nobody meets a key unprepared
				if header := strings.Split(w.machine(), ".")[0]; !strings.Contains(decoded(t, header), `"alg":"ES256"`) {
					t.Error("the new algorithm signs at once")
				}
				must(t, w.parts.Keys.Step(t.Context()))
				w.clock.advance(w.config.Keys.Staging)
				must(t, w.parts.Keys.Step(t.Context()))
			}
			a := w.get("/jwks").ok()
			if got := a.header.Get("Content-Type"); got != "application/jwk-set+json" {
				t.Errorf("Content-Type %q", got)
			}
			if got := a.header.Get("Cache-Control"); got != "public, max-age=600" {
				t.Errorf("Cache-Control %q", got)
			}
			var set struct {
				Keys []map[string]any `json:"keys"`
			}
			must(t, json.Unmarshal([]byte(a.body), &set))
			kids := make(map[any]bool)
			for _, key := range set.Keys {
				for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
					if _, has := key[name]; has {
						t.Errorf("a key has %s", name)
					}
				}
				if key["use"] != "sig" || key["kid"] == "" || key["alg"] == "" || key["kty"] == "oct" || kids[key["kid"]] {
					t.Errorf("key %v", key)
				}
				kids[key["kid"]] = true
			}
			if len(set.Keys) < 4 { // access; RS256, ES256 and Ed25519 for ID tokens
				t.Errorf("%d keys", len(set.Keys))
			}
			if _, err := jwk.ParseSet([]byte(a.body)); err != nil {
				t.Error(err)
			}
			u := w.machine()
			if header := strings.Split(u, ".")[0]; !strings.Contains(decoded(t, header), `"alg":"`+algorithm+`"`) {
				t.Errorf("access tokens are not signed with %s", algorithm)
			}
		})
	}
}

func decoded(t *testing.T, part string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	must(t, err)
	return string(b)
}

func TestJW_30_ETagAndHead(t *testing.T) {
	w := newWorld(t, options{})
	for _, path := range append(places(""), "/jwks") {
		a := w.get(path).ok()
		tag := a.header.Get("ETag")
		if tag == "" || !strings.Contains(a.header.Get("Cache-Control"), "public, max-age=") {
			t.Errorf("%s: ETag %q, Cache-Control %q", path, tag, a.header.Get("Cache-Control"))
		}
		for given, want := range map[string]int{tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200, "": 200} {
			r := w.request(http.MethodGet, path, "")
			r.Header.Set("If-None-Match", given)
			got := w.do(r)
			if got.status != want || want == 304 && (got.body != "" || got.header.Get("ETag") != tag) {
				t.Errorf("%s with If-None-Match %s: %d, want %d", path, given, got.status, want)
			}
		}
		head := w.do(w.request(http.MethodHead, path, ""))
		if head.status != http.StatusOK || head.body != "" || head.header.Get("ETag") != tag {
			t.Errorf("HEAD %s: %d", path, head.status)
		}
		if a := w.post(path, ""); a.status != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, a.status)
		}
	}
}
