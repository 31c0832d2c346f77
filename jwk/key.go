package jwk

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"math/big"
	"sync"
)

const (
	minRSABits = 2048 // RFC 7518 section 3.3
	maxRSABits = 8192 // a larger modulus makes each verification a gift to an attacker
	minRSAExp  = 65537
)

// Key is one signature key: its id, its single algorithm, and the key itself.
// It is immutable and safe for concurrent use. The zero Key is not usable; keys
// come from [New], [Generate], [Parse] and [ParsePrivate].
type Key struct {
	// Two pointers, because one is not enough: a struct that holds a Key in an
	// unexported field is printed by reflection, past the methods below, and for
	// a verb that does not fit (%s) fmt follows one pointer to a struct.
	p **material
}

func newKey(m *material) *Key { return &Key{&m} }

func (k *Key) m() *material { return *k.p }

type material struct {
	kid    string
	alg    Algorithm
	use    string
	stated bool // alg was named, and not concluded from the type of the key
	thumb  string
	traits traits

	public any           // *ecdsa.PublicKey, ed25519.PublicKey or *rsa.PublicKey; nil for HMAC
	signer crypto.Signer // nil for public keys and HMAC
	secret []byte        // HMAC only
	macs   *sync.Pool    // HMAC only: hash.Hash keyed with secret
}

// New makes a key for one algorithm. The second argument is a private key
// (*[ecdsa.PrivateKey], [ed25519.PrivateKey], *[rsa.PrivateKey]), any other
// [crypto.Signer] with such a public key (a KMS or a smart card), a public key
// (*[ecdsa.PublicKey], [ed25519.PublicKey], *[rsa.PublicKey]), or the []byte of
// an HMAC secret. The id is the RFC 7638 thumbprint.
//
// A key on the wrong curve, an RSA key below 2048 or above 8192 bits or with an
// exponent that is even or below 65537, and an HMAC secret shorter than the
// hash are refused (RFC 7518 sections 3.2 to 3.5) with [ErrAlgorithm] or
// [ErrMalformed].
func New(alg Algorithm, key any) (*Key, error) {
	t, ok := alg.traits()
	if !ok {
		return nil, fmt.Errorf("%w: unknown algorithm", ErrAlgorithm)
	}
	m := &material{alg: alg, stated: true, use: "sig", traits: t}
	switch key := key.(type) {
	case []byte:
		if err := m.setSecret(key); err != nil {
			return nil, err
		}
	case ed25519.PrivateKey:
		if len(key) != ed25519.PrivateKeySize {
			return nil, fmt.Errorf("%w: Ed25519 private keys have 64 bytes", ErrMalformed)
		}
		own := ed25519.PrivateKey(bytes.Clone(key))
		if err := m.setPublic(own.Public()); err != nil {
			return nil, err
		}
		m.signer = own
	case crypto.Signer:
		if err := m.setPublic(key.Public()); err != nil {
			return nil, err
		}
		m.signer = key
	default:
		if err := m.setPublic(key); err != nil {
			return nil, err
		}
	}
	m.thumb = m.thumbprint()
	m.kid = m.thumb
	return newKey(m), nil
}

// Generate makes a fresh random key: RSA of 2048 bits, HMAC secrets as long as
// the hash.
func Generate(alg Algorithm) (*Key, error) {
	t, ok := alg.traits()
	if !ok {
		return nil, fmt.Errorf("%w: unknown algorithm", ErrAlgorithm)
	}
	var key any
	var err error
	switch t.family {
	case familyECDSA:
		key, err = ecdsa.GenerateKey(t.curve(), rand.Reader)
	case familyEd25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case familyPKCS1, familyPSS:
		key, err = rsa.GenerateKey(rand.Reader, minRSABits)
	case familyHMAC:
		secret := make([]byte, t.size)
		_, err = rand.Read(secret)
		key = secret
	}
	if err != nil {
		return nil, fmt.Errorf("jwk: generating a key: %w", err)
	}
	return New(alg, key)
}

