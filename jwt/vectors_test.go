package jwt_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

const (
	asKey     = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"as-2026-1","alg":"Ed25519"}`
	clientKey = `{"kty":"OKP","crv":"Ed25519","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw","kid":"c-1","alg":"Ed25519"}`

	v4Access    = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZDI1NTE5Iiwia2lkIjoiYXMtMjAyNi0xIn0.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIiwic3ViIjoiMjQ4Mjg5NzYxMDAxIiwiYXVkIjoiaHR0cHM6Ly9ycy5leGFtcGxlLmNvbSIsImV4cCI6MTcwMDAwMDMwMCwiaWF0IjoxNzAwMDAwMDAwLCJqdGkiOiJhdC0xIiwiY2xpZW50X2lkIjoiczZCaGRSa3F0MyIsInNjb3BlIjoicmVhZCIsImNuZiI6eyJqa3QiOiJGdEl1LVZiR3JmZV9LQjZDSDdHTndPREI3Mk1OeGpfbWwxMWRFdk8tN2trIn19.SP0hKmCIpVZcMCIrBGd_TuMSXcYk1XBbxSm8shzlYYbMSzhuFvS7MR6AxrAg3GRAfg8wy0Q2U-_xwrTgmQlnCQ"
	v4Proof     = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVkMjU1MTkiLCJqd2siOnsia3R5IjoiT0tQIiwiY3J2IjoiRWQyNTUxOSIsIngiOiJQVUFYdy1oRGlWcVN0d3FuVFJ0LXZKeVlMTTh1eEphTXdNMVY4U3IwWmd3In19.eyJqdGkiOiJwci0xIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9ycy5leGFtcGxlLmNvbS90aGluZ3MiLCJpYXQiOjE3MDAwMDAwMTAsImF0aCI6IlR4RmxIZWtTMktCN1p1eVU3dENOektlWHNqYzdvRW9jTzZEa3hQR09QX2MifQ.KQwAoiZNbCj_7g8oAyRonQo7WqnkcUG4IotkDunDZsw36VWMMJ775pQdHYDBtkWaPgfaFTFicSoEVdf2m2Z1Bg"
	v4Assertion = "eyJ0eXAiOiJjbGllbnQtYXV0aGVudGljYXRpb24rand0IiwiYWxnIjoiRWQyNTUxOSIsImtpZCI6ImMtMSJ9.eyJpc3MiOiJzNkJoZFJrcXQzIiwic3ViIjoiczZCaGRSa3F0MyIsImF1ZCI6Imh0dHBzOi8vYXMuZXhhbXBsZS5jb20iLCJqdGkiOiJjYS0xIiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDAwNjB9.AJ6TxExD7Y_nMSKY_nSy_xRYCNE6BT9LOsqAk16ZQKDgpAiDZe8e1dCjtNFpBNjyumi8OuRRbhVjuujtUv1-Bw"
	v4Logout    = "eyJ0eXAiOiJsb2dvdXQrand0IiwiYWxnIjoiRWQyNTUxOSIsImtpZCI6ImFzLTIwMjYtMSJ9.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIiwic3ViIjoiMjQ4Mjg5NzYxMDAxIiwiYXVkIjoiczZCaGRSa3F0MyIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAwMTIwLCJqdGkiOiJsby0xIiwic2lkIjoiMDhhNTAxOWMtMTdlMS00OTc3LThmNDItNjVhMTI4NDNlYTAyIiwiZXZlbnRzIjp7Imh0dHA6Ly9zY2hlbWFzLm9wZW5pZC5uZXQvZXZlbnQvYmFja2NoYW5uZWwtbG9nb3V0Ijp7fX19.-dY-dZo7chC1SFDG4wGIYLNr4vAjjVF2VwlrVyJ8qeqNgYjWoH3l6p7BPR8-SecINhwwxG-rred9GtNw67ulDw"

	v3Header   = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
	v3Token    = v3Header + ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	v3Resource = v3Header + ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)

func parseKey(tb testing.TB, s string) *jwk.Key {
	tb.Helper()
	k, err := jwk.Parse([]byte(s))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func TestVector_V4(t *testing.T) {
	as, client := parseKey(t, asKey), parseKey(t, clientKey)
	if client.Thumbprint() != "FtIu-VbGrfe_KB6CH7GNwODB72MNxj_ml11dEvO-7kk" {
		t.Error("jkt of the client key")
	}
	at := config(t, as)
	got := accept(t, newVerifier(t, at), v4Access)
	c := got.Claims
	if c.Scope != "read" || c.ClientID != "s6BhdRkqt3" || c.ID != "at-1" || c.ExpiresAt != 1700000300 || c.Confirmation.KeyThumbprint != client.Thumbprint() ||
		got.Header.KeyID != "as-2026-1" || got.Header.Type != "at+jwt" || got.Header.Algorithm != jwk.Ed25519 {
		t.Errorf("access token read as %+v", got)
	}
	proof := newVerifier(t, jwt.Config{Profile: jwt.DPoPProof, Algorithms: []jwk.Algorithm{jwk.Ed25519}, Now: clock})
	got = accept(t, proof, v4Proof)
	if got.Key.Thumbprint() != client.Thumbprint() || got.Claims.TokenHash != "TxFlHekS2KB7ZuyU7tCNzKeXsjc7oEocO6DkxPGOP_c" || got.Claims.HTTPURI != "https://rs.example.com/things" {
		t.Errorf("proof read as %+v", got)
	}
	assertion := config(t, client)
	assertion.Profile, assertion.Issuer, assertion.Audience = jwt.ClientAssertion, "s6BhdRkqt3", []string{issuer}
	accept(t, newVerifier(t, assertion), v4Assertion)
	logout := config(t, as)
	logout.Profile, logout.Audience = jwt.LogoutToken, []string{"s6BhdRkqt3"}
	if got = accept(t, newVerifier(t, logout), v4Logout); got.Claims.SessionID != "08a5019c-17e1-4977-8f42-65a12843ea02" {
		t.Errorf("logout token read as %+v", got)
	}
	// Each where another is expected, with every other condition made to fit.
	logout.Audience = []string{audience}
	refuse(t, newVerifier(t, logout), v4Access, jwt.ReasonWrongType)
	at.Audience = []string{"s6BhdRkqt3"}
	refuse(t, newVerifier(t, at), v4Logout, jwt.ReasonWrongType)
	refuse(t, newVerifier(t, at), v4Proof, jwt.ReasonWrongType)
	refuse(t, proof, v4Access, jwt.ReasonWrongType)
}

func TestVector_V3(t *testing.T) {
	v := newVerifier(t, jwt.Config{Profile: jwt.DPoPProof, Algorithms: []jwk.Algorithm{jwk.ES256}, Now: func() time.Time { return time.Unix(1562262617, 0) }})
	for _, token := range []string{v3Token, v3Resource} {
		if got := accept(t, v, token); got.Key.Thumbprint() != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" {
			t.Errorf("jkt %s", got.Key.Thumbprint())
		}
		refuse(t, v, token[:len(token)-4]+"AAAA", jwt.ReasonBadSignature)
	}
}

// Signatures cover bytes: this payload has CR LF and a space that no encoder
// would write again.
func TestVector_V5(t *testing.T) {
	const payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	secret, _ := jwk.ParsePrivate([]byte(`{"kty":"oct","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}`))
	ec := parseKey(t, `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`)
	for name, c := range map[string]struct {
		key   *jwk.Key
		token string
	}{
		"A.1": {secret, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + payload + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
		"A.3": {ec, "eyJhbGciOiJFUzI1NiJ9." + payload + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, jwt.Config{
				Profile: jwt.Profile{Type: "JWT", TypeOptional: true, Required: []string{"exp"}}, Issuer: "joe", InsecureNoAudience: true,
				Algorithms: []jwk.Algorithm{c.key.Algorithm()}, Keys: newSet(t, c.key), Now: func() time.Time { return time.Unix(1300819379, 0) },
			})
			got := accept(t, v, c.token)
			if raw, ok := got.Claims.Claim("http://example.com/is_root"); !ok || string(raw) != "true" {
				t.Errorf("claim read as %s", raw)
			}
		})
	}
	refuse(t, newVerifier(t, config(t, ec)), "eyJhbGciOiJub25lIn0."+payload+".", jwt.ReasonMalformed) // A.5
	if _, err := jwt.Parse("eyJhbGciOiJub25lIn0."+payload+".", 0); err == nil {
		t.Error("A.5 parsed")
	}
}

