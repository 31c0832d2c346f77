package authority

import "time"

// KeyState is where a key is in its life.
type KeyState string

const (
	KeyStaged      KeyState = "staged"      // published, not used
	KeyActive      KeyState = "active"      // signs
	KeyRetiring    KeyState = "retiring"    // verifies until the last token it signed has expired
	KeyRetired     KeyState = "retired"     // kept for the record only
	KeyCompromised KeyState = "compromised" // refused at once, everywhere
)

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
	Algorithm string
	State     KeyState
	Sealed    []byte // the private JWK, sealed for the place "key/<ring>/<id>"
	CreatedAt time.Time
	ChangedAt time.Time // when State was entered
}
