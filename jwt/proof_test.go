package jwt_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

const (
	specToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	specHash  = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
	specThumb = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

	specHeader   = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
	specToken1   = specHeader + ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	specResource = specHeader + ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)

func newProofVerifier(tb testing.TB, at time.Time) *jwt.ProofVerifier {
	tb.Helper()
	v, err := jwt.NewProofVerifier(jwt.ProofConfig{Now: func() time.Time { return at }})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// The proofs printed in RFC 9449 sections 5 and 7.
func TestDP_VectorsV3(t *testing.T) {
	if got := jwt.TokenHash(specToken); got != specHash {
		t.Errorf("got ath %q, want %q", got, specHash)
	}
	v := newProofVerifier(t, time.Unix(1562262620, 0))
	p, err := v.Verify([]string{specToken1}, jwt.ProofUse{Method: "POST", URL: "https://server.example.com/token"})
	if err != nil || p.Thumbprint != specThumb || p.IssuedAt.Unix() != 1562262616 || p.ExpiresAt.Unix() != 1562262616+61 {
		t.Errorf("token endpoint: got %+v, %v", p, err)
	}
	use := jwt.ProofUse{Method: "GET", URL: "https://resource.example.org/protectedresource", AccessToken: specToken, Thumbprint: specThumb}
	q, err := v.Verify([]string{specResource}, use)
	if err != nil || q.Thumbprint != specThumb || q.Mark == p.Mark {
		t.Errorf("resource: got %+v, %v", q, err)
	}
	if again, err := v.Verify([]string{specResource}, use); err != nil || again.Mark != q.Mark {
		t.Errorf("the same proof: got %+v, %v", again, err)
	}
}

// keyV4 is the Ed25519 key of a client in vector V-4.
func keyV4(tb testing.TB) *jwk.Key {
	tb.Helper()
	key, err := jwk.ParsePrivate([]byte(`{"kty":"OKP","crv":"Ed25519","alg":"Ed25519",` +
		`"d":"TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}`))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func TestDP_VectorV4(t *testing.T) {
	proof, err := jwt.NewProof(keyV4(t), jwt.Presentation{Method: "GET", URL: "https://rs.example.com/a?b=c", AccessToken: "t", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	const jkt = "FtIu-VbGrfe_KB6CH7GNwODB72MNxj_ml11dEvO-7kk"
	p, err := newProofVerifier(t, now).Verify([]string{proof}, jwt.ProofUse{Method: "GET", URL: "https://rs.example.com/a", AccessToken: "t", Thumbprint: jkt})
	if err != nil || p.Thumbprint != jkt {
		t.Errorf("got %+v, %v", p, err)
	}
}

// Each check of RFC 9449 section 4.3 fails alone.
func TestDP_1_2_3_5_8_9_10_11_12_13_15_Proof(t *testing.T) {
	key := generate(t, jwk.ES256)
	other := generate(t, jwk.ES256)
	v := newProofVerifier(t, now)
	use := jwt.ProofUse{
		Method: "POST", URL: "https://rs.example.com/a?x=1", AccessToken: "token", Thumbprint: key.Thumbprint(),
		Nonce: func(n string) bool { return n == "fresh" },
	}
	good := func() jwt.Claims {
		return jwt.Claims{
			ID: "j", HTTPMethod: "POST", HTTPURI: "https://rs.example.com/a", IssuedAt: now.Unix(), Nonce: "fresh",
			TokenHash: jwt.TokenHash("token"),
		}
	}
	sign := func(key *jwk.Key, c jwt.Claims) string {
		proof, err := jwt.SignDPoP(key, c)
		if err != nil {
			t.Fatal(err)
		}
		return proof
	}
	fine := sign(key, good())
	if _, err := v.Verify([]string{fine}, use); err != nil {
		t.Fatal(err)
	}
	edge := good()
	edge.IssuedAt = now.Unix() - 60
	if _, err := v.Verify([]string{sign(key, edge)}, use); err != nil {
		t.Errorf("a minute old: %v", err)
	}
	edge.IssuedAt = now.Unix() + 10
	if _, err := v.Verify([]string{sign(key, edge)}, use); err != nil {
		t.Errorf("10 s ahead: %v", err)
	}
	for name, tc := range map[string]struct {
		change func(*jwt.Claims)
		reason string
	}{
		"DP-3 no jti":             {func(c *jwt.Claims) { c.ID = "" }, jwt.ReasonMissingClaim},
		"DP-3 a long jti":         {func(c *jwt.Claims) { c.ID = strings.Repeat("j", 257) }, jwt.ReasonMalformed},
		"DP-8 another method":     {func(c *jwt.Claims) { c.HTTPMethod = "PUT" }, jwt.ReasonWrongMethod},
		"DP-8 lower case":         {func(c *jwt.Claims) { c.HTTPMethod = "post" }, jwt.ReasonWrongMethod},
		"DP-9 another path":       {func(c *jwt.Claims) { c.HTTPURI += "/" }, jwt.ReasonWrongURL},
		"DP-9 http":               {func(c *jwt.Claims) { c.HTTPURI = "http://rs.example.com/a" }, jwt.ReasonWrongURL},
		"DP-10 no nonce":          {func(c *jwt.Claims) { c.Nonce = "" }, jwt.ReasonNonceNeeded},
		"DP-10 another nonce":     {func(c *jwt.Claims) { c.Nonce = "stale" }, jwt.ReasonNonceNeeded},
		"DP-11 61 s old":          {func(c *jwt.Claims) { c.IssuedAt -= 61 }, jwt.ReasonTooOld},
		"DP-11 11 s ahead":        {func(c *jwt.Claims) { c.IssuedAt += 11 }, jwt.ReasonIssuedInFuture},
		"DP-11 an hour ahead":     {func(c *jwt.Claims) { c.IssuedAt += 3600 }, jwt.ReasonIssuedInFuture},
		"DP-12 no token hash":     {func(c *jwt.Claims) { c.TokenHash = "" }, jwt.ReasonWrongToken},
		"DP-12 of another token":  {func(c *jwt.Claims) { c.TokenHash = jwt.TokenHash("Token") }, jwt.ReasonWrongToken},
		"DP-15 expired":           {func(c *jwt.Claims) { c.ExpiresAt = now.Unix() }, jwt.ReasonExpired},
		"DP-15 not yet":           {func(c *jwt.Claims) { c.NotBefore = now.Unix() + 11 }, jwt.ReasonNotYetValid},
		"DP-10 comes after DP-12": {func(c *jwt.Claims) { c.Nonce, c.TokenHash = "", "" }, jwt.ReasonWrongToken},
	} {
		c := good()
		tc.change(&c)
		if _, err := v.Verify([]string{sign(key, c)}, use); jwt.ReasonOf(err) != tc.reason {
			t.Errorf("%s: got %v, want %s", name, err, tc.reason)
		}
	}
	for name, tc := range map[string]struct {
		headers []string
		reason  string
	}{
		"DP-1 none":              {nil, jwt.ReasonMissingProof},
		"DP-1 two headers":       {[]string{fine, fine}, jwt.ReasonMalformed},
		"DP-1 joined by a comma": {[]string{fine + ", " + fine}, jwt.ReasonMalformed},
		"DP-2 empty":             {[]string{""}, jwt.ReasonMalformed},
		"DP-2 too long":          {[]string{fine + strings.Repeat("A", 4096)}, jwt.ReasonMalformed},
		"DP-13 another key":      {[]string{sign(other, good())}, jwt.ReasonWrongKey},
	} {
		if _, err := v.Verify(tc.headers, use); jwt.ReasonOf(err) != tc.reason {
			t.Errorf("%s: got %v, want %s", name, err, tc.reason)
		}
	}
	rs := generate(t, jwk.RS256)
	if _, err := v.Verify([]string{sign(rs, good())}, use); jwt.ReasonOf(err) != jwt.ReasonWrongAlgorithm {
		t.Errorf("DP-5 not on the list: got %v", err)
	}
	ps := generate(t, jwk.PS256)
	use.Thumbprint = ps.Thumbprint()
	if _, err := v.Verify([]string{sign(ps, good())}, use); err != nil {
		t.Errorf("PS256: %v", err)
	}
	if _, err := jwt.NewProofVerifier(jwt.ProofConfig{Algorithms: []jwk.Algorithm{jwk.HS256}}); err == nil {
		t.Error("a verifier for shared secrets")
	}
}

func TestDP_9_TargetsAreNormalised(t *testing.T) {
	key := generate(t, jwk.Ed25519)
	v := newProofVerifier(t, now)
	for _, tc := range []struct {
		htu, url string
		same     bool
	}{
		{"https://rs.example.com/a", "https://rs.example.com/a", true},
		{"https://rs.example.com/a?x=1", "https://rs.example.com/a", true},
		{"https://rs.example.com/a#f", "https://rs.example.com/a?y=2", true},
		{"HTTPS://RS.example.COM/a", "https://rs.example.com/a", true},
		{"https://rs.example.com:443/a", "https://rs.example.com/a", true},
		{"https://rs.example.com:/a", "https://rs.example.com/a", true},
		{"http://rs.example.com:80/a", "http://rs.example.com/a", true},
		{"https://rs.example.com", "https://rs.example.com/", true},
		{"https://rs.example.com/b/../a", "https://rs.example.com/a", true},
		{"https://rs.example.com/./a/.", "https://rs.example.com/a/", true},
		{"https://rs.example.com/../../a", "https://rs.example.com/a", true},
		{"https://rs.example.com/%7Ea%2fb", "https://rs.example.com/~a%2Fb", true},
		{"https://rs.example.com/%61", "https://rs.example.com/a", true},
		{"https://rs.example.com/%2e%2E/a", "https://rs.example.com/a", true},
		{"https://rs.example.com/ü", "https://rs.example.com/%c3%BC", true},
		{"https://[2001:DB8::1]/a", "https://[2001:db8::1]:443/a", true},

		{"https://rs.example.com/a%2Fb", "https://rs.example.com/a/b", false},
		{"https://rs.example.com/A", "https://rs.example.com/a", false},
		{"https://rs.example.com//a", "https://rs.example.com/a", false},
		{"https://rs.example.com:8443/a", "https://rs.example.com/a", false},
		{"http://rs.example.com:443/a", "http://rs.example.com/a", false},
		{"http://rs.example.com/a", "https://rs.example.com/a", false},
		{"https://rs.example.com.evil/a", "https://rs.example.com/a", false},
		{"https://me@rs.example.com/a", "https://rs.example.com/a", false},
		{"//rs.example.com/a", "https://rs.example.com/a", false},
		{"/a", "https://rs.example.com/a", false},
		{"/a", "/a", false},
		{"https://rs.example.com/%zz", "https://rs.example.com/%zz", false},
		{"ftp://rs.example.com/a", "ftp://rs.example.com/a", false},
		{"https:a", "https:a", false},
	} {
		proof, err := jwt.SignDPoP(key, jwt.Claims{ID: "j", HTTPMethod: "GET", HTTPURI: tc.htu, IssuedAt: now.Unix()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify([]string{proof}, jwt.ProofUse{Method: "GET", URL: tc.url})
		if (err == nil) != tc.same || err != nil && jwt.ReasonOf(err) != jwt.ReasonWrongURL {
			t.Errorf("htu %s for %s: got %v, want same %v", tc.htu, tc.url, err, tc.same)
		}
	}
}

func TestDP_22_ThumbprintForm(t *testing.T) {
	for s, want := range map[string]bool{
		specThumb: true, "": false, specThumb[:42]: false, specThumb + "A": false,
		specThumb[:42] + "=": false, specThumb[:42] + "+": false,
		specThumb[:42] + "J": false, // bits left over
	} {
		if got := jwt.ValidThumbprint(s); got != want {
			t.Errorf("ValidThumbprint(%q) = %v", s, got)
		}
	}
}

// What is accepted is one proof by one key for this request, and says so again.
func FuzzProof(f *testing.F) {
	// The workers are processes of their own: all must know the same proof.
	key := keyV4(f)
	use := jwt.ProofUse{Method: "GET", URL: "https://rs.example.com/a", AccessToken: "token"}
	made, err := jwt.SignDPoP(key, jwt.Claims{
		ID: "j", HTTPMethod: "GET", HTTPURI: use.URL, IssuedAt: now.Unix(), TokenHash: jwt.TokenHash("token"),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(made)
	f.Add(specToken1)
	f.Add(strings.Replace(made, ".", "..", 1))
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"dpop+jwt","alg":"none","jwk":{}}`)) + ".e30.")
	v := newProofVerifier(f, now)
	f.Fuzz(func(t *testing.T, proof string) {
		p, err := v.Verify([]string{proof}, use)
		if err != nil {
			if jwt.ReasonOf(err) == "" {
				t.Fatalf("refused without a reason: %v", err)
			}
			return
		}
		if proof != made {
			t.Fatalf("accepted %q", proof)
		}
		if p.Thumbprint != key.Thumbprint() {
			t.Fatal("another key")
		}
	})
}

// Spelling a URL in the normal way changes nothing more when it is done again.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"https://rs.example.com/a/../%7e%2f?x#y", "http://[::1]:80", "https://h//..//.", "HTTP://H:/%C3%bc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, ok := jwt.NormalTarget(s)
		if !ok {
			return
		}
		if twice, ok := jwt.NormalTarget(once); !ok || twice != once {
			t.Fatalf("%q becomes %q, and then %q", s, once, twice)
		}
		if !slices.Contains([]string{"http", "https"}, once[:strings.Index(once, ":")]) {
			t.Fatalf("got %q", once)
		}
	})
}
