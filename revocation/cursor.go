package revocation

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
)

// Cursor is a place in the log: everything up to and including Seq, in the life of the log named by
// Incarnation. Its text form, "<incarnation>-<seq>", is the id of feed events, the value of the
// Last-Event-ID header and of the "after" parameter. The zero Cursor means "nothing yet".
type Cursor struct {
	Incarnation string
	Seq         uint64
}

// maxIncarnation is the longest name of a life of the log, in characters.
const maxIncarnation = 64

// NewIncarnation returns a random name for a new life of the log.
func NewIncarnation() string { return strings.ToLower(rand.Text()) }

// ParseCursor reads the text form of a Cursor. The error wraps [ErrMalformed].
func ParseCursor(s string) (Cursor, error) {
	cut := strings.LastIndexByte(s, '-')
	if cut < 0 || !validIncarnation(s[:cut]) {
		return Cursor{}, fmt.Errorf("%w: cursor", ErrMalformed)
	}
	digits := s[cut+1:]
	seq, err := strconv.ParseUint(digits, 10, 64)
	// One place has one spelling: no sign, no leading zero.
	if err != nil || strconv.FormatUint(seq, 10) != digits {
		return Cursor{}, fmt.Errorf("%w: number in cursor", ErrMalformed)
	}
	return Cursor{Incarnation: s[:cut], Seq: seq}, nil
}

// String returns the text form, or "" for the zero Cursor.
func (c Cursor) String() string {
	if c.IsZero() {
		return ""
	}
	return string(c.appendText(nil))
}

// IsZero reports whether the cursor means "nothing yet".
func (c Cursor) IsZero() bool { return c == Cursor{} }

func (c Cursor) appendText(dst []byte) []byte {
	dst = append(dst, c.Incarnation...)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, c.Seq, 10)
}

// validIncarnation allows the characters that stand unescaped in a header, a URL and a JSON string.
func validIncarnation(s string) bool {
	if s == "" || len(s) > maxIncarnation {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