// setPublic checks a public key against the algorithm and keeps a copy of it.
func (m *material) setPublic(key crypto.PublicKey) error {
	switch pub := key.(type) {
	case *ecdsa.PublicKey:
		if m.traits.family != familyECDSA || pub.Curve != m.traits.curve() {
			return ErrAlgorithm
		}
		point, err := pub.Bytes()
		if err != nil {
			return fmt.Errorf("%w: not a point of the curve", ErrMalformed)
		}
		// Parsing is what proves that the point is on the curve.
		if pub, err = ecdsa.ParseUncompressedPublicKey(pub.Curve, point); err != nil {
			return fmt.Errorf("%w: not a point of the curve", ErrMalformed)
		}
		m.public = pub
	case ed25519.PublicKey:
		if m.traits.family != familyEd25519 {
			return ErrAlgorithm
		}
		if len(pub) != ed25519.PublicKeySize {
			return fmt.Errorf("%w: Ed25519 public keys have 32 bytes", ErrMalformed)
		}
		m.public = ed25519.PublicKey(bytes.Clone(pub))
	case *rsa.PublicKey:
		if m.traits.family != familyPKCS1 && m.traits.family != familyPSS {
			return ErrAlgorithm
		}
		if pub.N == nil || pub.N.Sign() <= 0 || pub.N.Bit(0) == 0 {
			return fmt.Errorf("%w: RSA modulus", ErrMalformed)
		}
		if bits := pub.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("%w: RSA keys have %d to %d bits", ErrMalformed, minRSABits, maxRSABits)
		}
		if pub.E < minRSAExp || pub.E&1 == 0 || int64(pub.E) > 1<<31-1 {
			return fmt.Errorf("%w: RSA exponents are odd and at least %d", ErrMalformed, minRSAExp)
		}
		m.public = &rsa.PublicKey{N: new(big.Int).Set(pub.N), E: pub.E}
	default:
		return fmt.Errorf("%w: unknown type of key", ErrAlgorithm)
	}
	return nil
}

func (m *material) setSecret(secret []byte) error {
	if m.traits.family != familyHMAC {
		return ErrAlgorithm // a []byte is never a public key: RFC 8725 section 2.1
	}
	if len(secret) < m.traits.size {
		return fmt.Errorf("%w: HMAC secrets are at least as long as the hash", ErrMalformed)
	}
	m.secret = bytes.Clone(secret)
	m.macs = &sync.Pool{New: func() any {
		return hmac.New(func() hash.Hash { return m.traits.hash.New() }, m.secret)
	}}
	return nil
}

// ID is the key's id (kid): the thumbprint unless [Key.WithID] or the JWK said
// otherwise. It is an opaque string, at times chosen by somebody else.
func (k *Key) ID() string { return k.m().kid }

// Algorithm is the one algorithm of the key.
func (k *Key) Algorithm() Algorithm { return k.m().alg }

// Use is the "use" member of the JWK the key was read from: "sig", or empty if
// it had none. Keys that were made here are "sig".
func (k *Key) Use() string { return k.m().use }

// Private reports whether the key can sign.
func (k *Key) Private() bool { return k.m().signer != nil || k.m().secret != nil }

// Thumbprint is the RFC 7638 SHA-256 thumbprint, base64url. The thumbprint of an
// HMAC secret identifies it; it is safe to show because secrets are at least 32
// bytes.
func (k *Key) Thumbprint() string { return k.m().thumb }

// Public is the key without its private part. An HMAC key has no public part:
// the result is nil.
func (k *Key) Public() *Key {
	if k.m().public == nil {
		return nil
	}
	if k.m().signer == nil {
		return k
	}
	m := *k.m()
	m.signer = nil
	return newKey(&m)
}

// WithID is the same key under an explicit id, at most [MaxIDLength] bytes.
func (k *Key) WithID(kid string) (*Key, error) {
	if err := checkID(kid); err != nil {
		return nil, err
	}
	m := *k.m()
	m.kid = kid
	return newKey(&m), nil
}

// Pin is the key under the algorithm alg. A key whose algorithm was named (by
// the caller of [New] or by the JWK's "alg") only answers to that name and
// otherwise yields [ErrAlgorithm]. A JWK without "alg" is read as RS256, Ed25519
// or the algorithm of its curve, and may be pinned to another one that fits its
// type: once, by whoever registered the key, not by the header of a token.
func (k *Key) Pin(alg Algorithm) (*Key, error) {
	if k.m().alg == alg && k.m().stated {
		return k, nil
	}
	t, ok := alg.traits()
	if !ok || k.m().stated || t.kty != k.m().traits.kty || t.crv != k.m().traits.crv || t.family == familyHMAC {
		return nil, ErrAlgorithm
	}
	m := *k.m()
	m.alg, m.traits, m.stated = alg, t, true
	return newKey(&m), nil
}

// String is the key's algorithm and id.
func (k Key) String() string {
	if k.p == nil {
		return "jwk.Key(none)"
	}
	return "jwk.Key(" + string(k.m().alg) + " " + k.m().kid + ")"
}

// Format prints what String says, whatever the verb.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// LogValue logs what String says.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText is what String says. JSON uses [Key.MarshalJSON].
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
