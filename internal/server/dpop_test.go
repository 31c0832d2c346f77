package server_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// prover holds a DPoP key.
type prover struct {
	w   *world
	key *jwk.Key
}

func (w *world) prover() prover {
	w.t.Helper()
	key, err := jwk.Generate(jwk.ES256)
	must(w.t, err)
	return prover{w, key}
}

// proof is one for a request to a URL, changed by edit.
func (p prover) proof(method, url, token string, edit ...func(*jwt.Claims)) string {
	p.w.t.Helper()
	made, err := jwt.NewProof(p.key, jwt.Presentation{Method: method, URL: url, AccessToken: token, Now: p.w.clock.Now()})
	must(p.w.t, err)
	if len(edit) == 0 {
		return made
	}
	u, err := jwt.Parse(made, 0)
	must(p.w.t, err)
	c := u.Claims
	for _, f := range edit {
		f(&c)
	}
	made, err = jwt.SignDPoP(p.key, &c)
	must(p.w.t, err)
	return made
}

// token is a proof for the token endpoint.
func (p prover) token(edit ...func(*jwt.Claims)) string {
	return p.proof(http.MethodPost, p.w.issuer+"/token", "", edit...)
}

// askWith sends a token request with these DPoP headers.
func (w *world) askWith(client string, proofs []string, pairs ...string) answer {
	w.t.Helper()
	r := w.form("/token", client, pairs...)
	for _, proof := range proofs {
		r.Header.Add("DPoP", proof)
	}
	return w.do(r)
}

func (w *world) redeemWith(client, code string, proofs ...string) answer {
	w.t.Helper()
	return w.askWith(client, proofs, "grant_type", "authorization_code", "code", code, "code_verifier", verifier)
}

func (w *world) refreshWith(client, token string, proofs ...string) answer {
	w.t.Helper()
	return w.askWith(client, proofs, "grant_type", "refresh_token", "refresh_token", token)
}

// wantBound checks that an answer's access token is bound to the key.
func (p prover) wantBound(a answer) {
	p.w.t.Helper()
	a.ok()
	if got := a.text("token_type"); got != "DPoP" {
		p.w.t.Errorf("token_type %q, want DPoP", got)
	}
	u, err := jwt.Parse(a.text("access_token"), 0)
	must(p.w.t, err)
	if got := u.Claims.Confirmation; got != (jwt.Confirmation{KeyThumbprint: p.key.Thumbprint()}) {
		p.w.t.Errorf("cnf %+v, want the key %s", got, p.key.Thumbprint())
	}
}

func wantBearer(t testing.TB, a answer) {
	t.Helper()
	a.ok()
	u, err := jwt.Parse(a.text("access_token"), 0)
	must(t, err)
	if a.text("token_type") != "Bearer" || u.Claims.Has("cnf") {
		t.Errorf("token_type %q, cnf %v, want a bearer token", a.text("token_type"), u.Claims.Has("cnf"))
	}
}

func TestDP_TokensAreBound(t *testing.T) {
	w := newWorld(t, options{})
	p := w.prover()
	for _, client := range []string{"web", "spa"} {
		first := w.redeemWith(client, w.code(client), p.token())
		p.wantBound(first)
		p.wantBound(w.refreshWith(client, first.text("refresh_token"), p.token()))
	}
	p.wantBound(w.askWith("machine", []string{p.token()}, "grant_type", "client_credentials"))
	wantBearer(t, w.redeem("spa", w.code("spa")))
	wantBearer(t, w.askWith("machine", nil, "grant_type", "client_credentials"))
}

