package authority

import (
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// Account is a person.
type Account struct {
	ID            secret.ID // the `sub` of tokens, never reassigned
	Login         string    // unique, compared after NormalizeLogin
	Name          string
	Email         string
	EmailVerified bool
	PasswordHash  string // PHC string, or "" when the account has no password
	Disabled      bool
	Version       int64 // raised by each update; UpdateAccount compares it
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Subject is the account's `sub`.
func (a Account) Subject() string { return a.ID.String() }

// Session is one sign-in in one browser or device.
type Session struct {
	ID        secret.ID
	AccountID secret.ID
	Digest    [32]byte // SHA-256 of the cookie's secret
	AuthTime  time.Time
	AMR       []string
	ACR       string
	CreatedAt time.Time
	LastSeen  time.Time
	IdleUntil time.Time // moves with LastSeen
	ExpiresAt time.Time // absolute
	First     Context
	Last      Context
	EndedAt   time.Time // zero while live
	EndReason string
}

// Live reports whether the session can still be used at now.
func (s Session) Live(now time.Time) bool {
	return s.EndedAt.IsZero() && now.Before(s.ExpiresAt) && now.Before(s.IdleUntil)
}

// Consent is what an account allows a client: one row per pair.
type Consent struct {
	AccountID secret.ID
	ClientID  string
	Scope     []string
	CreatedAt time.Time
	UpdatedAt time.Time
}
