package authority

import (
	"context"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// Page asks for at most Limit rows (default 100, at most 1000) that sort after
// the key After, in ascending key order (events: newest first, older than After).
type Page struct {
	After string
	Limit int
}

// AccountStore keeps people. Logins are unique.
type AccountStore interface {
	CreateAccount(ctx context.Context, a Account, e Event) error // ErrConflict: login taken
	Account(ctx context.Context, id secret.ID) (Account, error)  // ErrNotFound
	AccountByLogin(ctx context.Context, login string) (Account, error)
	Accounts(ctx context.Context, p Page) ([]Account, error) // by login
	// UpdateAccount writes a if its Version is still a.Version, and raises it;
	// otherwise ErrConflict. It must not be used to disable an account or to
	// change a password: those end sessions, so they go through Revoke.
	UpdateAccount(ctx context.Context, a Account, e Event) error
	// ChangeClaims is UpdateAccount for what tokens say about the account. In the
	// same commit it marks each live grant of the account as stale, with a log entry
	// of KindGrantStale (kept until keep) whose data is {"ver": the new Version}.
	ChangeClaims(ctx context.Context, a Account, keep time.Time, e Event) error
}

// ClientStore keeps clients and resources.
type ClientStore interface {
	CreateClient(ctx context.Context, c Client, e Event) error // ErrConflict: id taken
	Client(ctx context.Context, id string) (Client, error)     // ErrNotFound
	Clients(ctx context.Context, p Page) ([]Client, error)     // by id
	UpdateClient(ctx context.Context, c Client, e Event) error // compares and raises Version: ErrConflict

	PutResource(ctx context.Context, r Resource, e Event) error          // creates or replaces, by Audience
	Resource(ctx context.Context, audience string) (Resource, error)     // ErrNotFound
	ResourceOf(ctx context.Context, clientID string) ([]Resource, error) // those whose ClientID it is
	Resources(ctx context.Context) ([]Resource, error)                   // by audience
	DeleteResource(ctx context.Context, audience string, e Event) error  // ErrNotFound
}

// SessionStore keeps sign-ins. Sessions end only through Revoke.
type SessionStore interface {
	// CreateSession stores s. When it replaces a session (sign-in again in the
	// same browser), that one's grants move to s and its row goes, in the same
	// commit, so that its id and cookie are dead but no app is signed out.
	CreateSession(ctx context.Context, s Session, replaces secret.ID, e Event) error
	Session(ctx context.Context, id secret.ID) (Session, error) // ErrNotFound; ended ones are found until swept
	// TouchSession moves LastSeen, IdleUntil and Last of a live session; a
	// session that ended meanwhile is left alone and ErrEnded returned.
	TouchSession(ctx context.Context, s Session) error
	// MoveSession is TouchSession for a use from elsewhere: it writes the event in
	// the same commit, and only if Last is still was. ErrConflict: it is not.
	MoveSession(ctx context.Context, s Session, was Context, e Event) error
	Sessions(ctx context.Context, account secret.ID, p Page) ([]Session, error) // zero account: all; by id
}

// Issue registers one access token under a live grant.
type Issue struct {
	Token        Token
	IfGeneration *uint32 // if set, the grant's generation must still be this
	Now          time.Time
	Touch        *GrantTouch // if set, written to the grant with the token
}

// GrantTouch is what a use of a grant changes besides its generation. LastUsed
// becomes the time of the use.
type GrantTouch struct {
	IdleUntil        time.Time
	Last             Context
	Replays          int
	ReplayGeneration uint32
	Event            *Event // written in the same commit, if there is one
}

// Redemption turns a code into a grant with its first token.
type Redemption struct {
	Code  secret.ID
	Grant Grant
	Token Token
	Now   time.Time
	Event Event
	// The client is told when the code's session ends (LogoutStore).
	TellLogout bool
}

// Rotation moves a grant from one refresh generation to the next and registers
// the access token that goes with it. RotatedAt and LastUsed become Now, and
// Stale is cleared.
type Rotation struct {
	Grant      secret.ID
	From       uint32
	RefreshKey string // key of generation From+1
	Token      Token
	Now        time.Time
	IdleUntil  time.Time
	Last       Context
	Steps      []time.Time // as Grant.Steps will be

	KeyThumbprint string // as Grant.KeyThumbprint will be
	Event         *Event // written in the same commit, if there is one
}

// GrantStore keeps consents, codes and grants.
//
// A refresh and a revocation of the same grant are serialised: once Revoke has
// answered, no Issue, Redeem or Rotate for that grant succeeds.
type GrantStore interface {
	Consent(ctx context.Context, account secret.ID, client string) (Consent, error) // ErrNotFound
	Consents(ctx context.Context, account secret.ID) ([]Consent, error)
	// CreateCode stores c; a non-nil consent is stored (replacing the pair's
	// row) in the same commit. ErrEnded: the session is not live at c.CreatedAt.
	CreateCode(ctx context.Context, c Code, consent *Consent, e *Event) error
	Code(ctx context.Context, id secret.ID) (Code, error) // ErrNotFound; used and expired ones are found until swept

	// Redeem marks the code used by r.Grant, stores the grant, registers the
	// token and writes the event. Of any number of concurrent calls for one code
	// one succeeds, the others get ErrUsed. ErrNotFound: unknown or expired at
	// r.Now. ErrEnded: the code's session is no longer live, or its account is disabled.
	Redeem(ctx context.Context, r Redemption) error
	// OpenStanding stores g unless the client has a live standing grant (type
	// client_credentials), and returns the one that is live afterwards.
	OpenStanding(ctx context.Context, g Grant, e Event) (Grant, error)
	Grant(ctx context.Context, id secret.ID) (Grant, error) // ErrNotFound; ended ones are found until swept
	// Rotate compares the generation with r.From and raises it by one. ErrConflict:
	// the generation is another. ErrEnded: the grant is not live at r.Now.
	Rotate(ctx context.Context, r Rotation) error
	// Issue registers a token. ErrEnded: the grant is not live at i.Now.
	// ErrConflict: IfGeneration does not hold.
	Issue(ctx context.Context, i Issue) error
	// Grants lists live grants by id; zero account and empty client mean any.
	Grants(ctx context.Context, account secret.ID, client string, p Page) ([]Grant, error)
}

// MintStore keeps what clients mint for others.
type MintStore interface {
	// IssueBatch stores grants, tokens and events and remembers the batch, all
	// or nothing. ErrConflict: the client's key is taken by a batch that has not
	// expired. ErrUsed: b.Request is not an approved request that has not
	// expired. ErrEnded: the client was changed or disabled, an account is
	// disabled or gone, or a session or grant is not live at b.Now.
	IssueBatch(ctx context.Context, b MintBatch) error
	MintAnswer(ctx context.Context, client, key string, now time.Time) (MintAnswer, error) // ErrNotFound

	CreateMintRequest(ctx context.Context, r MintRequest, e Event) error
	MintRequest(ctx context.Context, id secret.ID) (MintRequest, error) // ErrNotFound; expired ones are found until swept
	// MintRequests lists the requests that are pending and have not expired, by id.
	MintRequests(ctx context.Context, now time.Time, p Page) ([]MintRequest, error)
	// DecideMintRequest moves a pending request to state. ErrUsed: it was decided
	// before. ErrEnded: it has expired. ErrNotFound.
	DecideMintRequest(ctx context.Context, id secret.ID, state MintState, by string, now time.Time, e Event) error
}

// Registry answers whether the authority made a token and whether it lives.
type Registry interface {
	// Tokens returns the states of the ids that are registered, in any order.
	// Unknown ids are left out.
	Tokens(ctx context.Context, ids []secret.ID) (map[secret.ID]TokenState, error)
	// Consume takes one use off each named token and returns, in order, nil for
	// a use that was counted, or why it was not: ErrUsed when none is left,
	// ErrNotFound when no live row has this id and digest at now, ErrEnded when
	// the grant has ended, ErrConflict when the token is not counted. A request
	// that was counted before is counted no second time, and answered with nil
	// as long as the token lives. Of N uses at most N calls ever succeed,
	// however many run at once. The second result is a failure to find out:
	// some, all or none of the uses may then have been counted.
	Consume(ctx context.Context, uses []Use, now time.Time) ([]error, error)
}

// RevocationStore ends things and keeps the log of what ended.
type RevocationStore interface {
	// Revoke changes the records, appends the log and writes the event, in one
	// commit, and returns the entries it appended. What has ended already is
	// left alone: with nothing left to end (and nothing else to change) it
	// returns no entries, writes no event, and no error. ErrConflict: r.Update's version moved.
	Revoke(ctx context.Context, r Revocation) ([]LogEntry, error)
	// Log returns entries with Seq > after in order, at most limit.
	Log(ctx context.Context, after uint64, limit int) ([]LogEntry, error)
	// Head is the incarnation of the log (a random name of this life of it) and
	// the highest Seq, 0 when empty.
	Head(ctx context.Context) (incarnation string, seq uint64, err error)
	// Live returns every entry whose Until is after now, of policies the present
	// ones alone (see PolicyStore), by Seq, and the Seq up to which the answer is
	// complete, as one consistent read.
	Live(ctx context.Context, now time.Time) (entries []LogEntry, seq uint64, err error)
	// Revoked returns the log's entry for an id, or ErrNotFound.
	Revoked(ctx context.Context, k Kind, id secret.ID) (LogEntry, error)
	// Wait returns once the log holds an entry with Seq > after, or ctx is done.
	Wait(ctx context.Context, after uint64) error
}

// KeyStore keeps the sealed keys of all rings. Every change raises the version of
// its ring by one, so that of several nodes that decide on the same knowledge one
// wins and the others read again.
type KeyStore interface {
	// Keys returns all keys as of one moment, by ring, then oldest first.
	Keys(ctx context.Context) ([]Key, error)
	// CreateKeys stores keys as the first of their ring and slot. A key whose slot
	// has an active key already is refused with ErrConflict and none is stored: one
	// node wins.
	CreateKeys(ctx context.Context, keys []Key, e Event) error
	// StepKeys makes the step, appends its entries to the revocation log and
	// writes the event, all or nothing, and returns the entries. ErrConflict: the
	// ring's version is not s.Version (0: the ring has no keys), a moved key is
	// not in its From state, or a slot would have two active keys.
	StepKeys(ctx context.Context, s KeyStep) ([]LogEntry, error)
	// RefreshKeyInUse reports whether a grant that is live at now has a refresh
	// token that was made with the key.
	RefreshKeyInUse(ctx context.Context, key string, now time.Time) (bool, error)
}

// EventStore is the audit trail.
type EventStore interface {
	AppendEvent(ctx context.Context, e Event) error
	Events(ctx context.Context, f EventFilter, p Page) ([]Event, error) // newest first
}

// EventFilter narrows Events; empty members match anything.
type EventFilter struct {
	Type      EventType
	AccountID secret.ID
	ClientID  string
	Since     time.Time
}

// Swept says what one slice of upkeep removed.
type Swept struct {
	Tokens, Codes, Grants, Sessions, LogEntries, Events int
	Tickets                                             int
	Batches                                             int // answers and requests
	Marks                                               int
	Deliveries                                          int  // that were over
	Notes                                               int  // of nodes that are gone
	More                                                bool // another slice would find work
}

// Due is what upkeep has still to look at, of one kind.
type Due struct {
	Kind   string    // of rows
	Rows   int       // at most the limit that was asked for
	Oldest time.Time // when the first of them came due; zero when there is none
}

// Maintainer is what upkeep and readiness need of a store.
type Maintainer interface {
	// Sweep removes what expired before now, at most limit rows of each kind, and
	// events older than keepEvents. Ended grants and sessions are kept for a
	// day, so that a late replay is still recognised.
	Sweep(ctx context.Context, now time.Time, keepEvents time.Duration, limit int) (Swept, error)
	// Backlog counts, for every kind of row, what a Sweep would look at: at most
	// limit rows of each, along an index. It changes nothing.
	Backlog(ctx context.Context, now time.Time, keepEvents time.Duration, limit int) ([]Due, error)
	// Ready writes and reads back, the way serving does.
	Ready(ctx context.Context, now time.Time) error
	Close() error
}

// Store is everything one node needs of its database.
type Store interface {
	AccountStore
	ClientStore
	SessionStore
	ContextStore
	GrantStore
	MintStore
	Registry
	RevocationStore
	KeyStore
	SealStore
	PolicyStore
	TicketStore
	EventStore
	EventLog
	DeliveryStore
	WebhookStore
	LogoutStore
	NodeStore
	Maintainer
}
