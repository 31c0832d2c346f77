package jeton

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

const boundURL = "https://api.example.com/reports"

// holder is a client with a DPoP key, and a token that is bound to it.
type holder struct {
	t     testing.TB
	key   *jwk.Key
	token string
}

func newHolder(t testing.TB, a *fakeAuthority, changes ...func(*jwt.Claims)) holder {
	key, err := jwk.Generate(jwk.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	bind := func(c *jwt.Claims) { c.Confirmation.KeyThumbprint = key.Thumbprint() }
	return holder{t, key, a.mint(append(changes, bind)...)}
}

// proof is one for GET of boundURL, changed by edits.
func (h holder) proof(edits ...func(*jwt.Claims)) string {
	h.t.Helper()
	c := jwt.Claims{
		ID: newID(), HTTPMethod: "GET", HTTPURI: boundURL, IssuedAt: time.Now().Unix(), TokenHash: jwt.TokenHash(h.token),
	}
	for _, edit := range edits {
		edit(&c)
	}
	proof, err := jwt.SignDPoP(h.key, &c)
	if err != nil {
		h.t.Fatal(err)
	}
	return proof
}

// request is a GET with these values of Authorization and DPoP.
func (h holder) request(authorization string, proofs ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://inside:8080/reports?year=2030", nil)
	r.Header.Set("Authorization", authorization)
	for _, p := range proofs {
		r.Header.Add("DPoP", p)
	}
	return r
}

// send is the answer of a guarded route.
func (h holder) send(g *Guard, r *http.Request, demands ...Demand) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.Require(http.HandlerFunc(hello), demands...).ServeHTTP(w, r)
	return w
}

func wantReason(t testing.TB, what string, w *httptest.ResponseRecorder, status int, reason, challenge string) {
	t.Helper()
	if w.Code != status || w.Header().Get("Jeton-Reason") != reason {
		t.Errorf("%s: %d %q, want %d %q", what, w.Code, w.Header().Get("Jeton-Reason"), status, reason)
	}
	if got := w.Header().Values("WWW-Authenticate"); challenge != "" && (len(got) != 1 || !strings.HasPrefix(got[0], challenge)) {
		t.Errorf("%s: challenge %q, want %q", what, got, challenge)
	}
}

