package secret

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// ErrID is returned for text that is not the canonical form of an ID.
var ErrID = errors.New("secret: not an id")

// ID is a 16-byte identifier in UUIDv7 layout (RFC 9562 section 5.7): 48 bits
// of Unix milliseconds, 12 bits of the fraction of that millisecond, and 62
// random bits. Ids made later sort later, to about a quarter of a microsecond,
// so that rows keyed by them are appended at the right edge of an index and
// expire as a range. An ID is a name, not a secret.
type ID [16]byte

// NewID makes an ID that carries the time now.
func NewID(now time.Time) ID {
	var id ID
	_, _ = rand.Read(id[8:])
	ms := now.UnixMilli()
	frac := uint16(now.Nanosecond() % 1e6 * 4096 / 1e6) // #nosec G115 -- below 4096 by construction
	binary.BigEndian.PutUint64(id[:8], uint64(ms)<<16)  // #nosec G115 -- times before 1970 do not occur
	binary.BigEndian.PutUint16(id[6:8], 0x7000|frac)
	id[8] = id[8]&0x3f | 0x80
	return id
}

// FirstID is the smallest ID that carries a time at or after t. Rows with a
// smaller ID were made before t.
func FirstID(t time.Time) ID {
	var id ID
	binary.BigEndian.PutUint64(id[:8], uint64(t.UnixMilli())<<16) // #nosec G115 -- see NewID
	id[6] = 0x70
	id[8] = 0x80
	return id
}

// ParseID reads the canonical text form: 22 characters of unpadded base64url
// whose unused bits are zero.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 22 {
		return ID{}, ErrID
	}
	n, err := base64.RawURLEncoding.Strict().Decode(id[:], []byte(s))
	if err != nil || n != len(id) || id.String() != s {
		return ID{}, ErrID
	}
	return id, nil
}

// IDFromBytes copies b, which must be 16 bytes long.
func IDFromBytes(b []byte) (ID, error) {
	if len(b) != 16 {
		return ID{}, ErrID
	}
	return ID(b), nil
}

// String is the canonical text form, 22 characters of unpadded base64url.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// Time is the time the ID carries, to the millisecond.
func (id ID) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16)).UTC() // #nosec G115 -- 48 bits
}

// IsZero reports whether id is unset.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders ids by the time they carry.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// MarshalText gives the canonical text form, or nothing for the zero ID.
func (id ID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return nil, nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