func TestVector_V7_HalfHash(t *testing.T) {
	const token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
	for alg, want := range map[jwk.Algorithm]string{
		jwk.RS256: "77QmUPtjPfzWtF2AnpK9RQ", jwk.ES256: "77QmUPtjPfzWtF2AnpK9RQ", jwk.PS256: "77QmUPtjPfzWtF2AnpK9RQ", jwk.HS256: "77QmUPtjPfzWtF2AnpK9RQ",
		jwk.RS512: "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM", jwk.Ed25519: "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM", jwk.EdDSA: "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM",
		"none": "",
	} {
		if got := jwt.HalfHash(alg, token); got != want {
			t.Errorf("%s: got %s, want %s", alg, got, want)
		}
	}
	if got := jwt.HalfHash(jwk.RS256, "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"); got != "LDktKdoQak3Pk0cnXxCltA" {
		t.Errorf("c_hash %s", got)
	}
}

// The rows of V-11 that stand for themselves; the others are in the tests of
// their checks.
func TestVector_V11(t *testing.T) {
	v := newVerifier(t, config(t, parseKey(t, asKey)))
	accept(t, v, v4Access)
	for i := range len(v4Access) {
		refuse(t, v, v4Access[:i]+"\n"+v4Access[i:], jwt.ReasonMalformed)
	}
	refuse(t, v, v4Access+"\n", jwt.ReasonMalformed)
	dot := strings.LastIndexByte(v4Access, '.')
	refuse(t, v, v4Access[:dot+1]+b64(strings.Repeat("\x00", 64)), jwt.ReasonBadSignature)
	for _, h := range []string{`{"ALG":"none"}`, `{"alg":"ES256","alg":"none"}`} {
		refuse(t, v, b64(h)+v4Access[strings.IndexByte(v4Access, '.'):], jwt.ReasonMalformed)
	}
}
