package authority

import (
	"slices"
	"time"
)

// KeyState is where a key is in its life.
type KeyState string

const (
	KeyStaged      KeyState = "staged"      // published, not used
	KeyActive      KeyState = "active"      // signs
	KeyRetiring    KeyState = "retiring"    // verifies until the last token it signed has expired
	KeyRetired     KeyState = "retired"     // kept for the record only
	KeyCompromised KeyState = "compromised" // refused at once, everywhere
)

// Verifies reports whether what a key in this state has signed may still count.
func (s KeyState) Verifies() bool { return s == KeyStaged || s == KeyActive || s == KeyRetiring }

// MayBecome reports whether a key may go from s to the other state. Nothing
// leads back to signing, and nothing leads away from compromised.
func (s KeyState) MayBecome(to KeyState) bool {
	switch s {
	case KeyStaged:
		return to == KeyActive || to == KeyRetired || to == KeyCompromised
	case KeyActive:
		return to == KeyRetiring || to == KeyCompromised
	case KeyRetiring:
		return to == KeyRetired || to == KeyCompromised
	case KeyRetired:
		return to == KeyCompromised
	case KeyCompromised:
	}
	return false
}

// Rings, one per purpose.
const (
	RingAccess  = "access"  // access tokens
	RingID      = "id"      // ID tokens
	RingRefresh = "refresh" // HMAC of refresh tokens
	RingFlow    = "flow"    // HMAC of the sign-in flow's signed state
)

// Key is a member of a ring.
type Key struct {
	ID        string // RFC 7638 thumbprint
	Ring      string
	Slot      string // a ring has at most one active key per slot: the algorithm in ring id, "" elsewhere
	Algorithm string
	State     KeyState
	Public    []byte // the public JWK; nil for HMAC keys
	Sealed    []byte // the private JWK, sealed for the place "key/<ring>/<id>"; nil once retired or compromised
	CreatedAt time.Time
	ChangedAt time.Time // when State was entered
	DueAt     time.Time // staged: become active then, not with the ring's period; zero otherwise

	// RingVersion is the version of the key's ring at the time of reading. A store
	// fills it in and never takes it from a caller.
	RingVersion int64
}

// KeyMove takes one key from one state to another.
type KeyMove struct {
	ID       string
	From, To KeyState
}

// KeyStep is one change of a ring, decided on what was read of it at Version. It
// happens as a whole.
type KeyStep struct {
	Ring    string
	Version int64
	Now     time.Time

	Create []Key                // in any state of a new key: staged or active
	Move   []KeyMove            // ChangedAt becomes Now, DueAt is cleared; Sealed is erased when the key no longer verifies
	Due    map[string]time.Time // DueAt of keys that are staged
	Forget []string             // keys that are retired or compromised: their rows go

	// The log entry of KindKeyRing that every step appends: Data is its JSON. Each
	// key that the step makes compromised has an entry of KindKey before it, with
	// Reason. All are kept until Until.
	Data   []byte
	Reason string
	Until  time.Time

	// EndGrants ends the live grants whose refresh token was made with a key that
	// the step makes compromised, with Reason and an entry for each.
	EndGrants bool

	Event Event
}

// Compromises reports whether the step makes the key compromised.
func (s KeyStep) Compromises(id string) bool {
	return slices.ContainsFunc(s.Move, func(m KeyMove) bool { return m.ID == id && m.To == KeyCompromised })
}
