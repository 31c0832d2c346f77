package clients

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/throttle"
)

// ErrInvalid is wrapped together with everything that is wrong with a
// registration. Stores' sentinels (authority.ErrNotFound,
// authority.ErrConflict) pass through, wrapped.
var ErrInvalid = errors.New("invalid registration")

// ThrottledError refuses an authentication that came too early after failed
// ones: 429 with Retry-After.
type ThrottledError = throttle.Error

// Config is what a Service needs. Store and Revoker are required.
type Config struct {
	Store   authority.ClientStore
	Revoker authority.Revoker
	Events  authority.EventStore // is told when secrets are guessed; may be nil
	Now     func() time.Time     // default time.Now

	DefaultAudience   string          // `aud` of clients that name none; required only to answer AudienceOf
	MaxAccessLifetime time.Duration   // longest access lifetime a client may register; default 24 h
	IDTokenAlgorithms func() []string // that a client may be registered for now; default RS256, ES256, Ed25519
	CacheFor          time.Duration   // how old a record read for an answer may be; default 1 s, negative: no cache

	// NewRing makes a ring of shared secrets unless there is one of this name.
	// Default: there are none.
	NewRing func(ctx context.Context, ring string, actor authority.Actor, reason string) error
	// Changed is called after each change of a client or resource here. May be nil.
	Changed func()

	Limits Limits
	// Attempts counts failures in place of a table of Limits.Entries. May be nil.
	Attempts *throttle.Table
}

// Limits slow the guessing of client secrets down (SPECS GEN-11). Zero members mean the defaults.
type Limits struct {
	ClientFailures  int           // of one client id from one network cost nothing; default 20
	AddressFailures int           // from one network, over all client ids; default 200
	Delay, MaxDelay time.Duration // the wait after that, doubled by each further failure; default 1 s up to 1 min
	Window          time.Duration // counting starts afresh this long after the last failure; default 5 min
	Entries         int           // keys remembered; default 65,536 (4 MB)
}

// Service owns clients and resources. It is safe for concurrent use.
type Service struct {
	cfg       Config
	attempts  *throttle.Table
	alarms    *throttle.Table // events about guessing, in a window
	clients   *cache[authority.Client]
	resources *cache[[]authority.Resource]
	nobody    authority.Client // stands in for a client that does not exist
}

// New checks c and makes a Service.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Revoker == nil {
		return nil, errors.New("clients: Store and Revoker are required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.IDTokenAlgorithms == nil {
		c.IDTokenAlgorithms = func() []string { return []string{"RS256", "ES256", "Ed25519"} }
	}
	if c.NewRing == nil {
		c.NewRing = func(context.Context, string, authority.Actor, string) error {
			return invalid(errors.New("ring: shared secrets are not offered here"))
		}
	}
	c.MaxAccessLifetime = cmp.Or(c.MaxAccessLifetime, 24*time.Hour)
	c.CacheFor = cmp.Or(c.CacheFor, time.Second)
	l := &c.Limits
	l.ClientFailures = cmp.Or(l.ClientFailures, 20)
	l.AddressFailures = cmp.Or(l.AddressFailures, 200)
	l.Delay = cmp.Or(l.Delay, time.Second)
	l.MaxDelay = cmp.Or(l.MaxDelay, max(l.Delay, time.Minute))
	l.Window = cmp.Or(l.Window, 5*time.Minute)
	if l.ClientFailures < 1 || l.AddressFailures < 1 || l.Delay < 0 || l.MaxDelay < l.Delay || l.Window < 0 || l.Entries < 0 || c.MaxAccessLifetime < 0 {
		return nil, errors.New("clients: Limits do not make sense: failures are at least 1, MaxDelay is at least Delay, nothing is negative")
	}
	attempts := c.Attempts
	if attempts == nil {
		attempts = throttle.New(l.Entries)
	}
	return &Service{
		cfg:       c,
		attempts:  attempts,
		alarms:    throttle.New(1 << 12),
		clients:   newCache[authority.Client](c.CacheFor),
		resources: newCache[[]authority.Resource](c.CacheFor),
		nobody:    authority.Client{Secrets: []authority.ClientSecret{{Digest: [32]byte(secret.Bytes(32))}}},
	}, nil
}

// Lookup returns a client, as it was at most CacheFor ago, or
// authority.ErrNotFound. What this Service changed itself is seen at once. The
// record is shared: do not change what its slices hold.
func (s *Service) Lookup(ctx context.Context, id string) (authority.Client, error) {
	return s.clients.get(s.cfg.Now(), id, func() (authority.Client, error) {
		c, err := s.cfg.Store.Client(ctx, id)
		if err != nil {
			return authority.Client{}, fmt.Errorf("look up a client: %w", err)
		}
		return c, nil
	})
}

// ResourceOf returns the resources that talk to the authority as the client, as
// they were at most CacheFor ago.
func (s *Service) ResourceOf(ctx context.Context, clientID string) ([]authority.Resource, error) {
	return s.resources.get(s.cfg.Now(), clientID, func() ([]authority.Resource, error) {
		r, err := s.cfg.Store.ResourceOf(ctx, clientID)
		if err != nil {
			return nil, fmt.Errorf("look up a client's resources: %w", err)
		}
		return r, nil
	})
}

// AudienceOf is the `aud` of access tokens for the client.
func (s *Service) AudienceOf(c authority.Client) string {
	return cmp.Or(c.Audience, s.cfg.DefaultAudience)
}

// Visible reports whether client c may see the state of a token (RFC 7662
// section 4): its own, and, when it is a resource's identity, those made for
// that resource. resources are those of c, see ResourceOf.
func Visible(c authority.Client, resources []authority.Resource, tokenAudience []string, tokenClient string) bool {
	if c.ID == "" {
		return false
	}
	if c.ID == tokenClient {
		return true
	}
	for _, r := range resources {
		for _, audience := range tokenAudience {
			if r.ClientID == c.ID && r.Audience == audience {
				return true
			}
		}
	}
	return false
}
