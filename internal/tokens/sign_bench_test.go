package tokens_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/feed"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/jwk"
)

// rawSigner signs with the standard library alone, a message as long as a token.
func rawSigner(b *testing.B, alg jwk.Algorithm) func(message []byte) error {
	b.Helper()
	failed := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	if alg == jwk.Ed25519 {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		failed(err)
		return func(m []byte) error {
			ed25519.Sign(key, m)
			return nil
		}
	}
	if alg == jwk.ES256 || alg == jwk.ES384 {
		curve := elliptic.P256()
		if alg == jwk.ES384 {
			curve = elliptic.P384()
		}
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		failed(err)
		return func(m []byte) error {
			var digest []byte
			if alg == jwk.ES384 {
				sum := sha512.Sum384(m)
				digest = sum[:]
			} else {
				sum := sha256.Sum256(m)
				digest = sum[:]
			}
			_, err := ecdsa.SignASN1(rand.Reader, key, digest)
			return err
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	failed(err)
	return func(m []byte) error {
		sum := sha256.Sum256(m)
		if alg == jwk.PS256 {
			_, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
			return err
		}
		_, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		return err
	}
}

// BenchmarkSign makes access and ID tokens, claims and all, beside the bare
// signature of as many bytes. The three take turns, and each is given its best tenth:
// on a busy machine two benchmarks one after the other say little.
func BenchmarkSign(b *testing.B) {
	for _, alg := range []jwk.Algorithm{jwk.ES256, jwk.ES384, jwk.Ed25519, jwk.RS256, jwk.PS256} {
		b.Run(string(alg), func(b *testing.B) {
			mint := benchMint(b, alg)
			now := time.Now()
			g := authority.Grant{
				ID: secret.NewID(now), ClientID: "web", AccountID: secret.NewID(now), SessionID: secret.NewID(now), Audience: []string{"https://api.example.com"},
				Scope: []string{"openid", "reports:read"}, AuthTime: now, ACR: "1", AMR: []string{"pwd"}, Nonce: "n-0S6_WzA2Mj",
			}
			client := authority.Client{ID: "web", IDTokenAlg: string(alg)}
			access, err := tokens.SignAccess(mint, g)
			if err != nil {
				b.Fatal(err)
			}
			raw, message := rawSigner(b, alg), []byte(access)
			kinds := []struct {
				name string
				sign func() error
			}{
				{"raw", func() error { return raw(message) }},
				{"access", func() error { _, err := tokens.SignAccess(mint, g); return err }},
				{"id", func() error { _, err := tokens.SignID(mint, g, client, access); return err }},
			}
			took := make([][]time.Duration, len(kinds))
			for b.Loop() {
				for i, kind := range kinds {
					began := time.Now()
					if err := kind.sign(); err != nil {
						b.Fatal(err)
					}
					took[i] = append(took[i], time.Since(began))
				}
			}
			best := func(i int) float64 {
				slices.Sort(took[i])
				return float64(took[i][len(took[i])/10])
			}
			for i, kind := range kinds {
				b.ReportMetric(best(i), kind.name+"-ns")
				if i > 0 {
					b.ReportMetric(best(i)/best(0), kind.name+"/raw")
				}
			}
		})
	}
}

func benchMint(b *testing.B, alg jwk.Algorithm) *tokens.Service {
	b.Helper()
	failed := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	store, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "jeton.db")})
	failed(err)
	b.Cleanup(func() { _ = store.Close() })
	sealer, err := secret.NewSealer(secret.Bytes(32))
	failed(err)
	rings, err := keys.Open(b.Context(), keys.Config{Store: store, Sealer: sealer, AccessAlgorithm: alg, IDAlgorithms: []jwk.Algorithm{alg}})
	failed(err)
	f, err := feed.Open(b.Context(), feed.Config{Log: store})
	failed(err)
	mint, err := tokens.New(tokens.Config{Issuer: issuer, Store: store, Keys: rings, View: f.View(), Log: f})
	failed(err)
	return mint
}
