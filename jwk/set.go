package jwk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

const (
	maxSetBytes = 512 << 10
	maxSetKeys  = 512
)

// Source answers which keys may have signed something. The guard, verifiers and
// tests depend on this and not on where keys come from.
//
// Keys returns the candidates for a kid, or all keys when kid is empty (a token
// whose header has none). It returns [ErrUnknownKey] when it holds no key with
// the id, and another error when it cannot know. Callers must not change the
// slice. Implementations are safe for concurrent use.
type Source interface {
	Keys(ctx context.Context, kid string) ([]*Key, error)
}

// Set is an ordered, immutable list of keys.
type Set struct {
	keys []*Key
	byID map[string][]*Key
}

var _ Source = (*Set)(nil)

// NewSet makes a set of keys in the given order. Ids may repeat, as they do in
// the wild: all keys of an id are candidates. A nil key is an error.
func NewSet(keys ...*Key) (*Set, error) {
	s := &Set{keys: make([]*Key, 0, len(keys)), byID: make(map[string][]*Key, len(keys))}
	for _, k := range keys {
		if k == nil || k.p == nil {
			return nil, fmt.Errorf("%w: no key", ErrMalformed)
		}
		s.keys = append(s.keys, k)
		s.byID[k.ID()] = append(s.byID[k.ID()], k)
	}
	return s, nil
}

// ParseSet reads a JWK set (RFC 7517 section 5) of at most 512 kB and 512
// entries. Entries that [Parse] would refuse (unknown types, keys for
// encryption, malformed keys, private and symmetric keys) are left out and do
// not break the set. A set whose every entry had to be left out is an error, so
// that a broken publication is not mistaken for one without keys.
func ParseSet(b []byte) (*Set, error) {
	object, err := readMembers(b, maxSetBytes)
	if err != nil {
		return nil, err
	}
	var entries []json.RawMessage
	raw := bytes.TrimSpace(object["keys"])
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &entries) != nil {
		return nil, fmt.Errorf("%w: a set has a list of keys", ErrMalformed)
	}
	if len(entries) > maxSetKeys {
		return nil, fmt.Errorf("%w: a set has at most %d keys", ErrMalformed, maxSetKeys)
	}
	keys := make([]*Key, 0, len(entries))
	for _, entry := range entries {
		k, parseErr := Parse(entry)
		if parseErr != nil {
			err = parseErr
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 && len(entries) > 0 {
		return nil, fmt.Errorf("jwk: no usable key in the set: %w", err)
	}
	return NewSet(keys...)
}

// Lookup is all keys with the id, in order; none when the id is unknown.
func (s *Set) Lookup(kid string) []*Key { return append([]*Key(nil), s.byID[kid]...) }

// All is every key of the set, in order.
func (s *Set) All() []*Key { return append([]*Key(nil), s.keys...) }

// Len is the number of keys.
func (s *Set) Len() int { return len(s.keys) }

// Keys implements [Source].
func (s *Set) Keys(_ context.Context, kid string) ([]*Key, error) {
	if keys := s.candidates(kid); len(keys) > 0 {
		return keys, nil
	}
	return nil, ErrUnknownKey
}

func (s *Set) candidates(kid string) []*Key {
	if kid == "" {
		return s.keys
	}
	return s.byID[kid]
}

// MarshalJSON writes the set with the public members of its keys. A set with an
// HMAC key answers [ErrPrivateKey].
func (s *Set) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Keys []*Key `json:"keys"`
	}{s.keys})
}