func TestDP_1_2_3_4_6_8_9_11_12_13_14_15_Guard(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		h, thief := newHolder(t, a), newHolder(t, a)
		stolen := holder{t, thief.key, h.token}
		as := "DPoP " + h.token
		for range 3 { // first sight, and then seen
			wantReason(t, "good", h.send(g, h.request(as, h.proof())), http.StatusOK, "", "")
		}
		wantReason(t, "dpop in lower case", h.send(g, h.request("dpop "+h.token, h.proof())), http.StatusOK, "", "")
		wantReason(t, "with RequireDPoP", h.send(g, h.request(as, h.proof()), RequireDPoP()), http.StatusOK, "", "")
		if trips := a.tripCount(); trips != 1 {
			t.Errorf("%d questions to the registry, want 1: the token is remembered", trips)
		}
		for name, tc := range map[string]struct {
			proofs []string
			reason string
		}{
			"DP-1 none":             {nil, ReasonProofMissing},
			"DP-1 two":              {[]string{h.proof(), h.proof()}, ReasonProofMalformed},
			"DP-2 not a JWS":        {[]string{"x"}, ReasonProofMalformed},
			"DP-3 no jti":           {[]string{h.proof(func(c *jwt.Claims) { c.ID = "" })}, ReasonProofMissingClaim},
			"DP-4 the token itself": {[]string{h.token}, ReasonProofWrongType},
			"DP-6 a turned bit":     {[]string{turned(h.proof())}, ReasonProofBadSignature},
			"DP-8 POST":             {[]string{h.proof(func(c *jwt.Claims) { c.HTTPMethod = "POST" })}, ReasonProofWrongMethod},
			"DP-8 lower case":       {[]string{h.proof(func(c *jwt.Claims) { c.HTTPMethod = "get" })}, ReasonProofWrongMethod},
			"DP-9 another path":     {[]string{h.proof(func(c *jwt.Claims) { c.HTTPURI += "/7" })}, ReasonProofWrongURL},
			"DP-9 the inner host":   {[]string{h.proof(func(c *jwt.Claims) { c.HTTPURI = "http://inside:8080/reports" })}, ReasonProofWrongURL},
			"DP-9 http":             {[]string{h.proof(func(c *jwt.Claims) { c.HTTPURI = "http://api.example.com/reports" })}, ReasonProofWrongURL},
			"DP-11 old":             {[]string{h.proof(func(c *jwt.Claims) { c.IssuedAt -= 61 })}, ReasonProofTooOld},
			"DP-11 ahead":           {[]string{h.proof(func(c *jwt.Claims) { c.IssuedAt += 11 })}, ReasonProofIssuedInFuture},
			"DP-12 no ath":          {[]string{h.proof(func(c *jwt.Claims) { c.TokenHash = "" })}, ReasonProofWrongToken},
			"DP-12 another token":   {[]string{h.proof(func(c *jwt.Claims) { c.TokenHash = jwt.TokenHash(thief.token) })}, ReasonProofWrongToken},
			"DP-13 another key":     {[]string{stolen.proof()}, ReasonProofWrongKey},
			"DP-15 exp":             {[]string{h.proof(func(c *jwt.Claims) { c.ExpiresAt = c.IssuedAt })}, ReasonProofExpired},
			"DP-15 nbf":             {[]string{h.proof(func(c *jwt.Claims) { c.NotBefore = c.IssuedAt + 11 })}, ReasonProofNotYetValid},
		} {
			code := "invalid_dpop_proof"
			if tc.reason == ReasonProofWrongKey {
				code = "invalid_token"
			}
			wantReason(t, name, h.send(g, h.request(as, tc.proofs...)), http.StatusUnauthorized, tc.reason, `DPoP error="`+code+`"`)
		}
		for name, htu := range map[string]string{
			"query in htu": boundURL + "?x=1", "upper-case host": "https://API.example.com/reports", "port 443": "https://api.example.com:443/reports",
		} {
			wantReason(t, name, h.send(g, h.request(as, h.proof(func(c *jwt.Claims) { c.HTTPURI = htu }))), http.StatusOK, "", "")
		}

		used := h.proof()
		wantReason(t, "used once", h.send(g, h.request(as, used)), http.StatusOK, "", "")
		for _, wait := range []time.Duration{0, 30 * time.Second, 29 * time.Second} {
			time.Sleep(wait)
			synctest.Wait()
			wantReason(t, "DP-14 replayed", h.send(g, h.request(as, used)), http.StatusUnauthorized, ReasonProofReplayed, "DPoP ")
		}
		time.Sleep(3 * time.Second)
		wantReason(t, "then too old", h.send(g, h.request(as, used)), http.StatusUnauthorized, ReasonProofTooOld, "DPoP ")
	})
}

func turned(token string) string {
	i := strings.LastIndexByte(token, '.') + 9
	c := byte('A')
	if token[i] == c {
		c = 'B'
	}
	return token[:i] + string(c) + token[i+1:]
}

func TestDP_30_31_32_SchemesAreNotInterchangeable(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		h := newHolder(t, a)
		plain := holder{t, h.key, a.mint()}
		for _, first := range []bool{true, false} {
			wantReason(t, "DP-30 bound as Bearer", h.send(g, h.request("Bearer "+h.token, h.proof())), 401, ReasonBoundAsBearer, `DPoP error="invalid_token"`)
			wantReason(t, "DP-31 unbound as DPoP", plain.send(g, plain.request("DPoP "+plain.token, plain.proof())), 401, ReasonTokenNotBound, `DPoP error="invalid_token"`)
			wantReason(t, "unbound, RequireDPoP", plain.send(g, plain.request("Bearer "+plain.token), RequireDPoP()), 401, ReasonDPoPRequired, `DPoP error="invalid_token"`)
			if first { // and again when both have been seen as good
				wantReason(t, "bound", h.send(g, h.request("DPoP "+h.token, h.proof())), 200, "", "")
				wantReason(t, "unbound", plain.send(g, plain.request("Bearer "+plain.token)), 200, "", "")
			}
		}
		both := h.request("DPoP "+h.token, h.proof())
		both.Header.Add("Authorization", "Bearer "+h.token)
		w := h.send(g, both)
		if got := w.Header().Values("WWW-Authenticate"); w.Code != 400 || len(got) != 2 || !strings.Contains(got[0], `Bearer error="invalid_request"`) || !strings.Contains(got[1], `DPoP error="invalid_request"`) {
			t.Errorf("DP-32: %d %q", w.Code, got)
		}
		anonymous := httptest.NewRequest(http.MethodGet, "/reports", nil)
		if got := h.send(g, anonymous).Header().Values("WWW-Authenticate"); len(got) != 2 || !strings.HasPrefix(got[1], "DPoP ") || strings.Contains(strings.Join(got, ""), "error") {
			t.Errorf("anonymous: %q", got)
		}
		if got := h.send(g, anonymous, RequireDPoP()).Header().Values("WWW-Authenticate"); len(got) != 1 || !strings.HasPrefix(got[0], "DPoP ") {
			t.Errorf("anonymous, RequireDPoP: %q", got)
		}
		in := h.request("", h.proof())
		in.Header.Del("Authorization")
		in.URL.RawQuery = "access_token=" + h.token + "&sub=" + url.QueryEscape(goodClaims().Subject)
		wantReason(t, "bound, in the query", h.send(g, in, QueryToken("access_token", Subject("sub"))), 401, ReasonBoundAsBearer, "DPoP ")

		expired := newHolder(t, a, func(c *jwt.Claims) { c.ExpiresAt = c.IssuedAt })
		wantReason(t, "expired", h.send(g, h.request("DPoP "+expired.token, h.proof())), 401, ReasonExpired, `DPoP error="invalid_token"`)
		wantReason(t, "no scope", h.send(g, h.request("DPoP "+h.token, h.proof()), Scope("admin")), 403, ReasonInsufficientScope, `DPoP error="insufficient_scope"`)
		a.revoke(revocation.Token, claimsOf(t, h.token).ID)
		synctest.Wait()
		wantReason(t, "revoked", h.send(g, h.request("DPoP "+h.token, h.proof())), 401, ReasonRevoked, `DPoP error="invalid_token"`)
	})
}

