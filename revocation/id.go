package revocation

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// ID names a token (jti), a grant (gid) or a session (sid): 16 bytes, time-ordered, written as 22
// characters of unpadded base64url. The zero ID names nothing.
type ID [16]byte

// encodedID is the length of an ID's text form.
const encodedID = 22

// ErrMalformed is returned for feed data that does not have the shape doc.go describes. It is wrapped
// with what was wrong; received bytes are never part of the text.
var ErrMalformed = errors.New("revocation: malformed feed data")

// idEncoding refuses non-zero trailing bits, so that an ID has exactly one spelling (RFC 4648 section 3.5).
var idEncoding = base64.RawURLEncoding.Strict()

// ParseID reads the text form of an ID. Only the canonical spelling is accepted: one id never has two
// names, so a lookup by name cannot be dodged by another spelling. The error wraps [ErrMalformed].
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != encodedID {
		return ID{}, fmt.Errorf("%w: an id has %d characters", ErrMalformed, encodedID)
	}
	var text [encodedID]byte
	copy(text[:], s)
	n, err := idEncoding.Decode(id[:], text[:])
	if err != nil || n != len(id) {
		return ID{}, fmt.Errorf("%w: an id is canonical base64url", ErrMalformed)
	}
	return id, nil
}

// String returns the text form.
func (id ID) String() string {
	var text [encodedID]byte
	idEncoding.Encode(text[:], id[:])
	return string(text[:])
}

// IsZero reports whether the id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText returns the text form.
func (id ID) MarshalText() ([]byte, error) { return id.appendText(nil), nil }

// UnmarshalText is [ParseID].
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

func (id ID) appendText(dst []byte) []byte { return idEncoding.AppendEncode(dst, id[:]) }
