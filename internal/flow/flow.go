package flow

import (
	"context"
	"errors"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/tokens"
)

// Clients is what a Flow asks about registered clients; clients.Service answers.
type Clients interface {
	// Lookup returns authority.ErrNotFound for an unknown client.
	Lookup(ctx context.Context, id string) (authority.Client, error)
	// AudienceOf is the `aud` of access tokens for the client.
	AudienceOf(c authority.Client) string
}

// Hints reads the ID tokens that requests carry as hints; tokens.Service does.
type Hints interface {
	// IDTokenHint verifies that token is an ID token signed by us. Expiry does
	// not matter.
	IDTokenHint(ctx context.Context, token string) (tokens.Hint, error)
}

// Store keeps what a finished request leaves behind.
type Store interface {
	Consent(ctx context.Context, account secret.ID, client string) (authority.Consent, error)
	CreateCode(ctx context.Context, c authority.Code, consent *authority.Consent, e *authority.Event) error
}

// Config is what a Flow needs. All but the last three are required.
type Config struct {
	Issuer  string
	Clients Clients
	Store   Store
	Hints   Hints
	// Key is the member of the flow ring that signs now, KeyByID any that may
	// still verify.
	Key     func() (id string, key []byte)
	KeyByID func(id string) (key []byte, ok bool)

	ACRValues    []string         // that a sign-in can reach; empty: sign-ins have none
	CodeLifetime time.Duration    // 0 means 60 s; more than 10 min is refused
	Now          func() time.Time // nil means time.Now
}

// Flow decides. It is safe for concurrent use.
type Flow struct {
	cfg Config
}

// maxCodeLifetime is the bound of OAuth 2.1 section 4.1.2.
const maxCodeLifetime = 10 * time.Minute

// New checks cfg.
func New(cfg Config) (*Flow, error) {
	switch {
	case cfg.Issuer == "":
		return nil, errors.New("flow: no issuer")
	case cfg.Clients == nil || cfg.Store == nil || cfg.Hints == nil:
		return nil, errors.New("flow: Clients, Store and Hints are required")
	case cfg.Key == nil || cfg.KeyByID == nil:
		return nil, errors.New("flow: no signing key")
	case cfg.CodeLifetime < 0 || cfg.CodeLifetime > maxCodeLifetime:
		return nil, errors.New("flow: code lifetime must be at most 10 minutes")
	}
	if cfg.CodeLifetime == 0 {
		cfg.CodeLifetime = time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Flow{cfg}, nil
}

// Browser is who is asking: the session its cookie named, if any, and what it
// has done for this request so far.
type Browser struct {
	Session authority.Session // zero when nobody is signed in
	Account authority.Account
	State   State
	Context authority.Context
}

// SignedIn reports whether the browser has a session.
func (b Browser) SignedIn() bool { return !b.Session.ID.IsZero() }
