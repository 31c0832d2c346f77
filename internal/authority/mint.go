package authority

import (
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// GrantMint is the type of grants that hold tokens which a client minted for a
// person.
const GrantMint = "mint"

// MintPolicy says what a client may mint beyond tokens of its own.
type MintPolicy struct {
	Subjects    MintSubjects
	Patterns    []string      // of logins, see path.Match; with MintPattern at least one, with MintSession none means any
	Claims      []string      // names of further claims it may set
	Audiences   []string      // empty: the client's own
	Scope       []string      // empty: the client's own
	MaxLifetime time.Duration // 0 means 5 min
	Rate        int           // tokens a minute; 0 means 60,000
	Approval    bool          // an administrator approves each batch
}

// MintSubjects says for whom a client may mint.
type MintSubjects string

const (
	MintNone    MintSubjects = "none"    // the client itself
	MintOwn     MintSubjects = "own"     // itself and its service accounts: its id, a colon, and a name
	MintPattern MintSubjects = "pattern" // those, and people whose login matches a pattern
	MintSession MintSubjects = "session" // those, and people with a live session, as long as that lives
)

// MintBatch is a batch of minted tokens.
type MintBatch struct {
	Grants []Grant // new ones, of people
	Tokens []Token // under these grants, or the client's standing grant
	Now    time.Time
	Events []Event

	ClientID      string
	ClientVersion int64 // the client must still be this, and not disabled

	// What the batch is remembered by. Key "" remembers nothing.
	Key     string
	Digest  [32]byte  // of the request
	Answer  []byte    // no tokens in it
	Expires time.Time // until then

	Request secret.ID // the approved request that is carried out; zero: none
}

// MintAnswer is what a batch was remembered with.
type MintAnswer struct {
	Digest [32]byte
	Answer []byte
}

// MintState is where a request for approval stands.
type MintState string

const (
	MintPending  MintState = "pending"
	MintApproved MintState = "approved"
	MintDenied   MintState = "denied"
	MintDone     MintState = "done" // carried out
)

// MintRequest is a batch that waits for a second person.
type MintRequest struct {
	ID          secret.ID
	ClientID    string
	RequestedBy string
	Reason      string
	Body        []byte // the batch, as it was asked for
	State       MintState
	DecidedBy   string
	CreatedAt   time.Time
	ExpiresAt   time.Time
}
