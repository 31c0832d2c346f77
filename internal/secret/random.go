package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// Bytes returns n random bytes. It cannot fail: crypto/rand ends the process
// rather than return predictable bytes.
func Bytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// Token returns prefix followed by 256 random bits in base64url (43
// characters). The prefix lets secret scanners recognise a leaked one.
func Token(prefix string) Value {
	return New(prefix + base64.RawURLEncoding.EncodeToString(Bytes(32)))
}

// Digest is the SHA-256 under which a high-entropy secret is stored. A slow
// hash would add nothing at 256 bits of entropy.
func Digest(s string) [32]byte { return sha256.Sum256([]byte(s)) }

// ShortDigest is the first half of [Digest]: what the registry keeps of an
// access token.
func ShortDigest(s string) [16]byte {
	d := Digest(s)
	return [16]byte(d[:16])
}

// Equal compares in constant time.
func Equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// MAC is HMAC-SHA-256 over the concatenation of parts. Callers keep the
// concatenation unambiguous by giving every part but one a fixed length.
func MAC(key []byte, parts ...[]byte) [32]byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}