// TOK-8: what is wrong with a proof burns neither the code nor the
// refresh token.
func TestTOK_8_DP_1_2_3_4_5_6_8_9_11_15_BadProofBurnsNothing(t *testing.T) {
	w := newWorld(t, options{})
	p, other := w.prover(), w.prover()
	hmac, err := jwk.Generate(jwk.RS256)
	must(t, err)
	rsa := prover{w, hmac}
	code := w.code("spa")
	refresh := w.redeemWith("spa", w.code("spa"), p.token()).ok().text("refresh_token")
	for name, proofs := range map[string][]string{
		"DP-1 two headers":     {p.token(), p.token()},
		"DP-1 the same twice":  repeat(p.token(), 2),
		"DP-1 joined":          {p.token() + "," + p.token()},
		"DP-2 not a JWS":       {"x"},
		"DP-2 empty":           {""},
		"DP-3 no jti":          {p.token(func(c *jwt.Claims) { c.ID = "" })},
		"DP-4 an access token": {w.machine()},
		"DP-5 not on the list": {rsa.token()},
		"DP-6 a turned bit":    {flip(p.token())},
		"DP-8 for GET":         {p.proof(http.MethodGet, w.issuer+"/token", "")},
		"DP-9 for another URL": {p.proof(http.MethodPost, w.issuer+"/userinfo", "")},
		"DP-9 another host":    {p.proof(http.MethodPost, "https://evil.example.com/token", "")},
		"DP-11 too old":        {p.token(func(c *jwt.Claims) { c.IssuedAt -= 61 })},
		"DP-11 ahead":          {p.token(func(c *jwt.Claims) { c.IssuedAt += 11 })},
		"DP-15 expired":        {p.token(func(c *jwt.Claims) { c.ExpiresAt = c.IssuedAt })},
	} {
		t.Run(name, func(t *testing.T) {
			for what, a := range map[string]answer{
				"code": w.redeemWith("spa", code, proofs...), "refresh": w.refreshWith("spa", refresh, proofs...),
				"client credentials": w.askWith("machine", proofs, "grant_type", "client_credentials"),
			} {
				a.what = what
				a.refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
				if got := a.header.Values("DPoP-Nonce"); len(got) != 0 {
					t.Errorf("%s: a nonce that nobody asked for: %q", what, got)
				}
			}
		})
	}
	// The proofs come after the client, and after the grant type.
	w.askWith("", []string{"x"}, "grant_type", "refresh_token", "client_id", "web").refused(http.StatusUnauthorized, oauth.InvalidClient)
	w.askWith("machine", []string{"x"}, "grant_type", "password").refused(http.StatusBadRequest, oauth.UnsupportedGrantType)
	p.wantBound(w.refreshWith("spa", refresh, p.token()))
	other.wantBound(w.redeemWith("spa", code, other.token()))
}

func repeat(s string, n int) []string {
	var list []string
	for range n {
		list = append(list, s)
	}
	return list
}

// flip turns one bit of the signature.
func flip(token string) string {
	i := strings.LastIndexByte(token, '.') + 5
	c := byte('A')
	if token[i] == 'A' {
		c = 'B'
	}
	return token[:i] + string(c) + token[i+1:]
}

func TestDP_14_ProofsAreGoodForOnce(t *testing.T) {
	w := newWorld(t, options{})
	p := w.prover()
	proof := p.token()
	p.wantBound(w.askWith("machine", []string{proof}, "grant_type", "client_credentials"))
	w.askWith("machine", []string{proof}, "grant_type", "client_credentials").refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
	code := w.code("spa")
	w.redeemWith("spa", code, proof).refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
	first := w.redeemWith("spa", code, p.token()).ok() // it was not burnt
	w.refreshWith("spa", first.text("refresh_token"), proof).refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
	p.wantBound(w.refreshWith("spa", first.text("refresh_token"), p.token()))

	// Another key may have chosen the same jti.
	other := w.prover()
	same := func(c *jwt.Claims) { c.ID = "chosen" }
	p.wantBound(w.askWith("machine", []string{p.token(same)}, "grant_type", "client_credentials"))
	other.wantBound(w.askWith("machine", []string{other.token(same)}, "grant_type", "client_credentials"))

	racing := p.token()
	var wins sync.Map
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if a := w.askWith("machine", []string{racing}, "grant_type", "client_credentials"); a.status == http.StatusOK {
				wins.Store(i, true)
			}
		})
	}
	all.Wait()
	n := 0
	wins.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d of 20 requests with one proof got a token, want 1", n)
	}
}

