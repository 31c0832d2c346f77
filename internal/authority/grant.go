package authority

import (
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// Grant is one lineage of tokens. It ends as a whole, once, and never lives
// again.
type Grant struct {
	ID        secret.ID
	Type      string // grant type that made it (oauth.AuthorizationCode, oauth.ClientCredentials, ...)
	ClientID  string
	AccountID secret.ID // zero for machines
	SessionID secret.ID // zero when the grant outlives sessions (offline_access) or has none
	Scope     []string  // as granted; a refresh may narrow one access token, never this
	Audience  []string
	AuthTime  time.Time // of the sign-in it came from; unchanged by refresh
	ACR       string
	AMR       []string
	Nonce     string // of the authorization request

	// KeyThumbprint is the DPoP key that its refresh tokens are bound to (RFC 9449
	// section 5), "" for none. The key of a confidential client is not in it.
	KeyThumbprint string

	// Refresh generations. HasRefresh is false for grants without a refresh token.
	HasRefresh bool
	Generation uint32
	Salt       [16]byte // random per grant, part of the refresh token's MAC
	RefreshKey string   // id of the `refresh` ring key that made the MAC of this generation
	Policy     RefreshPolicy
	RotatedAt  time.Time   // when Generation was reached
	Steps      []time.Time // policy tolerant only: when the last generations were reached, newest first, at most 16

	// Generations in a row in which the predecessor came again from another
	// context, and the last generation in which it did.
	Replays          int
	ReplayGeneration uint32

	Stale     bool // claims of the account changed since the last refresh
	First     Context
	Last      Context
	CreatedAt time.Time
	LastUsed  time.Time
	IdleUntil time.Time // moves with each refresh
	ExpiresAt time.Time // absolute
	EndedAt   time.Time // zero while live
	EndReason string
	EndCode   string // stable, for clients: see Revocation.Code
}

// Live reports whether tokens may be made under the grant at now.
func (g Grant) Live(now time.Time) bool {
	return g.EndedAt.IsZero() && now.Before(g.ExpiresAt) && now.Before(g.IdleUntil)
}

// Offline reports whether the grant of an account outlives its sessions.
func (g Grant) Offline() bool { return !g.AccountID.IsZero() && g.SessionID.IsZero() }

// Token is the registry row of an issued access token: what proves that the
// authority made it, and nothing that could be used as one.
type Token struct {
	ID        secret.ID // jti
	GrantID   secret.ID
	Digest    [16]byte // first half of the SHA-256 of the whole token
	ExpiresAt time.Time
	Uses      *int64 // uses left; nil when not counted
	Elsewhere bool   // the row is not kept with the records, see Records
}

// TokenState is a registry row together with what decides whether it is alive.
type TokenState struct {
	Token
	GrantEnded  bool
	GrantReason string
}

// Use is one use of a counted token. Request is made at random by the one who
// asks, and is the same when it asks again because no answer came.
type Use struct {
	Token   secret.ID
	Digest  [16]byte // of the whole token, as in its row
	Request [16]byte
}

// Code is an authorization code. It lives beside the grants, because redeeming
// it, creating the grant and registering the first token are one commit, and a
// replay must find the grant that the code made.
type Code struct {
	ID            secret.ID
	Digest        [32]byte // SHA-256 of the whole code
	ClientID      string
	AccountID     secret.ID
	SessionID     secret.ID
	RedirectURI   string
	Challenge     string // S256; "" when none was sent
	KeyThumbprint string // dpop_jkt: the DPoP key whose owner alone may redeem it; "" for any
	Scope         []string
	Audience      []string
	Nonce         string
	AuthTime      time.Time
	ACR           string
	AMR           []string
	Context       Context
	CreatedAt     time.Time
	ExpiresAt     time.Time
	GrantID       secret.ID // set once it was redeemed
}
