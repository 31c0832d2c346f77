package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// ErrSeal is returned when sealed bytes do not open: the key is another one,
// the bytes were changed, or they were sealed for another place.
var ErrSeal = errors.New("secret: sealed value does not open with this key")

// DataKeySize is the length of a data key in bytes (AES-256).
const DataKeySize = 32

// DataKey seals what rests in the store. It never rests there itself, other
// than wrapped by a master key. It does not print.
type DataKey struct {
	ID  ID
	Key Value // DataKeySize bytes
}

// NewDataKey makes a random data key under a new id.
func NewDataKey(id ID) DataKey { return DataKey{id, New(string(Bytes(DataKeySize)))} }

// Sealer encrypts what rests in the store, with AES-256-GCM. It is what every
// owner of a secret column holds: Seal before writing, Open after reading. It
// is safe for concurrent use, also with a change of its keys.
//
// A value sealed under a data key is
//
//	 1 byte   format, 0x02
//	16 bytes  id of the data key
//	12 bytes  nonce, random
//	 n bytes  ciphertext
//	16 bytes  tag, over the ciphertext, the 17 bytes at the front, and the place
//
// The place (for example "key/access/<kid>") is authenticated but not stored,
// so a sealed value cannot be moved to another row. Places begin with the name
// of their table.
//
// Format 0x01 is sealed directly under one long-lived key and has no id: 1 byte
// format, nonce, ciphertext, tag over the ciphertext and the place. Databases
// were sealed so before there were data keys, and data keys themselves are
// wrapped so by a master key from a file.
type Sealer struct {
	keys atomic.Pointer[sealKeys]
	find func(ID) // asked once when a value names a data key that is not held
}

// sealKeys is never changed once it is in use.
type sealKeys struct {
	direct  []cipher.AEAD // format 1
	current ID            // zero: Seal writes format 1 under direct[0]
	data    map[ID]cipher.AEAD
}

const (
	sealDirect  = 1
	sealDataKey = 2
	sealHead    = 1 + len(ID{})
	sealNonce   = 12
)

// NewSealer makes a Sealer that seals directly under a key derived from master,
// which must hold at least 32 bytes of entropy.
func NewSealer(master []byte) (*Sealer, error) {
	if len(master) < 32 {
		return nil, fmt.Errorf("secret: master key has %d bytes, want at least 32", len(master))
	}
	key, err := hkdf.Key(sha256.New, master, nil, "jeton sealing v1", 32)
	if err != nil {
		return nil, fmt.Errorf("secret: derive sealing key: %w", err)
	}
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	s := new(Sealer)
	s.keys.Store(&sealKeys{direct: []cipher.AEAD{aead}})
	return s, nil
}

// NewDataSealer makes a Sealer for data keys, which [Sealer.Hold] gives it. It
// also opens what any of direct has sealed. When a value names a data key that
// is not held, find is called, which may call Hold; it may be nil.
func NewDataSealer(direct []*Sealer, find func(ID)) *Sealer {
	s := &Sealer{find: find}
	k := &sealKeys{}
	for _, d := range direct {
		k.direct = append(k.direct, d.keys.Load().direct...)
	}
	s.keys.Store(k)
	return s
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("secret: sealing cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("secret: sealing cipher: %w", err)
	}
	return aead, nil
}

// Hold replaces the data keys. Values are sealed under the last of them from
// now on.
func (s *Sealer) Hold(keys []DataKey) error {
	next := &sealKeys{direct: s.keys.Load().direct, data: make(map[ID]cipher.AEAD, len(keys))}
	for _, k := range keys {
		if k.ID.IsZero() || len(k.Key.Reveal()) != DataKeySize {
			return errors.New("secret: a data key has an id and 32 bytes")
		}
		aead, err := newGCM([]byte(k.Key.Reveal()))
		if err != nil {
			return err
		}
		next.data[k.ID], next.current = aead, k.ID
	}
	s.keys.Store(next)
	return nil
}

// Current is the id of the data key that seals now; zero without one.
func (s *Sealer) Current() ID { return s.keys.Load().current }

// Seal encrypts plain for place. A Sealer without any key panics: it would
// store the secret in clear otherwise.
func (s *Sealer) Seal(plain []byte, place string) []byte {
	k := s.keys.Load()
	nonce := Bytes(sealNonce)
	if k.current.IsZero() {
		out := append([]byte{sealDirect}, nonce...)
		return k.direct[0].Seal(out, nonce, plain, []byte(place))
	}
	head := append([]byte{sealDataKey}, k.current[:]...)
	return k.data[k.current].Seal(append(slices.Clone(head), nonce...), nonce, plain, append(head, place...))
}

// Open decrypts what Seal made for the same place, or returns ErrSeal.
func (s *Sealer) Open(sealed []byte, place string) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, ErrSeal
	}
	if sealed[0] == sealDirect {
		return s.openDirect(sealed[1:], place)
	}
	id, ok := SealedBy(sealed)
	if !ok || len(sealed) < sealHead+sealNonce {
		return nil, ErrSeal
	}
	aead := s.keys.Load().data[id]
	if aead == nil && s.find != nil {
		s.find(id)
		aead = s.keys.Load().data[id]
	}
	if aead == nil {
		return nil, ErrSeal
	}
	head, nonce, rest := sealed[:sealHead], sealed[sealHead:sealHead+sealNonce], sealed[sealHead+sealNonce:]
	plain, err := aead.Open(nil, nonce, rest, append(slices.Clone(head), place...))
	if err != nil {
		return nil, ErrSeal
	}
	return plain, nil
}

func (s *Sealer) openDirect(sealed []byte, place string) ([]byte, error) {
	if len(sealed) < sealNonce {
		return nil, ErrSeal
	}
	for _, aead := range s.keys.Load().direct {
		if plain, err := aead.Open(nil, sealed[:sealNonce], sealed[sealNonce:], []byte(place)); err == nil {
			return plain, nil
		}
	}
	return nil, ErrSeal
}

// SealedBy is the id of the data key that a sealed value names. It is the zero
// id, and true, for a value that was sealed directly; false for anything else.
func SealedBy(sealed []byte) (ID, bool) {
	switch {
	case len(sealed) > 0 && sealed[0] == sealDirect:
		return ID{}, true
	case len(sealed) >= sealHead && sealed[0] == sealDataKey:
		return ID(sealed[1:sealHead]), true
	}
	return ID{}, false
}
