package jwk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ParseSecrets reads a JWK set of shared secrets (RFC 7518 section 6.4), as
// [MarshalSecrets] writes it. It is as strict as [ParseSet] is forgiving: every
// entry must be of type "oct" with "alg" and no kid may come twice, because a
// published set must never be taken for one of secrets, nor a half of one for
// the whole. An entry of another type is refused with [ErrAlgorithm].
func ParseSecrets(b []byte) (*Set, error) {
	object, err := readMembers(b, maxSetBytes)
	if err != nil {
		return nil, err
	}
	var entries []json.RawMessage
	raw := bytes.TrimSpace(object["keys"])
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &entries) != nil {
		return nil, fmt.Errorf("%w: a set has a list of keys", ErrMalformed)
	}
	if len(entries) == 0 || len(entries) > maxSetKeys {
		return nil, fmt.Errorf("%w: a set of secrets has 1 to %d keys", ErrMalformed, maxSetKeys)
	}
	keys := make([]*Key, 0, len(entries))
	seen := make(map[string]bool)
	for _, entry := range entries {
		k, err := ParsePrivate(entry)
		switch {
		case errors.Is(err, ErrNoPrivateKey) || err == nil && !k.Algorithm().Symmetric():
			return nil, fmt.Errorf("%w: a set of secrets has nothing else", ErrAlgorithm)
		case err != nil:
			return nil, err
		case seen[k.ID()]:
			return nil, fmt.Errorf("%w: a kid appears twice", ErrMalformed)
		}
		seen[k.ID()] = true
		keys = append(keys, k)
	}
	return NewSet(keys...)
}

// MarshalSecrets writes shared secrets as a JWK set, with their private members,
// in the given order. Any other key is refused with [ErrAlgorithm]. The result
// is as secret as the keys.
func MarshalSecrets(keys ...*Key) ([]byte, error) {
	out := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, k := range keys {
		if k == nil || k.p == nil || !k.Algorithm().Symmetric() {
			return nil, fmt.Errorf("%w: a set of secrets has nothing else", ErrAlgorithm)
		}
		b, err := k.MarshalPrivate()
		if err != nil {
			return nil, err
		}
		out.Keys = append(out.Keys, b)
	}
	return json.Marshal(out)
}

// WriteSecretFile puts a set of secrets, as [MarshalSecrets] writes it, into the
// file at path, for [NewSecretFile]. The file is replaced as a whole and can be
// read by its owner only (mode 0600). A set that could not be read back is
// refused.
func WriteSecretFile(path string, set []byte) (err error) {
	if _, err := ParseSecrets(set); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("jwk: secret file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
			err = fmt.Errorf("jwk: secret file: %w", err)
		}
	}()
	_, err = file.Write(set)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
