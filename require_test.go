package jeton

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jetonhq/jeton/jwt"
)

const testMetadata = "https://api.example.com/.well-known/oauth-protected-resource/v1"

// hello answers with the subject of the token, and tells that it was reached.
func hello(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write([]byte("hello " + FromContext(r.Context()).Subject))
}

func TestRequire_PassesTheToken(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		h := g.Require(http.HandlerFunc(hello), Scope("reports:read"))
		token := a.mint()
		for range 2 {
			w := get(h, "Bearer "+token)
			if got, want := w.Code, http.StatusOK; got != want {
				t.Fatalf("status %d, want %d: %s", got, want, w.Body)
			}
			if got, want := w.Body.String(), "hello "+claimsOf(t, token).Subject; got != want {
				t.Errorf("%q, want %q", got, want)
			}
			if got, want := w.Header().Get("Cache-Control"), "private, no-store"; got != want {
				t.Errorf("Cache-Control %q, want %q", got, want)
			}
		}
	})
}

func TestRequire_HandlersOwnCacheControl(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		h := g.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "private, max-age=60")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("cannot flush: %v", err)
			}
		}))
		if got, want := get(h, "Bearer "+a.mint()).Header().Get("Cache-Control"), "private, max-age=60"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestFromContext_WithoutGuard(t *testing.T) {
	if got := FromContext(context.Background()); got != nil {
		t.Errorf("%v, want nil", got)
	}
	token := &Token{Subject: "alice"}
	if got := FromContext(WithToken(context.Background(), token)); got != token {
		t.Errorf("%v, want the token", got)
	}
}

func TestRS_1_Scheme(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		h := g.Require(http.HandlerFunc(hello))
		token := a.mint()
		tests := []struct {
			name, value string
			status      int
			reason      string
		}{
			{"as written", "Bearer " + token, 200, ""},
			{"lower case", "bearer " + token, 200, ""},
			{"upper case", "BEARER " + token, 200, ""},
			{"several spaces", "Bearer   " + token, 200, ""},
			{"a tab", "Bearer\t" + token, 401, ReasonMissingToken},
			{"no space", "Bearer" + token, 401, ReasonMissingToken},
			{"no token", "Bearer", 400, ReasonMalformedRequest},
			{"only a space", "Bearer ", 400, ReasonMalformedRequest},
			{"two tokens", "Bearer " + token + " " + token, 400, ReasonMalformedRequest},
			{"two credentials in one value", "Bearer " + token + ", Basic YTpi", 400, ReasonMalformedRequest},
			{"a space behind", "Bearer " + token + " ", 400, ReasonMalformedRequest},
			{"parameters", `Bearer token="` + token + `"`, 400, ReasonMalformedRequest},
			{"another scheme", "Basic YTpi", 401, ReasonMissingToken},
			{"a longer scheme", "BearerX " + token, 401, ReasonMissingToken},
			{"nothing", "", 401, ReasonMissingToken},
		}
		for _, seen := range []string{"first sight", "seen"} {
			for _, test := range tests {
				w := get(h, test.value)
				if got := w.Code; got != test.status {
					t.Errorf("%s, %s: status %d, want %d", test.name, seen, got, test.status)
				}
				if got := w.Header().Get("Jeton-Reason"); got != test.reason {
					t.Errorf("%s, %s: reason %q, want %q", test.name, seen, got, test.reason)
				}
			}
		}
	})
}

func TestRS_1_QueryAndFormAreNotRead(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		read := ""
		h := g.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { read = r.PostFormValue("access_token") }))
		token := a.mint()
		form := url.Values{"access_token": {token}}
		request := func(authorization string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, "/reports?"+form.Encode(), strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		if got, want := request("").Header().Get("Jeton-Reason"), ReasonTokenInURL; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got, want := request("Bearer "+token).Code, http.StatusOK; got != want {
			t.Errorf("with the header: status %d, want %d", got, want)
		}
		if read != token {
			t.Error("the handler cannot read the body any more")
		}
	})
}

func TestRS_2_TwoAuthorizationValues(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		h := g.Require(http.HandlerFunc(hello))
		token := a.mint()
		for _, values := range [][]string{
			{"Bearer " + token, "Bearer " + token}, {"Bearer " + token, "Basic YTpi"}, {"Basic YTpi", "Bearer " + token},
		} {
			w := get(h, values...)
			if got, want := w.Code, http.StatusBadRequest; got != want {
				t.Errorf("%d values: status %d, want %d", len(values), got, want)
			}
			if got, want := w.Header().Get("WWW-Authenticate"), `error="invalid_request"`; !strings.Contains(got, want) {
				t.Errorf("challenge %q, want %s in it", got, want)
			}
		}
	})
}

