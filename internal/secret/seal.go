package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrSeal is returned when sealed bytes do not open: the key is another one,
// the bytes were changed, or they were sealed for another place.
var ErrSeal = errors.New("secret: sealed value does not open with this key")

// Sealer encrypts what rests in the store, with AES-256-GCM under one master
// key.
//
// A sealed value is
//
//	1 byte   format, 0x01
//	12 bytes nonce, random
//	n bytes  ciphertext
//	16 bytes tag, over the ciphertext and the place
//
// The place (for example "key/access/<kid>") is authenticated but not stored,
// so a sealed value cannot be moved to another row.
type Sealer struct{ aead cipher.AEAD }

const sealFormat = 1

// NewSealer derives a sealing key from master, which must hold at least 32
// bytes of entropy.
func NewSealer(master []byte) (*Sealer, error) {
	if len(master) < 32 {
		return nil, fmt.Errorf("secret: master key has %d bytes, want at least 32", len(master))
	}
	key, err := hkdf.Key(sha256.New, master, nil, "jeton sealing v1", 32)
	if err != nil {
		return nil, fmt.Errorf("secret: derive sealing key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("secret: sealing cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("secret: sealing cipher: %w", err)
	}
	return &Sealer{aead}, nil
}

// Seal encrypts plain for place.
func (s *Sealer) Seal(plain []byte, place string) []byte {
	nonce := Bytes(s.aead.NonceSize())
	out := append([]byte{sealFormat}, nonce...)
	return s.aead.Seal(out, nonce, plain, []byte(place))
}

// Open decrypts what Seal made for the same place, or returns ErrSeal.
func (s *Sealer) Open(sealed []byte, place string) ([]byte, error) {
	n := s.aead.NonceSize()
	if len(sealed) < 1+n || sealed[0] != sealFormat {
		return nil, ErrSeal
	}
	plain, err := s.aead.Open(nil, sealed[1:1+n], sealed[1+n:], []byte(place))
	if err != nil {
		return nil, ErrSeal
	}
	return plain, nil
}
