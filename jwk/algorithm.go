package jwk

import (
	"crypto"
	"crypto/elliptic"
	_ "crypto/sha256" // crypto.SHA256 must be available to RSA
	_ "crypto/sha512" // crypto.SHA384 and crypto.SHA512 too
)

// Algorithm is a JOSE signature algorithm by its registered name. Names are
// compared exactly: "es256" and "NONE" name nothing (RFC 7515 section 4.1.1).
type Algorithm string

// The algorithms this package implements (RFC 7518 section 3, RFC 8037,
// RFC 9864). There is no "none".
const (
	ES256 Algorithm = "ES256" // ECDSA with P-256 and SHA-256
	ES384 Algorithm = "ES384" // ECDSA with P-384 and SHA-384
	ES512 Algorithm = "ES512" // ECDSA with P-521 and SHA-512

	// Ed25519 is the fully specified name of RFC 9864.
	Ed25519 Algorithm = "Ed25519"
	// EdDSA is the older name of the same computation, for peers that
	// registered it. It means curve Ed25519 only, and a key is one or the other:
	// a key whose algorithm is Ed25519 refuses a header that says EdDSA.
	EdDSA Algorithm = "EdDSA"

	RS256 Algorithm = "RS256" // RSA PKCS #1 v1.5 with SHA-256
	RS384 Algorithm = "RS384" // RSA PKCS #1 v1.5 with SHA-384
	RS512 Algorithm = "RS512" // RSA PKCS #1 v1.5 with SHA-512
	PS256 Algorithm = "PS256" // RSA PSS with SHA-256
	PS384 Algorithm = "PS384" // RSA PSS with SHA-384
	PS512 Algorithm = "PS512" // RSA PSS with SHA-512

	HS256 Algorithm = "HS256" // HMAC with SHA-256
	HS384 Algorithm = "HS384" // HMAC with SHA-384
	HS512 Algorithm = "HS512" // HMAC with SHA-512
)

type family uint8

const (
	_ family = iota
	familyECDSA
	familyEd25519
	familyPKCS1
	familyPSS
	familyHMAC
)

// traits is what an algorithm fixes about its keys and signatures.
type traits struct {
	family family
	hash   crypto.Hash // Ed25519: the hash inside, used for at_hash
	kty    string
	crv    string
	size   int // signature bytes; for ECDSA, bytes of one coordinate; RSA: 0
}

func (a Algorithm) traits() (traits, bool) {
	switch a {
	case ES256:
		return traits{familyECDSA, crypto.SHA256, "EC", "P-256", 32}, true
	case ES384:
		return traits{familyECDSA, crypto.SHA384, "EC", "P-384", 48}, true
	case ES512:
		return traits{familyECDSA, crypto.SHA512, "EC", "P-521", 66}, true
	case Ed25519, EdDSA:
		return traits{familyEd25519, crypto.SHA512, "OKP", "Ed25519", 64}, true
	case RS256:
		return traits{familyPKCS1, crypto.SHA256, "RSA", "", 0}, true
	case RS384:
		return traits{familyPKCS1, crypto.SHA384, "RSA", "", 0}, true
	case RS512:
		return traits{familyPKCS1, crypto.SHA512, "RSA", "", 0}, true
	case PS256:
		return traits{familyPSS, crypto.SHA256, "RSA", "", 0}, true
	case PS384:
		return traits{familyPSS, crypto.SHA384, "RSA", "", 0}, true
	case PS512:
		return traits{familyPSS, crypto.SHA512, "RSA", "", 0}, true
	case HS256:
		return traits{familyHMAC, crypto.SHA256, "oct", "", 32}, true
	case HS384:
		return traits{familyHMAC, crypto.SHA384, "oct", "", 48}, true
	case HS512:
		return traits{familyHMAC, crypto.SHA512, "oct", "", 64}, true
	}
	return traits{}, false
}

func (t traits) curve() elliptic.Curve {
	switch t.crv {
	case "P-256":
		return elliptic.P256()
	case "P-384":
		return elliptic.P384()
	case "P-521":
		return elliptic.P521()
	}
	return nil
}

// Supported reports whether a names an algorithm of this package.
func (a Algorithm) Supported() bool {
	_, ok := a.traits()
	return ok
}

// Symmetric reports whether a is an HMAC: whoever verifies can also sign.
func (a Algorithm) Symmetric() bool {
	t, _ := a.traits()
	return t.family == familyHMAC
}

// Hash is the hash function inside a; SHA-512 for Ed25519, and 0 for a name
// that is not supported.
func (a Algorithm) Hash() crypto.Hash {
	t, _ := a.traits()
	return t.hash
}
