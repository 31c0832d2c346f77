package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// bound is an authority and an API that take proofs, each used once, with a nonce of their own.
type bound struct {
	t      *testing.T
	server *httptest.Server
	proofs *jwt.ProofVerifier

	mu     sync.Mutex
	nonce  string // that is demanded; "" for none
	seen   map[[32]byte]bool
	holder map[string]string // access token or refresh token to thumbprint
	issued int
	asked  int // requests to the token endpoint
	calls  int // to the API
	bodies []string
}

func newBound(t *testing.T) *bound {
	v, err := jwt.NewProofVerifier(jwt.ProofConfig{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bound{t: t, proofs: v, seen: make(map[[32]byte]bool), holder: make(map[string]string)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", b.token)
	mux.HandleFunc("/", b.api)
	b.server = httptest.NewServer(mux)
	t.Cleanup(b.server.Close)
	return b
}

// check holds the proof of a request against it. The caller holds mu.
func (b *bound) check(w http.ResponseWriter, r *http.Request, token, thumbprint string) (*jwt.Proof, string) {
	use := jwt.ProofUse{Method: r.Method, URL: b.server.URL + r.URL.Path, AccessToken: token, Thumbprint: thumbprint}
	if b.nonce != "" {
		w.Header().Set("DPoP-Nonce", b.nonce)
		use.Nonce = func(n string) bool { return n == b.nonce }
	}
	p, err := b.proofs.Verify(r.Header.Values("DPoP"), use)
	switch {
	case jwt.ReasonOf(err) == jwt.ReasonNonceNeeded:
		return nil, string(oauth.UseDPoPNonce)
	case err != nil, b.seen[p.Mark]:
		b.t.Logf("a proof was refused: %v", err)
		return nil, string(oauth.InvalidDPoPProof)
	}
	b.seen[p.Mark] = true
	return p, ""
}

func (b *bound) token(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	refuse := func(code string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(oauth.ErrorResponse{Error: oauth.Code(code)})
	}
	p, problem := b.check(w, r, "", "")
	if problem != "" {
		refuse(problem)
		return
	}
	presented := r.PostFormValue("refresh_token")
	if key := b.holder[presented]; presented != "" && key != "" && key != p.Thumbprint {
		refuse("invalid_grant")
		return
	}
	b.issued++
	body := oauth.TokenResponse{AccessToken: fmt.Sprint("at-", b.issued), TokenType: "DPoP", ExpiresIn: 300}
	if presented != "" {
		body.RefreshToken = fmt.Sprint("jr-", b.issued)
		b.holder[body.RefreshToken] = p.Thumbprint
	}
	b.holder[body.AccessToken] = p.Thumbprint
	_ = json.NewEncoder(w).Encode(body)
}

func (b *bound) api(w http.ResponseWriter, r *http.Request) {
	content, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "DPoP ")
	if !ok || b.holder[token] == "" {
		w.Header().Set("WWW-Authenticate", `DPoP error="invalid_token", algs="ES256"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if _, problem := b.check(w, r, token, b.holder[token]); problem != "" {
		w.Header().Set("WWW-Authenticate", `DPoP error="`+problem+`", algs="ES256"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	b.bodies = append(b.bodies, string(content))
}

func (b *bound) config(key *jwk.Key) Config {
	return Config{Issuer: b.server.URL, ID: "app", Secret: NewSecret("secret"), Key: key}
}

func newKey(t testing.TB) *jwk.Key {
	key, err := jwk.Generate(jwk.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// call sends a body through a transport.
func (b *bound) call(c *http.Client, method, path, body string) int {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestDPoP_CredentialsAndTransport(t *testing.T) {
	b := newBound(t)
	k, err := Credentials(b.config(newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	api := &http.Client{Transport: &Transport{Source: k, Origins: []string{b.server.URL}}}
	for i := range 3 {
		if status := b.call(api, "POST", "/reports?year=2030", fmt.Sprint("body ", i)); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	if strings.Join(b.bodies, ",") != "body 0,body 1,body 2" || b.asked != 1 || b.calls != 3 {
		t.Errorf("bodies %q, %d token requests, %d calls", b.bodies, b.asked, b.calls)
	}
	token, err := k.Token(t.Context())
	if err != nil || token.Type != "DPoP" {
		t.Errorf("got type %q, %v", token.Type, err)
	}
	proof, err := token.Proof("GET", b.server.URL+"/x", "n")
	if err != nil {
		t.Fatal(err)
	}
	u, err := jwt.Parse(proof, 0)
	if err != nil || u.Claims.Nonce != "n" || u.Claims.TokenHash != jwt.TokenHash(token.AccessToken.Reveal()) {
		t.Errorf("got claims %+v, %v", u.Claims, err)
	}
	if got, err := (Token{AccessToken: NewSecret("x"), Type: "Bearer"}).Proof("GET", "https://x", ""); got != "" || err != nil {
		t.Errorf("a proof for a bearer token: %q, %v", got, err)
	}
}

// use_dpop_nonce is followed once, at the authority and at an API, and the nonce is used from then on.
func TestDPoP_Nonces(t *testing.T) {
	b := newBound(t)
	b.nonce = "first"
	k, err := Credentials(b.config(newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	transport := &Transport{Source: k, Origins: []string{b.server.URL}}
	api := &http.Client{Transport: transport}
	for range 2 {
		if status := b.call(api, "POST", "/a", "x"); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	if b.asked != 2 || b.calls != 3 {
		t.Errorf("%d token requests, %d calls, want one more of each than needed", b.asked, b.calls)
	}
	b.mu.Lock()
	b.nonce = "second"
	b.mu.Unlock()
	if status := b.call(api, "POST", "/a", "y"); status != http.StatusOK || b.calls != 5 {
		t.Errorf("after a change: status %d, %d calls", status, b.calls)
	}
	if strings.Join(b.bodies, ",") != "x,x,y" {
		t.Errorf("bodies %q", b.bodies)
	}
	// An API that is never content is asked twice, and its answer returned.
	b.mu.Lock()
	refuse := b.nonce
	b.mu.Unlock()
	never := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("DPoP-Nonce", refuse)
		w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
		w.WriteHeader(http.StatusUnauthorized)
		b.mu.Lock()
		b.calls++
		b.mu.Unlock()
	}))
	t.Cleanup(never.Close)
	transport.Origins = []string{never.URL}
	r, err := http.NewRequestWithContext(t.Context(), "GET", never.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := api.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized || b.calls != 7 {
		t.Errorf("status %d, %d calls", resp.StatusCode, b.calls)
	}
}

// The key is kept with the token file, so that every process that shares it can use the tokens.
func TestDPoP_KeyIsKeptWithTheTokenFile(t *testing.T) {
	b := newBound(t)
	path := filepath.Join(t.TempDir(), "sign-in.json")
	key := newKey(t)
	b.holder["jr-0"] = key.Thumbprint()
	if err := NewFileStore(path).Save(t.Context(), SignIn{RefreshToken: NewSecret("jr-0"), Key: key}); err != nil {
		t.Fatal(err)
	}
	config := func() Config {
		c := b.config(nil)
		c.Store = NewFileStore(path)
		return c
	}
	for i := range 2 { // two processes: the second finds the token of the first
		k, err := Refresh(config())
		if err != nil {
			t.Fatal(err)
		}
		api := &http.Client{Transport: &Transport{Source: k, Origins: []string{b.server.URL}}}
		if status := b.call(api, "GET", "/a", ""); status != http.StatusOK || b.asked != 1 {
			t.Errorf("process %d: status %d, %d token requests", i, status, b.asked)
		}
		used, err := k.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if _, err := k.Refresh(t.Context(), used); err != nil {
				t.Error(err)
			}
		}
	}
	held, err := NewFileStore(path).Load(t.Context())
	if err != nil || held.Key == nil || held.Key.Thumbprint() != key.Thumbprint() || held.RefreshToken.Reveal() != "jr-2" {
		t.Errorf("stored %v, %v", held.Key, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// A thief who has the refresh token and another key.
	c := b.config(newKey(t))
	c.Store = NewMemoryStore(SignIn{RefreshToken: held.RefreshToken})
	k, err := Refresh(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Token(t.Context()); oauth.CodeOf(err) != oauth.InvalidGrant {
		t.Errorf("with another key: got %v", err)
	}
}

// A sign-in without a key gets the one of the configuration, and keeps it.
func TestDPoP_SignInWithoutAKeyGetsOne(t *testing.T) {
	b := newBound(t)
	store := NewMemoryStore(SignIn{RefreshToken: NewSecret("jr-0")})
	key := newKey(t)
	c := b.config(key)
	c.Store = store
	k, err := Refresh(c)
	if err != nil {
		t.Fatal(err)
	}
	token, err := k.Token(t.Context())
	if err != nil || token.Type != "DPoP" {
		t.Fatalf("got %v, %v", token.Type, err)
	}
	held, _ := store.Load(t.Context())
	if held.Key != key {
		t.Error("the key was not stored")
	}
	other := b.config(newKey(t)) // the one in the store counts
	other.Store = store
	k, err = Refresh(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Refresh(t.Context(), token); err != nil {
		t.Error(err)
	}
}

func TestDPoP_AnswersThatAreNotBoundAreRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(oauth.TokenResponse{AccessToken: "a", TokenType: "Bearer", ExpiresIn: 60})
	}))
	t.Cleanup(server.Close)
	k, err := Credentials(Config{Issuer: server.URL, ID: "app", Secret: NewSecret("s"), Key: newKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "DPoP") {
		t.Errorf("got %v", err)
	}
	for name, key := range map[string]*jwk.Key{"public": newKey(t).Public(), "HMAC": hmacKey(t)} {
		if _, err := Credentials(Config{Issuer: server.URL, ID: "app", Secret: NewSecret("s"), Key: key}); err == nil {
			t.Errorf("%s key: accepted", name)
		}
	}
}

func hmacKey(t testing.TB) *jwk.Key {
	key, err := jwk.Generate(jwk.HS256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
