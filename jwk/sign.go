package jwk

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
)

// The salt is as long as the hash: RFC 7518 section 3.5.
var (
	pssSHA256 = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	pssSHA384 = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA384}
	pssSHA512 = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA512}
)

func pssOptions(h crypto.Hash) *rsa.PSSOptions {
	switch h {
	case crypto.SHA384:
		return pssSHA384
	case crypto.SHA512:
		return pssSHA512
	default:
		return pssSHA256
	}
}

// Sign signs message and answers the signature as JOSE writes it: for ECDSA the
// two numbers at full width, one after the other (RFC 7518 section 3.4). ECDSA
// signatures are hedged by the standard library, so two of the same message
// differ. It fails with [ErrNoPrivateKey], or with what the signer reports.
func (k *Key) Sign(message []byte) ([]byte, error) {
	m := k.m()
	if !k.Private() {
		return nil, ErrNoPrivateKey
	}
	if m.traits.family == familyHMAC {
		return m.mac(nil, message), nil
	}
	var opts crypto.SignerOpts = m.traits.hash
	input := message
	var sum [sha512.Size]byte
	switch m.traits.family {
	case familyEd25519:
		opts = crypto.Hash(0)
	case familyPSS:
		opts = pssOptions(m.traits.hash)
		input = digest(m.traits.hash, message, &sum)
	default:
		input = digest(m.traits.hash, message, &sum)
	}
	sig, err := m.signer.Sign(rand.Reader, input, opts)
	if err != nil {
		return nil, fmt.Errorf("jwk: signing: %w", err)
	}
	if m.traits.family == familyECDSA {
		if sig, err = fromDER(sig, m.traits.size); err != nil {
			return nil, err
		}
	}
	if len(sig) != k.SignatureSize() {
		return nil, errors.New("jwk: signing: signer answered a signature of another size")
	}
	return sig, nil
}

// Verify checks the signature of message under the key's own algorithm. Any
// signature that does not have exactly the size of the algorithm, and an ECDSA
// signature with a zero half, is refused before any arithmetic. The error is
// [ErrSignature].
func (k *Key) Verify(message, sig []byte) error {
	m := k.m()
	if len(sig) != k.SignatureSize() {
		return ErrSignature
	}
	var sum [sha512.Size]byte
	ok := false
	switch m.traits.family {
	case familyECDSA:
		// The standard library takes ASN.1 only. Building it here costs some
		// nanoseconds; going through big.Int would cost more.
		var der [maxDER]byte
		if n := toDER(&der, sig, m.traits.size); n > 0 {
			ok = ecdsa.VerifyASN1(m.public.(*ecdsa.PublicKey), digest(m.traits.hash, message, &sum), der[:n])
		}
	case familyEd25519:
		ok = ed25519.Verify(m.public.(ed25519.PublicKey), message, sig)
	case familyPKCS1:
		ok = rsa.VerifyPKCS1v15(m.public.(*rsa.PublicKey), m.traits.hash, digest(m.traits.hash, message, &sum), sig) == nil
	case familyPSS:
		ok = rsa.VerifyPSS(m.public.(*rsa.PublicKey), m.traits.hash, digest(m.traits.hash, message, &sum), sig, pssOptions(m.traits.hash)) == nil
	case familyHMAC:
		ok = hmac.Equal(m.mac(sum[:0], message), sig)
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

// SignatureSize is the length in bytes of each of the key's signatures.
func (k *Key) SignatureSize() int {
	switch k.m().traits.family {
	case familyECDSA:
		return 2 * k.m().traits.size
	case familyPKCS1, familyPSS:
		return k.m().public.(*rsa.PublicKey).Size()
	default:
		return k.m().traits.size
	}
}

func (m *material) mac(into, message []byte) []byte {
	h := m.macs.Get().(hash.Hash)
	h.Reset()
	h.Write(message)
	into = h.Sum(into)
	m.macs.Put(h)
	return into
}

func digest(h crypto.Hash, message []byte, into *[sha512.Size]byte) []byte {
	switch h {
	case crypto.SHA384:
		sum := sha512.Sum384(message)
		return into[:copy(into[:], sum[:])]
	case crypto.SHA512:
		*into = sha512.Sum512(message)
		return into[:]
	default:
		sum := sha256.Sum256(message)
		return into[:copy(into[:], sum[:])]
	}
}