func TestDPoP_Check(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		h := newHolder(t, a)
		plain := a.mint()
		request := h.request("DPoP "+h.token, h.proof())
		for name, tc := range map[string]struct {
			token   string
			demands []Demand
			want    string
		}{
			"outside of HTTP":           {h.token, nil, ReasonProofMissing},
			"for a request":             {h.token, []Demand{ForRequest(request)}, ""},
			"for a request without one": {h.token, []Demand{ForRequest(h.request("DPoP " + h.token))}, ReasonProofMissing},
			"for a bearer request":      {h.token, []Demand{ForRequest(h.request("Bearer "+h.token, h.proof()))}, ReasonBoundAsBearer},
			"InsecureSkipProof":         {h.token, []Demand{InsecureSkipProof()}, ""},
			"unbound, RequireDPoP":      {plain, []Demand{RequireDPoP()}, ReasonDPoPRequired},
			"unbound, both":             {plain, []Demand{InsecureSkipProof(), RequireDPoP()}, ReasonDPoPRequired},
			"bound, both":               {h.token, []Demand{InsecureSkipProof(), RequireDPoP()}, ""},
		} {
			if got := check(t, g, tc.token, tc.demands...); got != tc.want {
				t.Errorf("%s: %q, want %q", name, got, tc.want)
			}
		}
		_, err := g.Check(t.Context(), h.token)
		w := httptest.NewRecorder()
		g.WriteRefusal(w, err)
		wantReason(t, "WriteRefusal", w, 401, ReasonProofMissing, `DPoP error="invalid_dpop_proof"`)
	})
}

func TestDP_10_GuardNonces(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		h := newHolder(t, a)
		as := "DPoP " + h.token
		with := func(nonce string) func(*jwt.Claims) { return func(c *jwt.Claims) { c.Nonce = nonce } }
		refused := h.send(g, h.request(as, h.proof()))
		wantReason(t, "no nonce", refused, 401, ReasonNonceNeeded, `DPoP error="use_dpop_nonce"`)
		nonce := refused.Header().Get("DPoP-Nonce")
		w := h.send(g, h.request(as, h.proof(with(nonce))))
		wantReason(t, "with it", w, 200, "", "")
		if w.Header().Get("DPoP-Nonce") != "" {
			t.Error("a new nonce although this one is young")
		}
		// Another process of the API, and another API.
		other := a.guard(func(c *Config) { c.DPoPNonce = true })
		defer func() { _ = other.Close() }()
		synctest.Wait()
		wantReason(t, "another process", h.send(other, h.request(as, h.proof(with(nonce)))), 200, "", "")
		time.Sleep(150 * time.Second)
		synctest.Wait()
		w = h.send(g, h.request(as, h.proof(with(nonce))))
		wantReason(t, "ageing", w, 200, "", "")
		if next := w.Header().Get("DPoP-Nonce"); next == "" || next == nonce {
			t.Errorf("next nonce %q", next)
		}
		time.Sleep(149 * time.Second)
		fresh := newHolder(t, a)
		wantReason(t, "old", fresh.send(g, fresh.request("DPoP "+fresh.token, fresh.proof(with(nonce)))), 200, "", "")
		time.Sleep(time.Second)
		wantReason(t, "too old", fresh.send(g, fresh.request("DPoP "+fresh.token, fresh.proof(with(nonce)))), 401, ReasonNonceNeeded, "DPoP ")
		wantReason(t, "made up", fresh.send(g, fresh.request("DPoP "+fresh.token, fresh.proof(with("x")))), 401, ReasonNonceNeeded, "DPoP ")
		plain := holder{t, h.key, a.mint()}
		wantReason(t, "a bearer token", plain.send(g, plain.request("Bearer "+plain.token)), 200, "", "")
	}, func(c *Config) { c.DPoPNonce = true })
}

