package revocation

import (
	"encoding/json"
	"fmt"
)

// Kind says what an entry of the log is about.
type Kind uint8

// The kinds. The first four refuse tokens; the others ride the feed because verifiers must learn of them as fast.
const (
	// Unknown is a kind this version does not know. Its number in the log counts, its content is handed
	// to the hooks of the view, and an encoder writes it under the name it came with (Entry.KindName).
	Unknown Kind = iota
	// Token is one access token, by jti.
	Token
	// Grant is every token of a grant, by gid.
	Grant
	// Session is every token of a session, by sid.
	Session
	// Key is every token signed with a key, by kid (in Entry.Name).
	Key
	// GrantStale says that what a grant's tokens say about their subject has changed: refresh soon.
	GrantStale
	// Policy is a demand on an endpoint, in Entry.Data, by its name in Entry.Name.
	Policy
	// KeyRing says that the published key set has changed.
	KeyRing
)

// String returns the name on the wire: "token", "grant", "session", "key", "grant_stale", "policy",
// "keys", or "unknown".
func (k Kind) String() string {
	switch k {
	case Token:
		return "token"
	case Grant:
		return "grant"
	case Session:
		return "session"
	case Key:
		return "key"
	case GrantStale:
		return "grant_stale"
	case Policy:
		return "policy"
	case KeyRing:
		return "keys"
	default:
		return "unknown"
	}
}

// ParseKind returns the kind with the given wire name, or [Unknown].
func ParseKind(name string) Kind {
	for k := Token; k <= KeyRing; k++ {
		if k.String() == name {
			return k
		}
	}
	return Unknown
}

// KeysHeader is the header in which a receiver of the feed says which keys it holds.
const KeysHeader = "Jeton-Keys"

// Entry is one line of the revocation log.
type Entry struct {
	// Seq is the number in the log, from 1, without gaps.
	Seq  uint64
	Kind Kind
	// KindName is the wire name of a kind this version does not know; empty for the others.
	KindName string
	// ID is the token, grant or session. Zero for kinds that have none.
	ID ID
	// Name is an identifier that is not 16 bytes: a kid, the name of a policy. At most 256 bytes.
	Name string
	// Reason is a short code from a small set ("logout", "admin", ...), at most 256 bytes. The view keeps
	// each distinct reason once.
	Reason string
	// Until is when the entry may be forgotten, in Unix seconds: every token it could hit has expired by
	// then. Zero means never.
	Until int64
	// Data is a JSON value that belongs to the kind (a policy), or nil.
	Data json.RawMessage
}

const (
	maxText     = 256
	maxKindName = 32
)

// wireEntry is the JSON shape of an Entry. Unknown members are ignored, so that later versions can add some.
type wireEntry struct {
	Seq    uint64          `json:"seq"`
	Kind   string          `json:"kind"`
	ID     ID              `json:"id,omitzero"`
	Name   string          `json:"name,omitempty"`
	Reason string          `json:"reason,omitempty"`
	Until  int64           `json:"until,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
}

// MarshalJSON writes the wire form.
func (e Entry) MarshalJSON() ([]byte, error) { return appendEntry(nil, e) }

// UnmarshalJSON reads the wire form. The error wraps [ErrMalformed] when the JSON is sound but the entry is not.
func (e *Entry) UnmarshalJSON(data []byte) error {
	var w wireEntry
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	read := Entry{Seq: w.Seq, Kind: ParseKind(w.Kind), ID: w.ID, Name: w.Name, Reason: w.Reason, Until: w.Until, Data: w.Data}
	if read.Kind == Unknown {
		read.KindName = w.Kind
	}
	if err := read.check(); err != nil {
		return err
	}
	*e = read
	return nil
}

// check refuses what must neither be sent nor believed: an entry that names nothing would count as
// delivered and refuse no one.
func (e *Entry) check() error {
	switch {
	case e.Seq == 0:
		return fmt.Errorf("%w: an entry has a number from 1", ErrMalformed)
	case e.Until < 0:
		return fmt.Errorf("%w: until is negative", ErrMalformed)
	case len(e.Name) > maxText || len(e.Reason) > maxText:
		return fmt.Errorf("%w: name or reason is longer than %d bytes", ErrMalformed, maxText)
	}
	switch e.Kind {
	case Token, Grant, Session, GrantStale:
		if e.ID.IsZero() {
			return fmt.Errorf("%w: %s without an id", ErrMalformed, e.Kind)
		}
	case Key:
		if e.Name == "" {
			return fmt.Errorf("%w: key without a name", ErrMalformed)
		}
	case Policy, KeyRing:
	default:
		if !validKindName(e.KindName) {
			return fmt.Errorf("%w: name of the kind", ErrMalformed)
		}
	}
	return nil
}

func validKindName(s string) bool {
	if s == "" || len(s) > maxKindName {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '_' && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