func TestRS_3_NoCredentials(t *testing.T) {
	bubble(t, func(t *testing.T, _ *fakeAuthority, g *Guard) {
		w := get(g.Require(http.HandlerFunc(hello), Scope("reports:read"), Scope("openid")))
		if got, want := w.Code, http.StatusUnauthorized; got != want {
			t.Errorf("status %d, want %d", got, want)
		}
		if got, want := w.Header().Get("WWW-Authenticate"),
			`Bearer scope="reports:read openid", resource_metadata="`+testMetadata+`"`; got != want {
			t.Errorf("challenge\n%s, want\n%s", got, want)
		}
	})
}

// Every reason has its status, header, challenge and body.
func TestRS_4_RS_5_PRM_2_EachReason(t *testing.T) {
	for _, reason := range Reasons() {
		t.Run(reason.Code, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *fakeAuthority, g *Guard) {
				w := httptest.NewRecorder()
				g.write(w, refuse(reason.Code), []string{"reports:read", "pay"})
				if got, want := w.Code, reason.Status; got != want {
					t.Errorf("status %d, want %d", got, want)
				}
				h := w.Header()
				if got, want := h.Get("Jeton-Reason"), reason.Code; got != want {
					t.Errorf("Jeton-Reason %q, want %q", got, want)
				}
				if got, want := h.Get("Cache-Control"), "no-store"; got != want {
					t.Errorf("Cache-Control %q, want %q", got, want)
				}
				if got, want := h.Get("Retry-After") != "", reason.Status == http.StatusServiceUnavailable; got != want {
					t.Errorf("Retry-After %q", h.Get("Retry-After"))
				}
				var body map[string]string
				if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
					t.Fatal(err)
				}
				want := map[string]string{"error": string(reason.Error), "error_description": reason.Means, "reason": reason.Code}
				if diff := cmp.Diff(want, body); diff != "" {
					t.Errorf("body: %s", diff)
				}
				challenges := h.Values("WWW-Authenticate")
				switch reason.Code {
				case ReasonMissingToken, ReasonCookieNotAllowed, ReasonMalformedRequest: // told both schemes
					if len(challenges) != 2 || !strings.HasPrefix(challenges[1], "DPoP ") || !strings.HasSuffix(challenges[1], `, algs="ES256 Ed25519 EdDSA PS256"`) {
						t.Fatalf("challenges %q", challenges)
					}
					challenges = challenges[:1]
				}
				checkChallenge(t, challenges, reason)
			})
		})
	}
}

// checkChallenge: one challenge on 400 and 401 and for a missing scope, each parameter once, quoted, in the
// characters RFC 6750 section 3 allows.
func checkChallenge(t *testing.T, values []string, reason Reason) {
	t.Helper()
	wanted := reason.Status < http.StatusForbidden || reason.Code == ReasonInsufficientScope
	if got := len(values) == 1; got != wanted {
		t.Fatalf("%d challenges: %q", len(values), values)
	}
	if !wanted {
		return
	}
	rest, ok := strings.CutPrefix(values[0], "Bearer ")
	if (&Refusal{Reason: reason.Code}).underDPoP() {
		rest, ok = strings.CutPrefix(values[0], "DPoP ")
	}
	if !ok {
		t.Fatalf("challenge %q", values[0])
	}
	parameters := make(map[string]string)
	for part := range strings.SplitSeq(rest, `", `) {
		name, value, ok := strings.Cut(part, `="`)
		if _, twice := parameters[name]; !ok || twice {
			t.Errorf("parameter %q in %q", name, rest)
		}
		parameters[name] = strings.TrimSuffix(value, `"`)
	}
	want := map[string]string{"resource_metadata": testMetadata}
	if (&Refusal{Reason: reason.Code}).underDPoP() {
		want["algs"] = "ES256 Ed25519 EdDSA PS256"
	}
	tokenless := reason.Code == ReasonMissingToken || reason.Code == ReasonCookieNotAllowed
	if tokenless || reason.Code == ReasonInsufficientScope {
		want["scope"] = "reports:read pay"
	}
	if !tokenless {
		want["error"], want["error_description"] = string(reason.Error), reason.Means
	}
	if diff := cmp.Diff(want, parameters); diff != "" {
		t.Error(diff)
	}
}

func TestRS_4_InsufficientScope(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		w := get(g.Require(http.HandlerFunc(hello), Scope("openid", "pay")), "Bearer "+a.mint())
		if got, want := w.Code, http.StatusForbidden; got != want {
			t.Errorf("status %d, want %d", got, want)
		}
		if got, want := w.Header().Get("WWW-Authenticate"), `error="insufficient_scope"`; !strings.Contains(got, want) || !strings.Contains(got, `scope="openid pay"`) {
			t.Errorf("challenge %q", got)
		}
	})
}

