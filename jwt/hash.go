package jwt

import (
	"encoding/base64"

	"github.com/jetonhq/jeton/jwk"
)

// HalfHash is the left half of the hash of value under the hash function of alg,
// base64url: at_hash for an access token and c_hash for a code (OpenID Connect
// Core sections 3.1.3.6 and 3.3.2.11). Ed25519 uses SHA-512. The result is ""
// for an algorithm that is not supported.
func HalfHash(alg jwk.Algorithm, value string) string {
	hash := alg.Hash()
	if hash == 0 {
		return ""
	}
	h := hash.New()
	h.Write([]byte(value))
	sum := h.Sum(nil)
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
