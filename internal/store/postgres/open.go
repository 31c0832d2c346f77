// Package postgres keeps the authority's records in PostgreSQL (15 or newer), for
// any number of nodes.
//
// Every node writes. Most calls are a transaction of their own at the isolation
// level serializable (tx.go): they read what decides and write what follows as if
// they were alone, and are run again when they were not. The calls that every
// token needs are gathered (group.go) and written together by statements that
// take whole sets, which lock the rows that decide, in one order.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/head"
)

// Defaults of Config.
const (
	DefaultMaxConns = 10
	DefaultMaxQueue = 4096
)

// How long things may take at the server before it gives them up.
const (
	statementTimeout = 10 * time.Second
	idleInTxTimeout  = 10 * time.Second
	connectTimeout   = 5 * time.Second
)

// Config says where the database is and how the store reports on itself.
type Config struct {
	// URL of the database, as libpq takes it: several hosts, of which the one that
	// takes writes is used, sslmode and the other parameters included.
	URL string
	// Password, if set, is used in place of one in the URL.
	Password secret.Value
	// MaxConns bounds the connections of this node; 0 means DefaultMaxConns, the
	// least is 2.
	MaxConns int
	// ManualMigration refuses to open a database whose schema is older than this
	// program's, with ErrSchemaOlder, instead of bringing it up to date.
	ManualMigration bool
	// BeforeMigration, if set, is asked before the schema of a database that is in use
	// is brought up to date, with its data keys. Its error keeps everything as it is.
	BeforeMigration func(ctx context.Context, keys []authority.DataKey) error
	// MaxQueue is how many writes of a kind may wait before ErrBusy is returned; 0
	// means DefaultMaxQueue.
	MaxQueue int
	// Logger gets what happens at start and stop, and what is tried again; nil
	// means nobody does.
	Logger *slog.Logger
	// OnCommit, if set, is called after each commit of gathered calls with the
	// number of calls in it and how long it took. It must be quick.
	OnCommit func(ops int, took time.Duration)
	// Now is the time by which partitions are made and dropped; nil means time.Now.
	Now func() time.Time
	// ServerNow is the time of the database, by which nothing is removed that has not
	// expired, whatever the clock of a node says; nil means that the database is asked.
	ServerNow func() time.Time
}

var _ authority.Records = (*Store)(nil)

// Store implements authority.Store.
type Store struct {
	pool     *pgxpool.Pool
	log      *slog.Logger
	onCommit func(ops int, took time.Duration)

	registrations *group[registration]
	consumptions  *group[[]use]
	accounts      lookups[secret.ID, authority.Account]
	grants        lookups[secret.ID, authority.Grant]
	lives         lookups[secret.ID, authority.Grant] // what decides about those that have not ended
	standing      lookups[string, authority.Grant]    // by client
	tokens        lookups[secret.ID, authority.TokenState]
	vouched       lookups[held, vouched]

	head      *head.Head    // of the revocation log
	events    *head.Head    // of the event log; at least one ahead while events wait for their number
	appending chan struct{} // holds one token while a call of this node adds to the log

	now   func() time.Time
	clock func() time.Time        // of the database; nil: ask it
	alive map[time.Time]time.Time // when the last token of an hour expires; of lookAfter alone

	closing context.Context // done once Close was called
	work    sync.WaitGroup
	close   func() error
}

// Open connects, brings the schema up to date under a lock, and starts the
// background work.
func Open(ctx context.Context, c Config) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open database: %w", err)
		}
	}()
	settings, err := poolConfig(c)
	if err != nil {
		return nil, err
	}
	if err := prepareSchema(ctx, settings.ConnConfig, c, mayServe); err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, err
	}
	closing, halt := context.WithCancel(context.Background())
	s := &Store{pool: pool, log: c.Logger, closing: closing, head: head.New(0), events: head.New(0), appending: make(chan struct{}, 1), onCommit: c.OnCommit,
		now: c.Now, clock: c.ServerNow, alive: make(map[time.Time]time.Time)}
	if s.now == nil {
		s.now = time.Now
	}
	s.registrations = &group[registration]{
		store: s, what: "register token", max: orDefault(c.MaxQueue, DefaultMaxQueue), batch: maxBatch, limit: maxFlights, crowd: crowd, write: s.register,
	}
	s.consumptions = &group[[]use]{
		store: s, what: "consume", max: orDefault(c.MaxQueue, DefaultMaxQueue), batch: maxBatch, limit: maxFlights, crowd: crowd, write: s.consume,
	}
	s.accounts = newLookups(s, "account", sqlAccountsByID, byteListAny, scanAccount, func(a authority.Account) secret.ID { return a.ID })
	s.grants = newLookups(s, "grant", sqlGrantsByID, byteListAny, scanGrant, func(g authority.Grant) secret.ID { return g.ID })
	s.lives = newLookups(s, "grant", sqlLives, byteListAny, scanLife, func(g authority.Grant) secret.ID { return g.ID })
	s.standing = newLookups(s, "standing grant", sqlStandings, func(ids []string) any { return ids }, scanGrant, func(g authority.Grant) string { return g.ClientID })
	s.tokens = newLookups(s, "tokens", sqlTokenStates, byteListAny, scanToken, func(v authority.TokenState) secret.ID { return v.ID })
	s.vouched = newLookups(s, "tokens kept elsewhere", sqlVouch, heldList, scanVouched, func(v vouched) held { return v.held })
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.close = sync.OnceValue(func() error {
		s.registrations.close()
		s.consumptions.close()
		s.accounts.close()
		s.grants.close()
		s.lives.close()
		s.standing.close()
		s.tokens.close()
		s.vouched.close()
		halt()
		s.head.Close()
		s.events.Close()
		s.work.Wait()
		pool.Close()
		return nil
	})
	s.work.Go(s.listen)
	s.lookOnce()
	s.work.Go(s.lookAfter)
	return s, nil
}

// Close answers the writes that wait, ends every Wait, and closes the connections.
func (s *Store) Close() error { return s.close() }

// poolConfig reads the URL. Its errors do not show it: it may hold a password.
func poolConfig(c Config) (*pgxpool.Config, error) {
	settings, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, errors.New("the URL is not one of PostgreSQL")
	}
	settings.MaxConns = int32(max(2, orDefault(c.MaxConns, DefaultMaxConns))) // #nosec G115 -- small
	conn := settings.ConnConfig
	if !c.Password.Empty() {
		conn.Password = c.Password.Reveal()
	}
	conn.ConnectTimeout = connectTimeout
	if len(conn.Fallbacks) > 0 && conn.ValidateConnect == nil {
		// Of several hosts the one that takes writes: after a failover it is another.
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	for name, value := range map[string]string{
		"application_name": "jeton",
		"timezone":         "UTC",
		// Every statement has an index. A table that is read as a whole because it is
		// small is also locked as a whole by what is serializable, and all are in the
		// way of all.
		"enable_seqscan": "off",
		// No statement of ours is long enough to be worth compiling, and with what is
		// off above the planner takes a table of one row for an expensive one.
		"jit": "off",
		// The plan that the tests have seen is the one that runs. A join follows an index:
		// with a generic plan there is no list that is long enough for another way.
		"enable_hashjoin":                     "off",
		"enable_mergejoin":                    "off",
		"plan_cache_mode":                     "force_generic_plan",
		"statement_timeout":                   millisText(statementTimeout),
		"idle_in_transaction_session_timeout": millisText(idleInTxTimeout),
	} {
		if _, set := conn.RuntimeParams[name]; !set {
			conn.RuntimeParams[name] = value
		}
	}
	return settings, nil
}

func millisText(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

func orDefault(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}