func TestDPoP_GuardWithoutItsURL(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		h := newHolder(t, a, func(c *jwt.Claims) { c.Audience = []string{"reports"} })
		wantReason(t, "bound", h.send(g, h.request("DPoP "+h.token, h.proof())), 401, ReasonUnsupported, "")
		if got := h.send(g, httptest.NewRequest(http.MethodGet, "/reports", nil)).Header().Values("WWW-Authenticate"); len(got) != 1 {
			t.Errorf("challenges %q: DPoP is offered where no proof can be checked", got)
		}
	}, func(c *Config) { c.Audience = "reports" })
	c := (&fakeAuthority{}).config()
	c.Audience, c.RequireDPoP = "reports", true
	if _, err := NewGuard(c); err == nil || !strings.Contains(err.Error(), "PublicURL") {
		t.Errorf("RequireDPoP without PublicURL: %v", err)
	}
}

func TestDPoP_ProofsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		h := newHolder(t, a)
		full := false
		for range 200 {
			w := h.send(g, h.request("DPoP "+h.token, h.proof()))
			if w.Code == http.StatusServiceUnavailable {
				wantReason(t, "full", w, 503, ReasonProofsFull, "")
				full = true
				break
			}
		}
		if !full {
			t.Error("200 proofs were taken where some 16 can be remembered")
		}
		time.Sleep(62 * time.Second)
		wantReason(t, "a minute later", h.send(g, h.request("DPoP "+h.token, h.proof())), 200, "", "")
	}, func(c *Config) { c.Cache.Proofs = 16 })
}

func TestPRM_1_DPoPInMetadata(t *testing.T) {
	required := func(t *testing.T, g *Guard) (required any, algs []any) {
		w := httptest.NewRecorder()
		g.Metadata().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		var doc map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		algs, _ = doc["dpop_signing_alg_values_supported"].([]any)
		return doc["dpop_bound_access_tokens_required"], algs
	}
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		if got, algs := required(t, g); got != nil || fmt.Sprint(algs) != "[ES256 Ed25519 EdDSA PS256]" {
			t.Errorf("got %v %v", got, algs)
		}
		plain := holder{t, nil, a.mint()}
		a.demand("some", "", "/reports", `{"dpop":true}`)
		synctest.Wait()
		wantReason(t, "by policy", plain.send(g, plain.request("Bearer "+plain.token)), 401, ReasonDPoPRequired, "DPoP ")
		if got, _ := required(t, g); got != nil {
			t.Errorf("a policy for one route: %v", got)
		}
		a.demand("all", "", "/", `{"dpop":true}`)
		synctest.Wait()
		if got, _ := required(t, g); got != true {
			t.Errorf("a policy for all of the API: %v", got)
		}
	})
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		if got, _ := required(t, g); got != true {
			t.Errorf("Config.RequireDPoP: %v", got)
		}
		plain := holder{t, nil, a.mint()}
		wantReason(t, "Config.RequireDPoP", plain.send(g, plain.request("Bearer "+plain.token)), 401, ReasonDPoPRequired, "DPoP ")
	}, func(c *Config) { c.RequireDPoP = true })
}

// What is seen of a bound token is the token: the proof of each request costs a signature check and no more.
func BenchmarkDPoP_Seen(b *testing.B) {
	a := newFakeAuthority(b)
	g := a.guard(func(c *Config) { c.Client = Credential{}; c.Now = time.Now })
	defer func() { _ = g.Close() }()
	h := newHolder(b, a)
	route := g.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	requests := make([]*http.Request, b.N)
	for i := range requests {
		requests[i] = h.request("DPoP "+h.token, h.proof())
	}
	b.ResetTimer()
	for _, r := range requests {
		route.ServeHTTP(httptest.NewRecorder(), r)
	}
}
