package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/client"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// A program of a person holds its tokens by a key. Somebody copies the access token, the refresh token and
// everything that went over the wire, and has the authority, the API and all the time they want: nothing works for
// them, and the program notices nothing.
func TestDP_StolenTokensAreWorthNothing(t *testing.T) {
	w := newWorld(t, options{runs: true})
	p := w.prover()

	var guarded http.Handler
	reports := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { guarded.ServeHTTP(rw, r) }))
	t.Cleanup(reports.Close)
	config := w.guardConfig()
	config.PublicURL = reports.URL
	g := guard(t, config)
	eventually(t, "the guard is ready", 30*time.Second, g.Ready)
	guarded = g.Require(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "numbers") }), jeton.Scope("read"))

	// The program, with the library.
	first := w.redeemWith("spa", w.code("spa"), p.token())
	p.wantBound(first)
	store := client.NewMemoryStore(client.SignIn{RefreshToken: client.NewSecret(first.text("refresh_token")), Key: p.key})
	tokens, err := client.Refresh(client.Config{Issuer: w.issuer, ID: "spa", Store: store})
	must(t, err)
	wire := &recording{base: http.DefaultTransport}
	program := &http.Client{Transport: &client.Transport{Source: tokens, Origins: []string{reports.URL}, Base: wire}}
	read := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, reports.URL+"/reports", nil)
		must(t, err)
		resp, err := program.Do(r)
		must(t, err)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if status := read(); status != http.StatusOK {
		t.Fatalf("the program gets %d", status)
	}

	// What the thief has.
	held, err := store.Load(t.Context())
	must(t, err)
	access, refresh := held.Token.AccessToken.Reveal(), held.RefreshToken.Reveal()
	w.remember("stolen access token", access)
	w.remember("stolen refresh token", refresh)
	seen := wire.last // a whole request, with its proof
	thief, err := jwk.Generate(jwk.ES256)
	must(t, err)
	proof := func(key *jwk.Key, method, url, token string) string {
		made, err := jwt.NewProof(key, jwt.Presentation{Method: method, URL: url, AccessToken: token, Now: w.clock.Now()})
		must(t, err)
		return made
	}
	try := func(what, authorization string, proofs ...string) {
		t.Helper()
		r := w.request(http.MethodGet, reports.URL+"/reports", "")
		r.Header.Set("Authorization", authorization)
		for _, one := range proofs {
			r.Header.Add("DPoP", one)
		}
		if a := w.do(r); a.status != http.StatusUnauthorized || strings.Contains(a.body, "numbers") {
			t.Errorf("%s: the API answers %d %s", what, a.status, a.body)
		}
	}
	url := reports.URL + "/reports"
	try("as a bearer token", "Bearer "+access)
	try("without a proof", "DPoP "+access)
	try("with a proof by another key", "DPoP "+access, proof(thief, "GET", url, access))
	try("with the proof from the wire", seen.Get("Authorization"), seen.Get("DPoP"))
	try("with the proof from the wire, as Bearer", "Bearer "+access, seen.Get("DPoP"))
	try("with the proof and another", "DPoP "+access, seen.Get("DPoP"), proof(thief, "GET", url, access))
	r := w.request(http.MethodDelete, url, "") // the proof was for GET
	r.Header = seen.Clone()
	if a := w.do(r); a.status != http.StatusUnauthorized {
		t.Errorf("with the proof for another method: %d", a.status)
	}

	stolen := prover{w, thief}
	for range 3 {
		w.refreshWith("spa", refresh).refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
		w.refreshWith("spa", refresh, stolen.token()).refused(http.StatusBadRequest, oauth.InvalidGrant)
		w.refreshWith("spa", refresh, seen.Get("DPoP")).refused(http.StatusBadRequest, oauth.InvalidDPoPProof)
	}
	// And the generation before, which would end a grant that is not bound.
	w.refreshWith("spa", first.text("refresh_token"), stolen.token()).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.wantEvents(authority.EventRefreshReused, 0)
	w.wantEvents(authority.EventForgedToken, 0)

	// The program goes on, with this token and the next ones.
	if status := read(); status != http.StatusOK {
		t.Errorf("the program gets %d", status)
	}
	used, err := tokens.Token(t.Context())
	must(t, err)
	for range 3 {
		if used, err = tokens.Refresh(t.Context(), used); err != nil {
			t.Fatalf("the program cannot refresh: %v", err)
		}
	}
	w.remember("access token", used.AccessToken.Reveal())
	if status := read(); status != http.StatusOK {
		t.Errorf("the program gets %d with its next token", status)
	}
}

// recording keeps the header of the last request.
type recording struct {
	base http.RoundTripper
	last http.Header
}

func (r *recording) RoundTrip(req *http.Request) (*http.Response, error) {
	r.last = req.Header.Clone()
	return r.base.RoundTrip(req)
}
