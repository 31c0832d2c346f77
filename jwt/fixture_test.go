package jwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

const (
	issuer   = "https://as.example.com"
	audience = "https://rs.example.com"
)

// now is the time around which all fixed tokens were made.
var now = time.Unix(1700000000, 0)

func clock() time.Time { return now }

func generateP256(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func generate(tb testing.TB, alg jwk.Algorithm) *jwk.Key {
	tb.Helper()
	key, err := jwk.Generate(alg)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func newSet(tb testing.TB, keys ...*jwk.Key) *jwk.Set {
	tb.Helper()
	set, err := jwk.NewSet(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// config is a verifier's for access tokens of these keys.
func config(tb testing.TB, keys ...*jwk.Key) jwt.Config {
	var algs []jwk.Algorithm
	for _, k := range keys {
		algs = append(algs, k.Algorithm())
	}
	return jwt.Config{
		Profile: jwt.AccessToken, Issuer: issuer, Audience: []string{audience},
		Algorithms: algs, Keys: newSet(tb, keys...), Now: clock,
	}
}

func newVerifier(tb testing.TB, c jwt.Config) *jwt.Verifier {
	tb.Helper()
	v, err := jwt.NewVerifier(c)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// claims are those of a good access token.
func claims() jwt.Claims {
	return jwt.Claims{
		Issuer: issuer, Subject: "248289761001", Audience: []string{audience}, ClientID: "s6BhdRkqt3",
		IssuedAt: now.Unix(), ExpiresAt: now.Unix() + 300, ID: "at-1", Scope: "read write",
	}
}

func sign(tb testing.TB, key *jwk.Key, typ string, claims any) string {
	tb.Helper()
	token, err := jwt.Sign(key, typ, claims)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// craft signs a header and payload as they stand, however wrong they are.
func craft(tb testing.TB, key *jwk.Key, header, payload string) string {
	tb.Helper()
	message := b64(header) + "." + b64(payload)
	sig, err := key.Sign([]byte(message))
	if err != nil {
		tb.Fatal(err)
	}
	return message + "." + b64(string(sig))
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// header is a good header for key, with extra members.
func header(key *jwk.Key, extra string) string {
	return `{"typ":"at+jwt","alg":"` + string(key.Algorithm()) + `","kid":"` + key.ID() + `"` + extra + `}`
}

// payload is a good payload with extra members.
func payload(extra string) string {
	return strings.TrimSuffix(`{"iss":"https://as.example.com","sub":"248289761001","aud":"https://rs.example.com",`+
		`"client_id":"s6BhdRkqt3","iat":1700000000,"exp":1700000300,"jti":"at-1"}`, "}") + extra + "}"
}

func refuse(tb testing.TB, v *jwt.Verifier, token, reason string) {
	tb.Helper()
	got, err := v.Verify(tb.Context(), token)
	if err == nil {
		tb.Fatalf("accepted %+v, want refusal as %s", got.Claims, reason)
	}
	if r := jwt.ReasonOf(err); r != reason {
		tb.Errorf("reason %q (%v), want %q", r, err, reason)
	}
}

func accept(tb testing.TB, v *jwt.Verifier, token string) *jwt.Token {
	tb.Helper()
	got, err := v.Verify(tb.Context(), token)
	if err != nil {
		tb.Fatalf("refused: %v", err)
	}
	return got
}
