package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// S256 is the only code challenge method offered (RFC 7636 section 4.2).
const S256 = "S256"

// Challenge returns the S256 challenge of a verifier: the base64url of the
// SHA-256 of the verifier's ASCII text (RFC 7636 section 4.2).
func Challenge(verifier string) string {
	d := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(d[:])
}

// ValidVerifier reports whether v has the syntax of a code verifier: 43 to 128
// unreserved characters (RFC 7636 section 4.1).
func ValidVerifier(v string) bool {
	if len(v) < 43 || len(v) > 128 {
		return false
	}
	for i := range len(v) {
		c := v[i]
		if !isAlnum(c) && c != '-' && c != '.' && c != '_' && c != '~' {
			return false
		}
	}
	return true
}

// ValidChallenge reports whether c can be an S256 challenge: 43 base64url
// characters that decode to 32 bytes with no stray bits.
func ValidChallenge(c string) bool {
	if len(c) != 43 {
		return false
	}
	for i := range len(c) {
		if b := c[i]; !isAlnum(b) && b != '-' && b != '_' {
			return false
		}
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(c)
	return err == nil
}

// VerifierMatches reports, in constant time, whether verifier belongs to the
// S256 challenge. A verifier of the wrong syntax never matches, even when its
// hash would.
func VerifierMatches(verifier, challenge string) bool {
	if !ValidVerifier(verifier) {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(Challenge(verifier)), []byte(challenge)) == 1
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