func TestRequire_RefusalDoesNotReachTheHandler(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		h := g.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }), Scope("pay"))
		expired := a.mint(func(c *jwt.Claims) { c.ExpiresAt = time.Now().Unix() - 1 })
		for _, value := range []string{"", "Bearer x.y.z", "Bearer " + a.mint(), "Bearer " + expired} {
			if w := get(h, value); w.Code < 400 {
				t.Errorf("status %d", w.Code)
			}
		}
	})
}

func TestWriteRefusal(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		_, err := g.Check(context.Background(), a.mint(), Scope("pay"))
		w := httptest.NewRecorder()
		g.WriteRefusal(w, err)
		if got := w.Header().Get("WWW-Authenticate"); w.Code != http.StatusForbidden || !strings.Contains(got, `scope="pay"`) {
			t.Errorf("%d %q", w.Code, got)
		}
		w = httptest.NewRecorder()
		g.WriteRefusal(w, errors.New("a detail of ours"))
		if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "detail") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestPRM_1_Metadata(t *testing.T) {
	bubble(t, func(t *testing.T, _ *fakeAuthority, g *Guard) {
		if got, want := g.MetadataPath(), "/.well-known/oauth-protected-resource/v1"; got != want {
			t.Errorf("path %q, want %q", got, want)
		}
		mux := http.NewServeMux()
		mux.Handle("GET "+g.MetadataPath(), g.Metadata())
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, g.MetadataPath(), nil))
		if got, want := w.Header().Get("Content-Type"), "application/json"; w.Code != 200 || got != want {
			t.Errorf("%d %s", w.Code, got)
		}
		want := `{"resource":"https://api.example.com/v1","authorization_servers":["https://id.example.com"],` +
			`"scopes_supported":["reports:read"],"bearer_methods_supported":["header"],"resource_name":"Reports","dpop_signing_alg_values_supported":["ES256","Ed25519","EdDSA","PS256"]}`
		if got := w.Body.String(); got != want {
			t.Errorf("got\n%s, want\n%s", got, want)
		}
		w = httptest.NewRecorder()
		g.Metadata().ServeHTTP(w, httptest.NewRequest(http.MethodPost, g.MetadataPath(), nil))
		if got, want := w.Code, http.StatusMethodNotAllowed; got != want {
			t.Errorf("POST: status %d, want %d", got, want)
		}
	}, func(c *Config) { c.ResourceName, c.Scopes = "Reports", []string{"reports:read"} })
}

func TestPRM_1_AudienceIsNoURL(t *testing.T) {
	bubble(t, func(t *testing.T, _ *fakeAuthority, g *Guard) {
		if got := g.MetadataPath(); got != "" {
			t.Errorf("path %q", got)
		}
		w := httptest.NewRecorder()
		g.Metadata().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if got, want := w.Code, http.StatusNotFound; got != want {
			t.Errorf("status %d, want %d", got, want)
		}
		if got, want := get(g.Require(http.HandlerFunc(hello))).Header().Get("WWW-Authenticate"), `Bearer realm="reports"`; got != want {
			t.Errorf("challenge %q, want %q", got, want)
		}
	}, func(c *Config) { c.Audience, c.Realm = "reports", "reports" })
}

// FuzzExtract: what is taken for a token stands alone behind the scheme in the only header.
func FuzzExtract(f *testing.F) {
	for _, seed := range []string{"Bearer a.b.c", "bearer  x", "Bearer", "Bearer a b", "Basic x", "BEARER\ta", "", "Bearer a==", "DPoP a.b.c", "dpop", "dpopx a"} {
		f.Add(seed, "")
		f.Add(seed, "Bearer x.y.z")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		header := http.Header{"Authorization": {first}}
		if second != "" {
			header.Add("Authorization", second)
		}
		token, as, refusal := extract(header)
		if (token == "") != (refusal != nil) {
			t.Fatalf("token %q, refusal %v", token, refusal)
		}
		if refusal != nil {
			if s := refusal.Status; s != 400 && s != 401 {
				t.Errorf("status %d", s)
			}
			return
		}
		if second != "" {
			t.Error("took one of two")
		}
		spelled, rest, ok := strings.Cut(first, " ")
		if !ok || !strings.EqualFold(spelled, map[scheme]string{bearerScheme: "Bearer", dpopScheme: "DPoP"}[as]) || strings.TrimLeft(rest, " ") != token {
			t.Errorf("took %q from %q", token, first)
		}
		if isToken68(token) && strings.ContainsAny(token, " ,\t\r\n\"") {
			t.Errorf("%q passes for token68", token)
		}
	})
}
