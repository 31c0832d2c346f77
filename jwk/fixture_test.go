package jwk_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"testing"

	"github.com/jetonhq/jeton/jwk"
)

func decode(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func generate(tb testing.TB, alg jwk.Algorithm) *jwk.Key {
	tb.Helper()
	k, err := jwk.Generate(alg)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func withID(tb testing.TB, k *jwk.Key, kid string) *jwk.Key {
	tb.Helper()
	k, err := k.WithID(kid)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func newSet(tb testing.TB, keys ...*jwk.Key) *jwk.Set {
	tb.Helper()
	s, err := jwk.NewSet(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func parse(tb testing.TB, s string) *jwk.Key {
	tb.Helper()
	k, err := jwk.Parse([]byte(s))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func seedKey(tb testing.TB, alg jwk.Algorithm, seed string) *jwk.Key {
	tb.Helper()
	k, err := jwk.New(alg, ed25519.NewKeyFromSeed(decode(tb, seed)))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

var algorithms = []jwk.Algorithm{
	jwk.ES256, jwk.ES384, jwk.ES512, jwk.Ed25519, jwk.EdDSA, jwk.RS256, jwk.RS384, jwk.RS512,
	jwk.PS256, jwk.PS384, jwk.PS512, jwk.HS256, jwk.HS384, jwk.HS512,
}
