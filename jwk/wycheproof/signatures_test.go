package wycheproof_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"github.com/jetonhq/jeton/jwk"
)

// files are the vectors of each algorithm; those of ECDSA in the form that JWS
// has (RFC 7518 section 3.4).
var files = map[string]jwk.Algorithm{
	"ecdsa_secp256r1_sha256_p1363_test.json": jwk.ES256,
	"ecdsa_secp384r1_sha384_p1363_test.json": jwk.ES384,
	"rsa_signature_2048_sha256_test.json":    jwk.RS256,
	"rsa_signature_3072_sha256_test.json":    jwk.RS256,
	"rsa_pss_2048_sha256_mgf1_32_test.json":  jwk.PS256,
	"rsa_pss_3072_sha256_mgf1_32_test.json":  jwk.PS256,
	"ed25519_test.json":                      jwk.Ed25519,
}

// vectors are what is read of a file.
type vectors struct {
	Groups []struct {
		Key   string `json:"publicKeyDer"`
		Tests []struct {
			ID      int      `json:"tcId"`
			Comment string   `json:"comment"`
			Flags   []string `json:"flags"`
			Message string   `json:"msg"`
			Sig     string   `json:"sig"`
			Result  string   `json:"result"`
		} `json:"tests"`
	} `json:"testGroups"`
}

// Every signature that is valid verifies and no other does; what the vectors leave
// to the implementation ("acceptable") may go either way.
func TestVerify(t *testing.T) {
	for name, alg := range files {
		t.Run(name, func(t *testing.T) {
			text, err := fs.ReadFile(wycheproof.TestVectors, name)
			must(t, err)
			var v vectors
			must(t, json.Unmarshal(text, &v))
			valid, invalid := 0, 0
			for _, group := range v.Groups {
				key := publicKey(t, group.Key, alg)
				if key == nil {
					continue
				}
				for _, test := range group.Tests {
					err := key.Verify(unhex(t, test.Message), unhex(t, test.Sig))
					switch test.Result {
					case "valid":
						valid++
						if err != nil {
							t.Errorf("%d, %s: a valid signature is refused: %v", test.ID, test.Comment, err)
						}
					case "invalid":
						invalid++
						if err == nil {
							t.Errorf("%d, %s %v: an invalid signature verifies", test.ID, test.Comment, test.Flags)
						}
					}
				}
			}
			if valid == 0 || invalid == 0 {
				t.Errorf("%d valid and %d invalid signatures", valid, invalid)
			}
			t.Logf("%d valid, %d invalid", valid, invalid)
		})
	}
}

// publicKey is nil for a key that this package takes from nobody.
func publicKey(t *testing.T, der string, alg jwk.Algorithm) *jwk.Key {
	t.Helper()
	public, err := x509.ParsePKIXPublicKey(unhex(t, der))
	must(t, err)
	key, err := jwk.New(alg, public)
	if k, ok := public.(*rsa.PublicKey); ok && k.E < 65537 {
		if err == nil {
			t.Errorf("an RSA key with the exponent %d is accepted", k.E)
		}
		return nil
	}
	must(t, err)
	return key
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	must(t, err)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
