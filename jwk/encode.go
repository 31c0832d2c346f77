package jwk

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"fmt"
)

// wire is a JWK as it is written. The order of the fields is the order of the
// members.
type wire struct {
	Kty string    `json:"kty"`
	Crv string    `json:"crv,omitempty"`
	X   string    `json:"x,omitempty"`
	Y   string    `json:"y,omitempty"`
	N   string    `json:"n,omitempty"`
	E   string    `json:"e,omitempty"`
	K   string    `json:"k,omitempty"`
	D   string    `json:"d,omitempty"`
	P   string    `json:"p,omitempty"`
	Q   string    `json:"q,omitempty"`
	DP  string    `json:"dp,omitempty"`
	DQ  string    `json:"dq,omitempty"`
	QI  string    `json:"qi,omitempty"`
	Kid string    `json:"kid"`
	Use string    `json:"use"`
	Alg Algorithm `json:"alg"`
}

func (m *material) wire() wire {
	w := wire{Kty: m.traits.kty, Crv: m.traits.crv, Kid: m.kid, Use: "sig", Alg: m.alg}
	switch pub := m.public.(type) {
	case *ecdsa.PublicKey:
		w.X, w.Y = coordinates(pub, m.traits.size)
	case ed25519.PublicKey:
		w.X = b64(pub)
	case *rsa.PublicKey:
		w.N, w.E = modulus(pub)
	}
	return w
}

// MarshalJSON writes the public JWK, with kid, use "sig" and alg (RFC 7517
// section 4). Private members are never part of it. HMAC keys have no public
// form and answer [ErrPrivateKey].
func (k *Key) MarshalJSON() ([]byte, error) {
	if k.m().public == nil {
		return nil, ErrPrivateKey
	}
	return json.Marshal(k.m().wire())
}

// MarshalPrivate writes the JWK with its private members, to be sealed and
// stored; [ParsePrivate] reads it. A key that signs elsewhere (a KMS) cannot be
// written and answers [ErrNoPrivateKey], as a public key does.
func (k *Key) MarshalPrivate() ([]byte, error) {
	w := k.m().wire()
	switch key := k.m().signer.(type) {
	case *ecdsa.PrivateKey:
		d, err := key.Bytes()
		if err != nil {
			return nil, fmt.Errorf("jwk: writing a private key: %w", err)
		}
		w.D = b64(d)
	case ed25519.PrivateKey:
		w.D = b64(key.Seed())
	case *rsa.PrivateKey:
		if len(key.Primes) != 2 {
			return nil, fmt.Errorf("%w: RSA keys have two primes", ErrUnsupported)
		}
		// Precompute would write into a key the caller may share.
		own := &rsa.PrivateKey{PublicKey: key.PublicKey, D: key.D, Primes: key.Primes}
		own.Precompute()
		w.D, w.P, w.Q = b64(key.D.Bytes()), b64(key.Primes[0].Bytes()), b64(key.Primes[1].Bytes())
		w.DP, w.DQ, w.QI = b64(own.Precomputed.Dp.Bytes()), b64(own.Precomputed.Dq.Bytes()), b64(own.Precomputed.Qinv.Bytes())
	case nil:
		if k.m().secret == nil {
			return nil, ErrNoPrivateKey
		}
		w.K = b64(k.m().secret)
	default:
		return nil, ErrNoPrivateKey
	}
	return json.Marshal(w)
}
