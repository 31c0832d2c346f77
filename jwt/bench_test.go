package jwt_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	golangjwt "github.com/golang-jwt/jwt/v5"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

// benchToken is an access token as the authority issues it, of about 600 bytes.
func benchToken(tb testing.TB, key *jwk.Key, now time.Time) string {
	tb.Helper()
	token, err := jwt.Sign(key, "at+jwt", jwt.Claims{
		Issuer: "https://id.example.com", Subject: "248289761001", Audience: []string{"https://api.example.com"},
		ClientID: "s6BhdRkqt3", IssuedAt: now.Unix(), ExpiresAt: now.Unix() + 300,
		ID: "AZqO7n9Bf4G2oR8mYw1cZA", Scope: "reports:read reports:write openid", SessionID: "AZqO7n9Bf4G2oR8mYw1cZB",
		GrantID: "AZqO7n9Bf4G2oR8mYw1cZC", AuthTime: now.Unix() - 60, ACR: "1", AMR: []string{"pwd", "otp"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// BenchmarkVerify compares the complete check of a token never seen before with
// the bare signature check and with other libraries, in one run.
func BenchmarkVerify(b *testing.B) {
	now := time.Now()
	_, edPrivate, _ := ed25519.GenerateKey(rand.Reader)
	rsaPrivate, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	ecPrivate := generateP256(b)
	secret := make([]byte, 32)
	mac := hmac.New(sha256.New, secret)
	for _, c := range []struct {
		alg     jwk.Algorithm
		private any
		joseAlg jose.SignatureAlgorithm
		raw     func(message, sig []byte) bool
	}{
		{jwk.ES256, ecPrivate, jose.ES256, func(message, sig []byte) bool {
			sum := sha256.Sum256(message)
			return ecdsa.VerifyASN1(&ecPrivate.PublicKey, sum[:], sig)
		}},
		{jwk.EdDSA, edPrivate, jose.EdDSA, func(message, sig []byte) bool {
			return ed25519.Verify(edPrivate.Public().(ed25519.PublicKey), message, sig)
		}},
		{jwk.RS256, rsaPrivate, jose.RS256, func(message, sig []byte) bool {
			sum := sha256.Sum256(message)
			return rsa.VerifyPKCS1v15(&rsaPrivate.PublicKey, crypto.SHA256, sum[:], sig) == nil
		}},
		// HMAC has next to no cost of its own: what is left is the parsing.
		{jwk.HS256, secret, jose.HS256, func(message, sig []byte) bool {
			mac.Reset()
			mac.Write(message)
			return hmac.Equal(mac.Sum(nil), sig)
		}},
	} {
		key, err := jwk.New(c.alg, c.private)
		if err != nil {
			b.Fatal(err)
		}
		token := benchToken(b, key, now)
		public, verifying := c.private, key
		if signer, ok := c.private.(crypto.Signer); ok {
			public, verifying = signer.Public(), key.Public()
		}
		name := string(c.alg)
		if c.alg == jwk.EdDSA {
			name = "Ed25519" // the peers know the computation by the older name only
		}

		b.Run(name+"/raw", func(b *testing.B) {
			dot := strings.LastIndexByte(token, '.')
			message := []byte(token[:dot])
			sig, _ := base64.RawURLEncoding.DecodeString(token[dot+1:])
			if c.alg == jwk.ES256 {
				sig, _ = asn1.Marshal([]*big.Int{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])})
			}
			b.ReportAllocs()
			for b.Loop() {
				if !c.raw(message, sig) {
					b.Fatal("does not verify")
				}
			}
		})
		b.Run(name+"/jeton", func(b *testing.B) {
			set, _ := jwk.NewSet(verifying)
			v, err := jwt.NewVerifier(jwt.Config{
				Profile: jwt.AccessToken, Issuer: "https://id.example.com", Audience: []string{"https://api.example.com"},
				Algorithms: []jwk.Algorithm{c.alg}, Keys: set,
			})
			if err != nil {
				b.Fatal(err)
			}
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(ctx, token); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/golang-jwt", func(b *testing.B) {
			parser := golangjwt.NewParser(golangjwt.WithValidMethods([]string{string(c.alg)}),
				golangjwt.WithIssuer("https://id.example.com"), golangjwt.WithAudience("https://api.example.com"),
				golangjwt.WithExpirationRequired(), golangjwt.WithIssuedAt())
			keyFunc := func(*golangjwt.Token) (any, error) { return public, nil }
			b.ReportAllocs()
			for b.Loop() {
				var claims golangjwt.RegisteredClaims
				if _, err := parser.ParseWithClaims(token, &claims, keyFunc); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/go-jose", func(b *testing.B) {
			expected := josejwt.Expected{Issuer: "https://id.example.com", AnyAudience: []string{"https://api.example.com"}}
			b.ReportAllocs()
			for b.Loop() {
				parsed, err := josejwt.ParseSigned(token, []jose.SignatureAlgorithm{c.joseAlg})
				if err != nil {
					b.Fatal(err)
				}
				var claims josejwt.Claims
				if err := parsed.Claims(public, &claims); err != nil {
					b.Fatal(err)
				}
				if err := claims.Validate(expected); err != nil {
					b.Fatal(err)
				}
			}
		})
		benchmarkJWX(b, name, c.alg, public, token)
	}
}

// BenchmarkSign is the cost of issuing, encoding of the claims included.
func BenchmarkSign(b *testing.B) {
	now := time.Now()
	for _, alg := range []jwk.Algorithm{jwk.ES256, jwk.Ed25519, jwk.HS256} {
		key, err := jwk.Generate(alg)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				benchToken(b, key, now)
			}
		})
	}
}
