package client

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a string that cannot be printed, logged or marshalled by accident. The zero Secret is empty.
type Secret struct{ p *string } // behind a pointer, so that printers which ignore methods show an address

// NewSecret wraps s. The empty string gives the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal returns the string itself.
func (s Secret) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// Empty reports whether there is no secret.
func (s Secret) Empty() bool { return s.p == nil }

// Equal compares two secrets, in constant time when they are equally long.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format prints a placeholder, for every verb.
func (Secret) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue is a placeholder.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes a placeholder.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
