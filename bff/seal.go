package bff

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jetonhq/jeton/client"
)

// minKey is the fewest characters of a key: 32 random bytes in hexadecimal or base64 have more.
const minKey = 32

var errSealed = errors.New("bff: sealed with none of the keys, or changed")

// sealer encrypts with AES-256-GCM: with the first key, while all can decrypt. A sealed value is
//
//	1 byte   format, 0x01
//	4 bytes  name of the key
//	12 bytes nonce, random
//	n bytes  ciphertext, and the tag over it and the place
//
// The place is authenticated and not stored, so that what was sealed for one session cannot be put in another's
// place.
type sealer struct{ keys []sealingKey }

type sealingKey struct {
	name [4]byte
	aead cipher.AEAD
}

const (
	sealFormat = 1
	sealHeader = 1 + 4
)

func newSealer(keys []client.Secret) (*sealer, error) {
	s := &sealer{}
	for i, key := range keys {
		if len(key.Reveal()) < minKey {
			return nil, fmt.Errorf("bff: key %d has fewer than %d characters", i+1, minKey)
		}
		made, err := newSealingKey(key)
		if err != nil {
			return nil, fmt.Errorf("bff: key %d: %w", i+1, err)
		}
		s.keys = append(s.keys, made)
	}
	return s, nil
}

func newSealingKey(key client.Secret) (k sealingKey, err error) {
	derived, err := hkdf.Key(sha256.New, []byte(key.Reveal()), nil, "jeton bff sessions v1", 32+len(k.name))
	if err != nil {
		return k, err
	}
	block, err := aes.NewCipher(derived[:32])
	if err != nil {
		return k, err
	}
	copy(k.name[:], derived[32:])
	k.aead, err = cipher.NewGCM(block)
	return k, err
}

func (s *sealer) seal(plain []byte, place string) []byte {
	k := s.keys[0]
	out := make([]byte, sealHeader+k.aead.NonceSize(), sealHeader+k.aead.NonceSize()+len(plain)+k.aead.Overhead())
	out[0] = sealFormat
	copy(out[1:], k.name[:])
	nonce := out[sealHeader:]
	_, _ = rand.Read(nonce)
	return k.aead.Seal(out, nonce, plain, []byte(place)) // #nosec G407 -- the nonce was filled with random bytes
}

func (s *sealer) open(sealed []byte, place string) ([]byte, error) {
	if len(sealed) < sealHeader || sealed[0] != sealFormat {
		return nil, errSealed
	}
	for _, k := range s.keys {
		n := sealHeader + k.aead.NonceSize()
		if [4]byte(sealed[1:sealHeader]) != k.name || len(sealed) < n {
			continue
		}
		if plain, err := k.aead.Open(nil, sealed[sealHeader:n], sealed[n:], []byte(place)); err == nil {
			return plain, nil
		}
	}
	return nil, errSealed
}
