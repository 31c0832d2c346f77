// Package redis keeps what is short-lived in Redis (7 or newer), beside another
// store that keeps the records: the rows of access tokens that are not counted, and
// tickets.
//
// The records decide. A row is written here before the commit that makes its token
// good, and whether a grant has ended or a token was revoked is asked there each
// time. So Redis may lose everything: tokens whose rows are gone are refused, and
// nothing that was refused before is accepted. What must not be forgotten in that
// direction, the tickets that say "used", notice a loss themselves: see birth.go.
//
// Every token and every bucket of tickets has a hash tag of its own, so that a
// cluster spreads them, and no command touches two slots.
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/traces"
)

// DefaultPrefix begins every key.
const DefaultPrefix = "jeton:"

// How long things may take before they are given up.
const (
	patience     = 2 * time.Second // for a call
	dialPatience = time.Second
	startTries   = 10 * time.Second
	rediscover   = 5 * time.Second // how often Sentinels are asked for the primary, and the cluster for its slots
)

// Config says where Redis is and how the store reports on itself.
type Config struct {
	// URL is redis:// (rediss:// for TLS), credentials, one or more host:port with
	// commas between them, and the number of a database. Several hosts are members of
	// a cluster, or the Sentinels of the primary that ?sentinel= names. ?ca= is a file
	// with the certificates that TLS trusts, in place of the system's.
	URL string
	// Password and SentinelPassword are used in place of those in the URL.
	Password, SentinelPassword secret.Value
	// Prefix begins every key; "" means DefaultPrefix.
	Prefix string
	// Replicas is how many replicas must have a ticket before it counts as made.
	Replicas int
	// Afterlife is how long what expired stays.
	Afterlife time.Duration
	// Logger gets what is odd; nil means nobody does.
	Logger *slog.Logger
	// OnCall, if set, is called after each exchange with Redis. It must be quick.
	OnCall func(call string, took time.Duration, err error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

var _ authority.Store = (*Store)(nil)

// Store implements authority.Store. What it does not do itself the records do.
type Store struct {
	authority.Records
	cfg    Config
	client rueidis.Client
	close  func() error
}

// ErrEvicts says that Redis would drop what it was told to keep.
var ErrEvicts = errors.New("maxmemory-policy has to be noeviction")

// Open connects. The store closes the records when it is closed; when Open fails,
// they are the caller's.
func Open(ctx context.Context, c Config, records authority.Records) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open registry: %w", err)
		}
	}()
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	option, err := clientOption(c)
	if err != nil {
		return nil, err
	}
	s := &Store{Records: records, cfg: c}
	if s.client, err = rueidis.NewClient(option); err != nil {
		return nil, err
	}
	s.close = sync.OnceValue(func() error {
		err := s.Records.Close()
		s.client.Close()
		return err
	})
	ctx, cancel := context.WithTimeout(ctx, startTries)
	defer cancel()
	if err := s.fit(ctx); err != nil {
		s.client.Close()
		return nil, err
	}
	if _, err := s.births(ctx, c.Now()); err != nil {
		s.client.Close()
		return nil, err
	}
	return s, nil
}

func clientOption(c Config) (rueidis.ClientOption, error) {
	at, err := parseURL(c.URL)
	if err != nil {
		return rueidis.ClientOption{}, err
	}
	if !c.Password.Empty() {
		at.password = c.Password.Reveal()
	}
	o := rueidis.ClientOption{
		InitAddress: at.hosts, Username: at.user, Password: at.password, SelectDB: at.database, TLSConfig: at.tls,
		ClientName: "jeton", DisableCache: true,
		Dialer: net.Dialer{Timeout: dialPatience, KeepAlive: dialPatience}, ConnWriteTimeout: patience,
		RetryDelay:         retryDelay,
		PipelineMultiplex:  -1, // one connection to each server: what waits goes out together
		ReadBufferEachConn: 64 << 10, WriteBufferEachConn: 64 << 10,
	}
	if at.sentinel != "" {
		o.Sentinel = rueidis.SentinelOption{
			MasterSet: at.sentinel, Password: c.SentinelPassword.Reveal(), TLSConfig: at.tls, Dialer: o.Dialer, ClientName: "jeton",
			TopologyRefreshInterval: rediscover,
		}
	} else if len(at.hosts) > 1 {
		o.ClusterOption.ShardsRefreshInterval = rediscover
	}
	return o, nil
}

// retryDelay has what only reads tried once more: a connection that was idle may
// have been closed at the other end.
func retryDelay(attempts int, _ rueidis.Completed, _ error) time.Duration {
	if attempts > 1 {
		return -1
	}
	return 10 * time.Millisecond
}

// Close closes the records, and then the connections.
func (s *Store) Close() error { return s.close() }

// Ready implements authority.Maintainer. It writes and reads back here as well, and
// asks every server that has a bucket of tickets, which are spread over all.
func (s *Store) Ready(ctx context.Context, now time.Time) error {
	if err := s.Records.Ready(ctx, now); err != nil {
		return err
	}
	id := secret.NewID(now)
	row := authority.Token{ID: id, GrantID: id, Digest: [16]byte(id), ExpiresAt: now}
	if err := s.write(ctx, now, row); err != nil {
		return err
	}
	found, err := s.rows(ctx, []secret.ID{id})
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return errors.New("registry: what was written is not there")
	}
	s.remove(ctx, row)
	_, err = s.births(ctx, now)
	return err
}

// call makes an exchange with Redis. A context that is done before it is begun
// means that it never happens; after that it takes its bounded time. Whatever fails
// is ErrBusy: nothing that a caller sends is to blame.
func (s *Store) call(ctx context.Context, what string, do func(context.Context) error) (err error) {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("registry: %s: %w", what, err)
	}
	ctx, span := traces.Begin(ctx, "registry", what)
	defer func() { span.End(err) }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	began := time.Now()
	err = do(ctx)
	if s.cfg.OnCall != nil {
		s.cfg.OnCall(what, time.Since(began), err)
	}
	if err != nil {
		return fmt.Errorf("registry: %s: %w: %w", what, authority.ErrBusy, err)
	}
	return nil
}

// lives is how long Redis keeps what expires at a time. The caller's clock counts:
// it need not be that of Redis.
func (s *Store) lives(expires, now time.Time) time.Duration {
	return max(expires.Sub(now), 0) + max(s.cfg.Afterlife, time.Millisecond)
}
