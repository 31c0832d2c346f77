package jwk

import (
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const (
	memberPrefix    = "jm_"  // of a member's public text
	memberKeyPrefix = "jmk_" // of its private text: secret scanners can look for it
	memberSize      = 32     // X25519
)

// Member is a server that may read the secrets of a ring that is published to
// it, by its public key. Its text form is "jm_" and 43 characters.
type Member struct {
	id  string
	key hpke.PublicKey
}

// ParseMember reads what [Member.String] wrote.
func ParseMember(text string) (Member, error) {
	raw, err := memberBytes(text, memberPrefix)
	if err != nil {
		return Member{}, err
	}
	key, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(raw)
	if err != nil {
		return Member{}, fmt.Errorf("%w: not a member's public key", ErrMalformed)
	}
	return memberOf(key), nil
}

func memberOf(key hpke.PublicKey) Member {
	digest := sha256.Sum256(key.Bytes())
	return Member{b64(digest[:12]), key}
}

// ID names the member in a publication. It is a digest of the public key.
func (m Member) ID() string { return m.id }

// String is the public key as text, to be given to the authority.
func (m Member) String() string { return memberPrefix + b64(m.key.Bytes()) }

// MemberKey is the private half of a [Member]. It does not print: every way of
// formatting it shows the member's id only, and the secret leaves it through
// [MemberKey.Secret] alone.
type MemberKey struct{ p **memberSecret }

type memberSecret struct {
	member Member
	key    hpke.PrivateKey
}

// NewMemberKey makes a fresh random key.
func NewMemberKey() (*MemberKey, error) {
	key, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("jwk: generating a member's key: %w", err)
	}
	return newMemberKey(key), nil
}

// ParseMemberKey reads what [MemberKey.Secret] wrote. White space around it is
// ignored, so that the contents of a file can be passed.
func ParseMemberKey(text string) (*MemberKey, error) {
	raw, err := memberBytes(strings.TrimSpace(text), memberKeyPrefix)
	if err != nil {
		return nil, err
	}
	key, err := hpke.DHKEM(ecdh.X25519()).NewPrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: not a member's key", ErrMalformed)
	}
	return newMemberKey(key), nil
}

func newMemberKey(key hpke.PrivateKey) *MemberKey {
	m := &memberSecret{memberOf(key.PublicKey()), key}
	return &MemberKey{&m}
}

// Member is the public half.
func (k *MemberKey) Member() Member { return (*k.p).member }

// Secret is the private key as text, to be kept where only this server reads it.
func (k *MemberKey) Secret() (string, error) {
	raw, err := (*k.p).key.Bytes()
	if err != nil {
		return "", fmt.Errorf("jwk: writing a member's key: %w", err)
	}
	return memberKeyPrefix + b64(raw), nil
}

// String is the member's id.
func (k MemberKey) String() string { return "member " + (*k.p).member.id }

// Format prints what String says, whatever the verb.
func (k MemberKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// LogValue logs what String says.
func (k MemberKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText is what String says.
func (k MemberKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func memberBytes(text, prefix string) ([]byte, error) {
	rest, ok := strings.CutPrefix(text, prefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if !ok || err != nil || len(raw) != memberSize {
		return nil, fmt.Errorf("%w: want %s and 43 characters", ErrMalformed, prefix)
	}
	return raw, nil
}
