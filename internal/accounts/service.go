package accounts

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/network"
	"github.com/jetonhq/jeton/internal/throttle"
)

// Errors of this package. Stores' sentinels (authority.ErrNotFound,
// authority.ErrConflict) pass through, wrapped.
var (
	// ErrCredentials refuses a sign-in. It is the same for an unknown login, a
	// wrong password, an account without a password and a disabled one.
	ErrCredentials = errors.New("login or password is wrong")
	// ErrNoSession says that a cookie stands for nobody.
	ErrNoSession = errors.New("no session")
	// ErrInvalid is wrapped together with everything that is wrong with the input.
	ErrInvalid = errors.New("invalid account")
)

// ThrottledError refuses an attempt that came too early, or while too many
// others wait: 429 with Retry-After.
type ThrottledError = throttle.Error

// Config is what a Service needs. Accounts, Sessions, Events and Revoker are required.
type Config struct {
	Accounts authority.AccountStore
	Sessions authority.SessionStore
	Events   authority.EventStore
	Revoker  authority.Revoker
	Apps     AppStore         // of what people allow apps; nil: nobody asks
	Logger   *slog.Logger     // default: discards
	Now      func() time.Time // default time.Now

	SessionIdle     time.Duration // a session unused this long ends; default 1 h
	SessionAbsolute time.Duration // a session ends this long after the sign-in; default 24 h

	// KeepStale is how long the revocation log tells that what tokens say about an
	// account has changed: as long as such a token can live. Default 1 h.
	KeepStale time.Duration

	// IP says what is done when a session's cookie comes from another network.
	// Default: it is recorded when the browser is another one too.
	IP authority.IPMode
	// Contexts remembers where accounts signed in from, for KnownFor (default 180
	// days) since the last time, as digests under NetworkKey. Without it nobody is
	// told of sign-ins from new places.
	Contexts   authority.ContextStore
	KnownFor   time.Duration
	NetworkKey network.Key

	Limits Limits
	// Attempts counts failures in place of a table of Limits.Entries. May be nil.
	Attempts    *throttle.Table
	MinPassword int // shortest new password in code points; default 15 (NIST SP 800-63B-4), at least 8

	// PasswordACR is the acr of a sign-in with a password; default urn:jeton:pwd.
	PasswordACR string

	HashConcurrency int // password hashes at once, 19 MiB each; default GOMAXPROCS
	HashQueue       int // attempts that may wait for one; default 64
}

// Limits slow password guessing down. Zero members mean the defaults.
type Limits struct {
	// AccountFailures of one login from one network cost nothing; default 10.
	// Somebody else's failures in another network do not count here, so nobody
	// can lock the owner out.
	AccountFailures int
	// AddressFailures from one network, over all logins, cost nothing; default 100.
	AddressFailures int
	// Ceiling is how many failures in a row one login may have over all networks
	// before its password works only from networks where the account has had a
	// session lately; default 100, which is also the most (NIST SP 800-63B-4).
	Ceiling int
	// Delay is the wait once failures cost something; default 1 s. Each further
	// failure doubles it, up to MaxDelay; default 15 min.
	Delay, MaxDelay time.Duration
	// Window is how long after the last failure (or wait) counting starts afresh; default 15 min.
	Window time.Duration
	// Entries is how many keys are remembered; default 65,536 (4 MB).
	Entries int
}

// Service owns accounts and sessions. It is safe for concurrent use.
type Service struct {
	cfg      Config
	hashes   *hasher
	attempts *throttle.Table
	samples  *throttle.Table
}

// maxCeiling is the most consecutive failures NIST SP 800-63B-4 allows.
const maxCeiling = 100

// New checks c and makes a Service.
func New(c Config) (*Service, error) {
	if c.Accounts == nil || c.Sessions == nil || c.Events == nil || c.Revoker == nil {
		return nil, errors.New("accounts: Accounts, Sessions, Events and Revoker are required")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.SessionIdle = cmp.Or(c.SessionIdle, time.Hour)
	c.SessionAbsolute = cmp.Or(c.SessionAbsolute, 24*time.Hour)
	c.IP = cmp.Or(c.IP, authority.IPFlag)
	c.KnownFor = cmp.Or(c.KnownFor, 180*24*time.Hour)
	c.KeepStale = cmp.Or(c.KeepStale, time.Hour)
	c.MinPassword = cmp.Or(c.MinPassword, 15)
	c.PasswordACR = cmp.Or(c.PasswordACR, "urn:jeton:pwd")
	l := &c.Limits
	l.AccountFailures = cmp.Or(l.AccountFailures, 10)
	l.AddressFailures = cmp.Or(l.AddressFailures, 100)
	l.Ceiling = cmp.Or(l.Ceiling, maxCeiling)
	l.Delay = cmp.Or(l.Delay, time.Second)
	l.MaxDelay = cmp.Or(l.MaxDelay, max(l.Delay, 15*time.Minute))
	l.Window = cmp.Or(l.Window, 15*time.Minute)
	switch {
	case c.SessionIdle < 0 || c.SessionAbsolute < 0 || c.HashConcurrency < 0 || c.HashQueue < 0 || l.Entries < 0:
		return nil, errors.New("accounts: a lifetime or limit is negative")
	case c.MinPassword < 8:
		return nil, fmt.Errorf("accounts: MinPassword is %d, want at least 8", c.MinPassword)
	case l.AccountFailures < 1 || l.AddressFailures < 1 || l.Delay < 0 || l.MaxDelay < l.Delay || l.Window < 0:
		return nil, errors.New("accounts: Limits do not make sense: failures are at least 1, MaxDelay is at least Delay")
	case l.Ceiling < 1 || l.Ceiling > maxCeiling:
		return nil, fmt.Errorf("accounts: Limits.Ceiling is %d, want 1 to %d", l.Ceiling, maxCeiling)
	}
	attempts := c.Attempts
	if attempts == nil {
		attempts = throttle.New(l.Entries)
	}
	return &Service{
		cfg:      c,
		hashes:   newHasher(c.HashConcurrency, c.HashQueue),
		attempts: attempts,
		samples:  throttle.New(1 << 13),
	}, nil
}

// NetworkOf is the part of an address that an authority.Context may hold: the
// /24 or /56 it is in, as text, or "" when addr is not an address.
func NetworkOf(addr netip.Addr) string { return throttle.Network(addr) }
