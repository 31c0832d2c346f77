package jwk

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
)

// b64 is base64url without padding (RFC 7515 section 2).
func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// coordinates answers x and y at full width (RFC 7518 section 6.2.1.2).
func coordinates(pub *ecdsa.PublicKey, size int) (x, y string) {
	point, err := pub.Bytes()
	if err != nil || len(point) != 1+2*size {
		return "", "" // setPublic has parsed this point, so it has this form
	}
	return b64(point[1 : 1+size]), b64(point[1+size:])
}

func modulus(pub *rsa.PublicKey) (n, e string) {
	return b64(pub.N.Bytes()), b64(big.NewInt(int64(pub.E)).Bytes())
}

// thumbprint hashes the required members in lexicographic order without white
// space (RFC 7638 section 3). Nothing in them needs escaping.
func (m *material) thumbprint() string {
	var canonical string
	switch pub := m.public.(type) {
	case *ecdsa.PublicKey:
		x, y := coordinates(pub, m.traits.size)
		canonical = `{"crv":"` + m.traits.crv + `","kty":"EC","x":"` + x + `","y":"` + y + `"}`
	case ed25519.PublicKey:
		canonical = `{"crv":"Ed25519","kty":"OKP","x":"` + b64(pub) + `"}`
	case *rsa.PublicKey:
		n, e := modulus(pub)
		canonical = `{"e":"` + e + `","kty":"RSA","n":"` + n + `"}`
	default:
		canonical = `{"k":"` + b64(m.secret) + `","kty":"oct"}`
	}
	sum := sha256.Sum256([]byte(canonical))
	return b64(sum[:])
}
