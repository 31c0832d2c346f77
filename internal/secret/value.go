package secret

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Value is a string that cannot be printed, logged or marshalled. The zero
// Value holds the empty string. The bytes sit behind a pointer so that even
// reflection-based printers that ignore methods show an address, not the secret.
type Value struct{ p *string }

// New wraps s. Wrapping the empty string gives the zero Value.
func New(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{&s}
}

// Reveal returns the secret itself.
func (v Value) Reveal() string {
	if v.p == nil {
		return ""
	}
	return *v.p
}

// Empty reports whether no secret is held.
func (v Value) Empty() bool { return v.p == nil }

// Equal compares with s in constant time (for equal lengths).
func (v Value) Equal(s string) bool { return Equal([]byte(v.Reveal()), []byte(s)) }

// Format implements fmt.Formatter for every verb.
func (Value) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue implements slog.LogValuer.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps encoders from showing the secret.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }
