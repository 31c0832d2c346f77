package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/network"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/seen"
	"github.com/jetonhq/jeton/internal/throttle"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

// Store is what the mint needs of the database.
type Store interface {
	authority.GrantStore
	authority.MintStore
	authority.Registry
	authority.RevocationStore
	authority.EventStore
	Session(ctx context.Context, id secret.ID) (authority.Session, error)
	Account(ctx context.Context, id secret.ID) (authority.Account, error)
	Resources(ctx context.Context) ([]authority.Resource, error)
}

// View is this node's own copy of what is dead.
type View interface {
	Revoked(jti, gid, sid revocation.ID) revocation.Verdict
	KeyRevoked(kid string) bool
	Epoch() uint64
	Stale(max time.Duration) bool
}

// Applied waits until the node's view holds the log up to seq.
type Applied interface {
	Applied(ctx context.Context, seq uint64) error
}

// Config holds the mint's parts and its lifetimes.
type Config struct {
	Issuer string
	Store  Store
	Keys   *keys.Rings
	View   View
	Log    Applied
	Now    func() time.Time
	Logger *slog.Logger

	AccessLifetime  time.Duration // default 5 min
	AccessJitter    float64       // each lifetime varies by up to this share, so that a fleet does not refresh at once
	MaxLifetime     time.Duration // no access token lives longer; default 1 h. Log entries are kept this long
	IDLifetime      time.Duration // default 5 min
	RefreshIdle     time.Duration // default 14 days
	RefreshAbsolute time.Duration // default 90 days; at most 24 h for public browser clients
	NetworkKey      network.Key   // of the claim net, see authority.ContextStore

	StrictWindow   time.Duration // policy strict: how long the predecessor works; default 10 s
	TolerantWindow time.Duration // policy tolerant: how long older ones work; default 60 s
}

// Service is the mint. It is safe for concurrent use.
type Service struct {
	cfg      Config
	access   *jwt.Verifier
	expired  *jwt.Verifier // of access tokens, but for exp: to tell their owner why
	hints    *jwt.Verifier
	shared   atomic.Pointer[sharedRings] // nil: to be read
	standing standing
	forged   forgedLimit
	changes  changes
	seen     *seen.Cache[*jwt.Token] // access tokens that were found alive
}

// browserAbsolute bounds refresh tokens of public browser clients (RFC 10017,
// SPECS REF-4).
const browserAbsolute = 24 * time.Hour

// maxStaleness is how long the view may go without word from the log before
// nothing is answered from memory.
const maxStaleness = 2 * time.Second

// Bounds of the tokens remembered for introspection. An entry occupies about
// 2 kB with the claims that belong to it, of which the cache counts the token.
const (
	seenEntries = 100_000
	seenBytes   = 128 << 20
)

// standingLifetime is how long a machine's grant stands before it is replaced.
const standingLifetime = 10 * 365 * 24 * time.Hour

// New checks cfg and returns a mint.
func New(cfg Config) (*Service, error) {
	setDefault(&cfg.AccessLifetime, 5*time.Minute)
	setDefault(&cfg.MaxLifetime, time.Hour)
	setDefault(&cfg.IDLifetime, 5*time.Minute)
	setDefault(&cfg.RefreshIdle, 14*24*time.Hour)
	setDefault(&cfg.RefreshAbsolute, 90*24*time.Hour)
	setDefault(&cfg.StrictWindow, 10*time.Second)
	setDefault(&cfg.TolerantWindow, time.Minute)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.AccessJitter < 0 || cfg.AccessJitter > 0.5 {
		return nil, errors.New("tokens: access jitter must be between 0 and 0.5")
	}
	if cfg.AccessLifetime > cfg.MaxLifetime {
		return nil, errors.New("tokens: access lifetime is longer than the longest allowed")
	}
	s := &Service{cfg: cfg, seen: seen.New[*jwt.Token](seen.Config{Entries: seenEntries, Bytes: seenBytes})}
	s.changes.table = throttle.New(changeKeys)
	s.standing.byClient = make(map[string]secret.ID)
	var err error
	s.access, err = jwt.NewVerifier(jwt.Config{
		Profile: jwt.AccessToken, Issuer: cfg.Issuer, InsecureNoAudience: true,
		Algorithms: accessAlgorithms(), Keys: cfg.Keys.AccessSource(), Now: cfg.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("tokens: access verifier: %w", err)
	}
	s.expired, err = jwt.NewVerifier(jwt.Config{
		Profile: jwt.AccessToken, Issuer: cfg.Issuer, InsecureNoAudience: true, InsecureAllowExpired: true,
		Algorithms: accessAlgorithms(), Keys: cfg.Keys.AccessSource(), Now: cfg.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("tokens: verifier of expired access tokens: %w", err)
	}
	s.hints, err = jwt.NewVerifier(jwt.Config{
		Profile: jwt.IDToken, Issuer: cfg.Issuer, InsecureNoAudience: true, InsecureAllowExpired: true,
		Algorithms: []jwk.Algorithm{jwk.RS256, jwk.ES256, jwk.Ed25519, jwk.ES384, jwk.PS256},
		Keys:       cfg.Keys.Record(authority.RingID), Now: cfg.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("tokens: hint verifier: %w", err)
	}
	return s, nil
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d == 0 {
		*d = to
	}
}

// standing remembers each machine client's grant, so that issuing to one reads
// nothing from the store. A grant that ended is noticed by the store's refusal.
type standing struct {
	mu       sync.Mutex
	byClient map[string]secret.ID // guarded by mu
}

func (s *standing) get(client string) (secret.ID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.byClient[client]
	return id, ok
}

func (s *standing) put(client string, id secret.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byClient[client] = id
}

func (s *standing) drop(client string, id secret.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byClient[client] == id {
		delete(s.byClient, client)
	}
}
