package seal

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jetonhq/jeton/internal/secret"
)

// Errors of a master key, wrapped with what is known.
var (
	// ErrOtherMaster: the data key was wrapped by another master key.
	ErrOtherMaster = errors.New("wrapped by another master key")
	// ErrUnavailable: the master key cannot be reached now, and may be later.
	ErrUnavailable = errors.New("master key cannot be reached")
)

// Wrapped is a data key as it may rest beside what it seals.
type Wrapped struct {
	Master string // names the master key, never holds it
	Key    []byte
}

// Master is a key that wraps data keys, wherever it is kept.
type Master interface {
	Wrap(ctx context.Context, key secret.DataKey) (Wrapped, error)
	// Unwrap returns ErrOtherMaster for what another master key has wrapped.
	Unwrap(ctx context.Context, id secret.ID, w Wrapped) (secret.DataKey, error)
}

// FileMaster is a master key whose bytes the operator keeps in a file or in the
// environment.
type FileMaster struct {
	name   string
	sealer *secret.Sealer
}

// NewFileMaster takes a master key of at least 32 bytes of entropy.
func NewFileMaster(key []byte) (*FileMaster, error) {
	sealer, err := secret.NewSealer(key)
	if err != nil {
		return nil, err
	}
	// 64 bits that say nothing about a key of 256.
	fingerprint, err := hkdf.Key(sha256.New, key, nil, "jeton master key fingerprint v1", 8)
	if err != nil {
		return nil, fmt.Errorf("seal: fingerprint of the master key: %w", err)
	}
	return &FileMaster{"key:" + hex.EncodeToString(fingerprint), sealer}, nil
}

// String is the name of the key: "key:" and its fingerprint.
func (m *FileMaster) String() string { return m.name }

// Direct opens what was sealed under the master key itself, as it was done
// before there were data keys.
func (m *FileMaster) Direct() *secret.Sealer { return m.sealer }

func dataKeyPlace(id secret.ID) string { return "data key/" + id.String() }

// Wrap implements Master.
func (m *FileMaster) Wrap(_ context.Context, key secret.DataKey) (Wrapped, error) {
	return Wrapped{m.name, m.sealer.Seal([]byte(key.Key.Reveal()), dataKeyPlace(key.ID))}, nil
}

// Unwrap implements Master.
func (m *FileMaster) Unwrap(_ context.Context, id secret.ID, w Wrapped) (secret.DataKey, error) {
	if w.Master != m.name {
		return secret.DataKey{}, ErrOtherMaster
	}
	key, err := m.sealer.Open(w.Key, dataKeyPlace(id))
	if err != nil {
		return secret.DataKey{}, fmt.Errorf("data key %s is damaged: %w", id, err)
	}
	return dataKey(id, key)
}

func dataKey(id secret.ID, key []byte) (secret.DataKey, error) {
	if len(key) != secret.DataKeySize {
		return secret.DataKey{}, fmt.Errorf("data key %s has %d bytes, want %d", id, len(key), secret.DataKeySize)
	}
	return secret.DataKey{ID: id, Key: secret.New(string(key))}, nil
}

// masters are the configured master keys: the first wraps, all unwrap.
type masters []Master

func (ms masters) unwrap(ctx context.Context, id secret.ID, w Wrapped) (secret.DataKey, error) {
	for _, m := range ms {
		key, err := m.Unwrap(ctx, id, w)
		if !errors.Is(err, ErrOtherMaster) {
			return key, err
		}
	}
	return secret.DataKey{}, fmt.Errorf("another sealing key is needed: data key %s was %w: it needs %s, configured is %s",
		id, ErrOtherMaster, w.Master, strings.Join(ms.names(), ", "))
}

// wrap wraps with the first master key, and makes sure that it can be unwrapped
// again before anything depends on it.
func (ms masters) wrap(ctx context.Context, key secret.DataKey) (Wrapped, error) {
	w, err := ms[0].Wrap(ctx, key)
	if err != nil {
		return Wrapped{}, err
	}
	back, err := ms[0].Unwrap(ctx, key.ID, w)
	if err != nil {
		return Wrapped{}, fmt.Errorf("unwrap what was just wrapped: %w", err)
	}
	if !back.Key.Equal(key.Key.Reveal()) {
		return Wrapped{}, fmt.Errorf("master key %s unwraps another key than it wrapped", w.Master)
	}
	return w, nil
}

func (ms masters) names() []string {
	var names []string
	for _, m := range ms {
		names = append(names, fmt.Sprint(m))
	}
	return slices.Clip(names)
}
