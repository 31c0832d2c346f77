package revocation

import (
	"bytes"
	"encoding/json"
)

// entryArray reads an array of entries. A snapshot can have hundreds of thousands, so the form our own
// encoder writes is read in one pass; anything else goes through encoding/json, which decides.
type entryArray []Entry

// UnmarshalJSON reads the array, both ways with the same result.
func (a *entryArray) UnmarshalJSON(data []byte) error {
	if entries, ok := scanEntries(data); ok {
		*a = entries
		return nil
	}
	var entries []Entry
	if err := json.Unmarshal(data, &entries); err != nil {
		return err
	}
	*a = entries
	return nil
}

// scanEntries reads exactly what appendEntries writes for entries without data and without escapes.
func scanEntries(data []byte) ([]Entry, bool) {
	s := scanner{rest: data}
	if !s.skip("[") {
		return nil, false
	}
	if s.skip("]") {
		return []Entry{}, len(s.rest) == 0
	}
	entries := make([]Entry, 0, bytes.Count(data, []byte{'{'}))
	var reason string // most entries share one
	for {
		var e Entry
		if !s.entry(&e, &reason) || e.check() != nil {
			return nil, false
		}
		entries = append(entries, e)
		if s.skip("]") {
			return entries, len(s.rest) == 0
		}
		if !s.skip(",") {
			return nil, false
		}
	}
}

type scanner struct{ rest []byte }

func (s *scanner) entry(e *Entry, reason *string) bool {
	var ok bool
	if !s.skip(`{"seq":`) {
		return false
	}
	if e.Seq, ok = s.number(); !ok || !s.skip(`,"kind":`) {
		return false
	}
	kind, ok := s.text()
	if !ok {
		return false
	}
	if e.Kind = kindOf(kind); e.Kind == Unknown {
		return false
	}
	if s.skip(`,"id":`) {
		text, ok := s.text()
		if !ok || len(text) != encodedID {
			return false
		}
		if n, err := idEncoding.Decode(e.ID[:], text); err != nil || n != len(e.ID) {
			return false
		}
	}
	if s.skip(`,"name":`) {
		text, ok := s.text()
		if !ok {
			return false
		}
		e.Name = string(text)
	}
	if s.skip(`,"reason":`) {
		text, ok := s.text()
		if !ok {
			return false
		}
		if string(text) != *reason {
			*reason = string(text)
		}
		e.Reason = *reason
	}
	if s.skip(`,"until":`) {
		until, ok := s.number()
		if !ok {
			return false
		}
		e.Until = int64(until) //nolint:gosec // number reads 18 digits at most
	}
	return s.skip("}")
}

// kindOf is ParseKind without a conversion to string.
func kindOf(name []byte) Kind {
	switch string(name) {
	case "token":
		return Token
	case "grant":
		return Grant
	case "session":
		return Session
	}
	return ParseKind(string(name))
}

func (s *scanner) skip(literal string) bool {
	if len(s.rest) < len(literal) || string(s.rest[:len(literal)]) != literal {
		return false
	}
	s.rest = s.rest[len(literal):]
	return true
}

// number reads up to 18 digits without a leading zero: what cannot overflow.
func (s *scanner) number() (uint64, bool) {
	var n uint64
	i := 0
	for i < len(s.rest) && '0' <= s.rest[i] && s.rest[i] <= '9' {
		n = n*10 + uint64(s.rest[i]-'0')
		i++
		if i > 18 {
			return 0, false
		}
	}
	if i == 0 || i > 1 && s.rest[0] == '0' {
		return 0, false
	}
	s.rest = s.rest[i:]
	return n, true
}

// text reads a string of plain ASCII without escapes.
func (s *scanner) text() ([]byte, bool) {
	if len(s.rest) == 0 || s.rest[0] != '"' {
		return nil, false
	}
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			text := s.rest[1:i]
			s.rest = s.rest[i+1:]
			return text, true
		case c == '\\' || c < 0x20 || c >= 0x80:
			return nil, false
		}
	}
	return nil, false
}
