package authority

import (
	"context"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// Kind says what an id in the revocation log names.
type Kind string

const (
	KindToken   Kind = "token"
	KindGrant   Kind = "grant"
	KindSession Kind = "session"
	KindKey     Kind = "key"

	// These ride the log and end nothing.
	KindPolicy     Kind = "policy"      // a policy changed: Name, and Data as it is now (null: gone)
	KindGrantStale Kind = "grant_stale" // what tokens say about a grant's account changed: Data has the version since
	KindKeyRing    Kind = "keys"        // a ring of keys changed: Name is the ring, Data what a verifier needs of it
)

// LogEntry is one line of the revocation log. Seq has no gaps in commit order
// as a reader sees it.
type LogEntry struct {
	Seq    uint64
	Kind   Kind
	ID     secret.ID // zero for keys
	KeyID  string    // for keys
	Name   string    // for kinds that are named
	Data   []byte    // JSON that belongs to the kind, or nil
	Reason string
	At     time.Time
	Until  time.Time // every token it could hit has expired by then; zero: never
}

// Revocation says what to end. Exactly one of the targets is set.
type Revocation struct {
	Token   *Token    // this access token alone
	Grant   secret.ID // this grant
	Session secret.ID // this session and the grants that belong to it
	Account secret.ID // all sessions and grants of the account
	Client  string    // all grants of the client
	Consent *Consent  // the consent row (AccountID, ClientID) and the grants between the two

	ExceptSession secret.ID // with Account: this session and its grants stay

	// Changes that must happen in the same commit, if any.
	Update       *Account // written as AccountStore.UpdateAccount writes it (disabled, new password)
	UpdateClient *Client  // with Client: written as ClientStore.UpdateClient writes it (disabled, secrets replaced)
	DeleteClient bool     // with Client: the client, its consents and codes go too
	BrowserAll   bool     // with Session: the account's grants of public clients made in that session end too, offline ones included
	MadeIn       bool     // with Session: all of the account's grants made in that session end too, offline ones included

	Reason string
	Code   string // stable, told to clients whose grants end; "" is what fits the target
	Now    time.Time
	Until  time.Time // Now + the longest access-token lifetime; for Token its own expiry
	Event  Event
}

// Stable codes of why a grant ended, beside those that the packages above name.
const (
	EndedRevoked  = "revoked"
	EndedSession  = "session_ended"
	EndedAccount  = "account_disabled"
	EndedConsent  = "consent_withdrawn"
	EndedPassword = "password_changed"
)

// EndCode is the stable code of the grants that end: Code, or what fits the
// target.
func (r Revocation) EndCode() string {
	switch {
	case r.Code != "":
		return r.Code
	case r.Update != nil && r.Update.Disabled:
		return EndedAccount
	case r.Update != nil:
		return EndedPassword
	case !r.Session.IsZero(), !r.Account.IsZero():
		return EndedSession
	case r.Consent != nil:
		return EndedConsent
	}
	return EndedRevoked
}

// Revoker ends things on behalf of the packages that own people and clients.
// The mint implements it: it fills in Now and Until, commits through
// RevocationStore, and returns once this node itself refuses what ended.
type Revoker interface {
	Revoke(ctx context.Context, r Revocation) error
}