// A marker is found by another node, and after a restart.
func TestDP_14_ReplayOnASecondNode(t *testing.T) {
	w := newWorld(t, options{})
	p := w.prover()
	proof := p.token()
	p.wantBound(w.askWith("machine", []string{proof}, "grant_type", "client_credentials"))
	w.stop()
	w.start()
	w.askWith("machine", []string{proof}, "grant_type", "client_credentials").refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
	p.wantBound(w.askWith("machine", []string{p.token()}, "grant_type", "client_credentials"))
}

// Who has proved nothing but a key writes nothing.
func TestDP_14_StrangersWriteNothing(t *testing.T) {
	w := newWorld(t, options{})
	p := w.prover()
	stranger, holder := p.token(), p.token()
	w.redeemWith("spa", "jc_unknown", stranger).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.refreshWith("spa", "jr_unknown", holder).refused(http.StatusBadRequest, oauth.InvalidGrant)
	// Neither left a marker.
	p.wantBound(w.redeemWith("spa", w.code("spa"), stranger))
	p.wantBound(w.askWith("machine", []string{holder}, "grant_type", "client_credentials"))
}

func TestREF_7_DP_20_PublicClientsAreBoundToTheKey(t *testing.T) {
	w := newWorld(t, options{})
	p, thief := w.prover(), w.prover()
	token := w.redeemWith("spa", w.code("spa"), p.token()).ok().text("refresh_token")
	for range 3 {
		w.refreshWith("spa", token).refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
		w.refreshWith("spa", token, thief.token()).refused(http.StatusBadRequest, oauth.InvalidGrant)
	}
	next := w.refreshWith("spa", token, p.token())
	p.wantBound(next)
	p.wantBound(w.refreshWith("spa", next.text("refresh_token"), p.token()))
	// The first generation has been replayed by somebody without the key: nothing happens.
	w.refreshWith("spa", token).refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
	w.refreshWith("spa", token, thief.token()).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.wantEvents(authority.EventRefreshReused, 0)
	w.wantAlive("the grant", next.text("access_token"))
	// By the holder of the key it is a replay.
	w.refreshWith("spa", token, p.token()).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.wantEvents(authority.EventRefreshReused, 1)
	w.wantDead("after a replay", next.text("access_token"))
}

