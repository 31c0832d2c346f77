package jwt_test

import (
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwa"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/jetonhq/jeton/jwk"
)

// benchmarkJWX measures the peer that brings modules of its own, all of them for tests only.
func benchmarkJWX(b *testing.B, name string, alg jwk.Algorithm, public any, token string) {
	known, ok := jwa.LookupSignatureAlgorithm(string(alg))
	if !ok {
		b.Fatalf("jwx does not know %s", alg)
	}
	b.Run(name+"/jwx", func(b *testing.B) {
		raw := []byte(token)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := jwxjwt.Parse(raw, jwxjwt.WithKey(known, public),
				jwxjwt.WithIssuer("https://id.example.com"), jwxjwt.WithAudience("https://api.example.com")); err != nil {
				b.Fatal(err)
			}
		}
	})
}
