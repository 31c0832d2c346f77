package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/secret"
)

// Choices of sealing.wrap_with.
const (
	WrapWithKey   = "key"
	WrapWithVault = "vault"
)

// MasterKey decodes a sealing key: at least 32 bytes.
func MasterKey(v secret.Value) ([]byte, error) {
	text := strings.TrimRight(v.Reveal(), "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	key, err := encoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("is not base64")
	}
	if len(key) < 32 {
		return nil, fmt.Errorf("holds %d bytes, want at least 32", len(key))
	}
	return key, nil
}

// Wraps is sealing.wrap_with, or what stands in for it.
func (c Config) Wraps() string {
	switch {
	case c.Sealing.WrapWith != "":
		return c.Sealing.WrapWith
	case c.Sealing.Vault.URL != "":
		return WrapWithVault
	}
	return WrapWithKey
}

// Masters are the master keys that the configuration names. The first wraps,
// all unwrap.
func (c Config) Masters() ([]seal.Master, error) {
	var list []seal.Master
	for setting, key := range c.sealingKeys() {
		if key.Empty() {
			continue
		}
		bytes, err := MasterKey(key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
		m, err := seal.NewFileMaster(bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
		list = append(list, m)
	}
	v := c.Sealing.Vault
	if v.URL == "" {
		return list, nil
	}
	vault, err := seal.NewTransit(seal.TransitConfig{
		URL: v.URL, Namespace: v.Namespace, Mount: v.Mount, Key: v.Key, Token: v.Token, TokenSink: v.TokenSink,
		RoleMount: v.RoleMount, RoleID: v.RoleID, SecretID: v.SecretID, CAFile: v.CAFile,
	})
	if err != nil {
		return nil, fmt.Errorf("sealing.%w", err)
	}
	if c.Wraps() == WrapWithVault {
		return slices.Insert(list, 0, seal.Master(vault)), nil
	}
	return append(list, vault), nil
}

// sealingKeys yields the settings that hold a master key, the newest first.
func (c Config) sealingKeys() iter.Seq2[string, secret.Value] {
	return func(yield func(string, secret.Value) bool) {
		_ = yield("sealing_key", c.SealingKey) && yield("sealing_key_previous", c.SealingKeyPrevious)
	}
}

// checkSealing reports what is wrong with the master keys.
func (c Config) checkSealing() []error {
	var problems []error
	if err := within(c.Sealing.Patience, time.Second, time.Hour); err != nil {
		problems = append(problems, fmt.Errorf("sealing.patience: %w", err))
	}
	switch c.Wraps() {
	case WrapWithKey:
		if c.SealingKey.Empty() {
			problems = append(problems, errors.New("sealing_key: is required: base64 of at least 32 random bytes"))
		}
	case WrapWithVault:
		if c.Sealing.Vault.URL == "" {
			problems = append(problems, errors.New("sealing.wrap_with: is vault, but sealing.vault.url is empty"))
		}
	default:
		problems = append(problems, fmt.Errorf("sealing.wrap_with: %w", oneOf(c.Sealing.WrapWith, WrapWithKey, WrapWithVault)))
	}
	if _, err := c.Masters(); err != nil {
		problems = append(problems, err)
	}
	return problems
}