// A refresh token that was not bound is, from the first rotation with a proof.
func TestDP_20_BoundFromTheFirstProof(t *testing.T) {
	w := newWorld(t, options{})
	p, thief := w.prover(), w.prover()
	first := w.signedIn("spa")
	second := w.refreshWith("spa", first.text("refresh_token"), p.token())
	p.wantBound(second)
	w.refreshWith("spa", second.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
	w.refreshWith("spa", second.text("refresh_token"), thief.token()).refused(http.StatusBadRequest, oauth.InvalidGrant)
	third := w.refreshWith("spa", second.text("refresh_token"), p.token())
	p.wantBound(third)
	w.stop()
	w.start() // what is remembered in memory and what is in the store are the same
	w.refreshWith("spa", third.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
	p.wantBound(w.refreshWith("spa", third.text("refresh_token"), p.token()))
}

// A confidential client is bound to its credentials: its key may change, and the
// access token is bound to the one that was shown.
func TestDP_20_ConfidentialClientsMayChangeTheKey(t *testing.T) {
	w := newWorld(t, options{})
	p, next := w.prover(), w.prover()
	token := w.redeemWith("web", w.code("web"), p.token()).ok().text("refresh_token")
	changed := w.refreshWith("web", token, next.token())
	next.wantBound(changed)
	wantBearer(t, w.refresh("web", changed.text("refresh_token")))
}

func TestDP_21_ClientsThatGetBoundTokensOnly(t *testing.T) {
	w := newWorld(t, options{})
	w.client(clients.Spec{ID: "bound", AuthMethod: oauth.NoAuthentication, GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken},
		RedirectURIs: []string{"https://bound.example.com/cb"}, Scope: everything, Audience: api, DPoPBound: true,
		RefreshPolicy: authority.RefreshBound})
	p, thief := w.prover(), w.prover()
	code := w.code("bound")
	w.redeem("bound", code).refused(http.StatusBadRequest, oauth.InvalidRequest)
	first := w.redeemWith("bound", code, p.token())
	p.wantBound(first)
	token := first.text("refresh_token")
	w.refresh("bound", token).refused(http.StatusBadRequest, oauth.InvalidRequest)
	w.refreshWith("bound", token, thief.token()).refused(http.StatusBadRequest, oauth.InvalidGrant)

	// Policy bound: the refresh token stays, for its holder, however often and from
	// however many places.
	for range 3 {
		again := w.refreshWith("bound", token, p.token())
		p.wantBound(again)
		if again.text("refresh_token") != token {
			t.Error("the refresh token of policy bound was rotated")
		}
	}
	if g := w.grantOf(first.text("access_token")); g.Generation != 0 || g.KeyThumbprint != p.key.Thumbprint() {
		t.Errorf("generation %d, key %q", g.Generation, g.KeyThumbprint)
	}
	w.client(clients.Spec{ID: "robot", GrantTypes: []string{oauth.ClientCredentials}, Scope: []string{"read"}, Audience: api, DPoPBound: true})
	w.askWith("robot", nil, "grant_type", "client_credentials").refused(http.StatusBadRequest, oauth.InvalidRequest)
	p.wantBound(w.askWith("robot", []string{p.token()}, "grant_type", "client_credentials"))
}

func TestCOD_7_DP_22_CodesBoundAtAuthorize(t *testing.T) {
	w := newWorld(t, options{})
	p, thief := w.prover(), w.prover()
	bound := func(c *authority.Code) { c.KeyThumbprint = p.key.Thumbprint() }
	for _, client := range []string{"spa", "web"} {
		code := w.code(client, bound)
		w.redeemWith(client, code).refused(http.StatusBadRequest, oauth.InvalidGrant)
		w.redeemWith(client, code, thief.token()).refused(http.StatusBadRequest, oauth.InvalidGrant)
		first := w.redeemWith(client, code, p.token())
		p.wantBound(first)
		// A used one that comes again without the key is no replay by its owner.
		w.redeemWith(client, code, thief.token()).refused(http.StatusBadRequest, oauth.InvalidGrant)
		w.wantAlive("its grant", first.text("access_token"))
	}
	w.wantEvents(authority.EventCodeReplayed, 0)
}

func TestDP_10_NoncesAreDemanded(t *testing.T) {
	w := newWorld(t, options{edit: func(c *config.Config) { c.Tokens.DPoPNonce = config.Required }})
	p := w.prover()
	with := func(nonce string) func(*jwt.Claims) { return func(c *jwt.Claims) { c.Nonce = nonce } }
	wantNonce := func(a answer) string {
		t.Helper()
		a.refused(http.StatusBadRequest, oauth.UseDPoPNonce)
		values := a.header.Values("DPoP-Nonce")
		if len(values) != 1 || values[0] == "" {
			t.Fatalf("DPoP-Nonce %q", values)
		}
		return values[0]
	}
	code := w.code("spa")
	nonce := wantNonce(w.redeemWith("spa", code, p.token()))
	first := w.redeemWith("spa", code, p.token(with(nonce)))
	p.wantBound(first)
	if first.header.Get("DPoP-Nonce") == "" {
		t.Error("no nonce for the next request")
	}
	wantNonce(w.redeemWith("spa", code, p.token(with("made-up"))))
	wantNonce(w.redeemWith("spa", code, p.token(with(strings.ToLower(nonce)))))

	w.clock.advance(5*time.Minute - time.Second)
	p.wantBound(w.askWith("machine", []string{p.token(with(nonce))}, "grant_type", "client_credentials"))
	w.clock.advance(time.Second)
	fresh := wantNonce(w.askWith("machine", []string{p.token(with(nonce))}, "grant_type", "client_credentials"))
	// Nonces are good on every node, and after a restart.
	w.stop()
	w.start()
	p.wantBound(w.askWith("machine", []string{p.token(with(fresh))}, "grant_type", "client_credentials"))
	// Whoever shows no key needs none.
	wantBearer(t, w.askWith("machine", nil, "grant_type", "client_credentials"))
	// A bad proof is told no nonce.
	a := w.askWith("machine", []string{p.token(func(c *jwt.Claims) { c.HTTPMethod = "GET" })}, "grant_type", "client_credentials")
	a.refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
	if a.header.Get("DPoP-Nonce") != "" {
		t.Error("a nonce for a bad proof")
	}
}

func TestDP_34_IntrospectionTellsTheBinding(t *testing.T) {
	w := newWorld(t, options{})
	p := w.prover()
	a := w.introspect(w.askWith("machine", []string{p.token()}, "grant_type", "client_credentials").ok().text("access_token"))
	cnf, _ := a.json["cnf"].(map[string]any)
	if a.json["active"] != true || a.text("token_type") != "DPoP" || len(cnf) != 1 || cnf["jkt"] != p.key.Thumbprint() {
		t.Errorf("introspection says %s", a.body)
	}
	if a := w.introspect(w.machine()); a.text("token_type") != "Bearer" || a.json["cnf"] != nil {
		t.Errorf("of a bearer token it says %s", a.body)
	}
}

func TestDP_MetadataNamesTheAlgorithms(t *testing.T) {
	w := newWorld(t, options{})
	list, _ := w.get("/.well-known/oauth-authorization-server").ok().json["dpop_signing_alg_values_supported"].([]any)
	if len(list) != 4 || list[0] != "ES256" || list[1] != "Ed25519" {
		t.Errorf("dpop_signing_alg_values_supported %v", list)
	}
}

// userinfoWith asks userinfo with a scheme and proofs.
func (w *world) userinfoWith(scheme, token string, proofs ...string) answer {
	w.t.Helper()
	r := w.request(http.MethodGet, "/userinfo", "")
	r.Header.Set("Authorization", scheme+" "+token)
	for _, proof := range proofs {
		r.Header.Add("DPoP", proof)
	}
	return w.do(r)
}

func TestDP_30_DP_31_Userinfo(t *testing.T) {
	w := newWorld(t, options{})
	p, thief := w.prover(), w.prover()
	url := w.issuer + "/userinfo"
	token := w.redeemWith("spa", w.code("spa", scope("openid")), p.token()).ok().text("access_token")
	bearer := w.signedIn("web", scope("openid")).text("access_token")
	used := p.proof(http.MethodGet, url, token)
	w.userinfoWith("DPoP", token, used).ok()
	w.userinfoWith("dpop", token, p.proof(http.MethodGet, url, token)).ok()
	w.userinfoWith("Bearer", bearer).ok()
	for name, tc := range map[string]struct {
		a      answer
		code   oauth.Code
		reason string
	}{
		"bound token as Bearer":   {w.userinfoWith("Bearer", token, p.proof(http.MethodGet, url, token)), oauth.InvalidToken, "bound_token_as_bearer"},
		"unbound token as DPoP":   {w.userinfoWith("DPoP", bearer, p.proof(http.MethodGet, url, bearer)), oauth.InvalidToken, "token_not_bound"},
		"no proof":                {w.userinfoWith("DPoP", token), oauth.InvalidDPoPProof, "dpop_missing_proof"},
		"replayed":                {w.userinfoWith("DPoP", token, used), oauth.InvalidDPoPProof, "dpop_replayed"},
		"another key":             {w.userinfoWith("DPoP", token, thief.proof(http.MethodGet, url, token)), oauth.InvalidToken, "dpop_wrong_key"},
		"another token's":         {w.userinfoWith("DPoP", token, p.proof(http.MethodGet, url, bearer)), oauth.InvalidDPoPProof, "dpop_wrong_token"},
		"no token in it":          {w.userinfoWith("DPoP", token, p.proof(http.MethodGet, url, "")), oauth.InvalidDPoPProof, "dpop_wrong_token"},
		"for the token endpoint":  {w.userinfoWith("DPoP", token, p.token()), oauth.InvalidDPoPProof, "dpop_wrong_method"},
		"two proofs":              {w.userinfoWith("DPoP", token, p.proof(http.MethodGet, url, token), p.proof(http.MethodGet, url, token)), oauth.InvalidDPoPProof, "dpop_malformed"},
		"a dead token, by scheme": {w.userinfoWith("DPoP", "x"), oauth.InvalidToken, "malformed"},
	} {
		challenge := tc.a.header.Get("WWW-Authenticate")
		if tc.a.status != http.StatusUnauthorized || !strings.HasPrefix(challenge, `DPoP realm=`) || !strings.Contains(challenge, `error="`+string(tc.code)+`"`) ||
			!strings.Contains(challenge, `algs="ES256 Ed25519 EdDSA PS256"`) || tc.a.header.Get("Jeton-Reason") != tc.reason {
			t.Errorf("%s: %d %s %q", name, tc.a.status, challenge, tc.a.header.Get("Jeton-Reason"))
		}
	}
	a := w.get("/userinfo")
	if got := a.header.Values("WWW-Authenticate"); len(got) != 2 || !strings.HasPrefix(got[0], "Bearer ") || !strings.HasPrefix(got[1], "DPoP ") ||
		strings.Contains(strings.Join(got, " "), "error=") {
		t.Errorf("no credentials: challenges %q", got)
	}
}

func TestDP_10_UserinfoNonces(t *testing.T) {
	w := newWorld(t, options{edit: func(c *config.Config) { c.Tokens.DPoPNonce = config.Required }})
	p := w.prover()
	refused := w.redeemWith("spa", w.code("spa"), p.token())
	with := func(c *jwt.Claims) { c.Nonce = refused.header.Get("DPoP-Nonce") }
	token := w.redeemWith("spa", w.code("spa", scope("openid")), p.token(with)).ok().text("access_token")
	url := w.issuer + "/userinfo"
	a := w.userinfoWith("DPoP", token, p.proof(http.MethodGet, url, token))
	if a.status != http.StatusUnauthorized || !strings.Contains(a.header.Get("WWW-Authenticate"), `error="use_dpop_nonce"`) || a.header.Get("DPoP-Nonce") == "" {
		t.Errorf("got %d %v", a.status, a.header)
	}
	if a := w.userinfoWith("DPoP", token, p.proof(http.MethodGet, url, token, with)).ok(); a.header.Get("DPoP-Nonce") != "" {
		t.Error("a nonce although the last is young")
	}
	w.clock.advance(150 * time.Second)
	if a := w.userinfoWith("DPoP", token, p.proof(http.MethodGet, url, token, with)).ok(); a.header.Get("DPoP-Nonce") == "" {
		t.Error("no new nonce although the last is ageing")
	}
}

// Markers go when their proofs are too old to be taken.
func TestDP_14_MarkersAreSwept(t *testing.T) {
	w := newWorld(t, options{})
	p := w.prover()
	for range 5 {
		p.wantBound(w.askWith("machine", []string{p.token()}, "grant_type", "client_credentials"))
	}
	w.clock.advance(time.Minute + 2*time.Second)
	swept, err := w.parts.Store.Sweep(t.Context(), w.clock.Now(), time.Hour, 100)
	must(t, err)
	if swept.Tickets != 5 {
		t.Errorf("%d markers were swept, want 5", swept.Tickets)
	}
}
