// Package sqlite keeps the authority's records in one SQLite file: for one
// node, in production too.
//
// The file is in WAL mode with synchronous=FULL: what was answered is on disk.
// One goroutine writes, on a connection of its own, and commits together what
// queued up while it committed before (see writer.go). Reads go to a pool of
// read-only connections and see every commit that was answered before they
// began. Upkeep (sweep.go) removes what expired in bounded slices.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // registers the driver

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/head"
	"github.com/jetonhq/jeton/internal/traces"
)

// DefaultMaxQueue is how many writes may wait if Config says nothing.
const DefaultMaxQueue = 4096

const sqlCheckpoint = `PRAGMA wal_checkpoint(TRUNCATE)`

// ErrLocked is returned by Open when another process (or another Store in this
// one) has the database open.
var ErrLocked = errors.New("database is in use by another process")

// Config says where the database is and how the store reports on itself.
type Config struct {
	// Path of the database file. It is created with mode 0600, its directory
	// with 0700. Beside it live Path-wal, Path-shm and Path.lock.
	Path string
	// ManualMigration refuses to open a database whose schema is older than this
	// program's, with ErrSchemaOlder, instead of bringing it up to date.
	ManualMigration bool
	// BeforeMigration, if set, is asked before the schema of a database that is in use
	// is brought up to date, with its data keys. Its error keeps everything as it is.
	BeforeMigration func(ctx context.Context, keys []authority.DataKey) error
	// MaxQueue is how many writes may wait before ErrBusy is returned; 0 means
	// DefaultMaxQueue.
	MaxQueue int
	// Logger gets what happens at start and stop; nil means nobody does.
	Logger *slog.Logger
	// OnCommit, if set, is called by the writer after each commit with the
	// number of calls in it and how long it took. It must be quick.
	OnCommit func(ops int, took time.Duration)
}

// Store implements authority.Store.
type Store struct {
	path   string
	log    *slog.Logger
	guard  *sql.DB // holds the lock file
	writes *sql.DB
	reads  *sql.DB
	stmts  sync.Map // statement text -> *sql.Stmt on reads
	writer *writer
	head   *head.Head
	events *head.Head
	walk   tokenWalk
	cache  *grantCache
	close  func() error
}

var _ authority.Records = (*Store)(nil)

// Open opens or creates the database, brings its schema up to date and starts
// the writer. ErrLocked: another process has it open. ErrSchemaNewer: a newer
// program has used it. transfer.ErrUnfinished, ErrRetired: see there.
func Open(ctx context.Context, c Config) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open database %s: %w", c.Path, err)
		}
	}()
	path, err := create(c.Path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, log: c.Logger, cache: newGrantCache()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.walk.shortest.Store(math.MaxInt64)
	s.close = sync.OnceValue(s.shutdown)
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	if s.guard, err = lock(ctx, path+".lock"); err != nil {
		return nil, err
	}
	if err := removeAbandoned(path); err != nil {
		return nil, err
	}
	// Readers must find the WAL, so the writer comes first.
	if s.writes, err = openWriter(path); err != nil {
		return nil, err
	}
	if err := prepareSchema(ctx, s.writes, c); err != nil {
		return nil, err
	}
	mark, err := readMark(ctx, s.writes)
	if err == nil {
		err = mark.Refusal()
	}
	if err != nil {
		return nil, err
	}
	conn, err := s.writes.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if s.reads, err = sql.Open("sqlite", source(path, "ro", readPragmas)); err != nil {
		return nil, err
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	s.reads.SetMaxOpenConns(readers)
	s.reads.SetMaxIdleConns(readers)
	_, seq, err := s.Head(ctx)
	if err != nil {
		return nil, err
	}
	s.head = head.New(seq)
	last, err := s.lastEvent(ctx)
	if err != nil {
		return nil, err
	}
	s.events = head.New(last)
	queue := c.MaxQueue
	if queue <= 0 {
		queue = DefaultMaxQueue
	}
	s.writer = newWriter(conn, &s.walk, s.cache, queue, c.OnCommit, s.head.Advance, s.events.Advance)
	go s.writer.loop()
	s.log.InfoContext(ctx, "database open", slog.String("path", path), slog.Uint64("log_seq", seq))
	return s, nil
}

// Close answers the writes that wait, ends every Wait, and closes the file.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutdown() error {
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.close())
		s.head.Close()
		s.events.Close()
	}
	if s.reads != nil {
		errs = append(errs, s.reads.Close())
	}
	if s.writes != nil {
		// With the readers gone the log can be folded into the file, so that a
		// copy of the file alone is complete.
		_, err := s.writes.ExecContext(context.Background(), sqlCheckpoint)
		errs = append(errs, err, s.writes.Close())
	}
	if s.guard != nil {
		errs = append(errs, s.guard.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}

// create makes the file and its directory with private modes and returns the
// path with links resolved, so that one database has one lock.
func create(path string) (string, error) {
	if path == "" {
		return "", errors.New("no path configured")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // #nosec G304 -- the operator's choice
	if err != nil {
		return "", err
	}
	if err := file.Close(); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// lock holds an exclusive SQLite lock on an empty file of its own for as long
// as the returned database is open. The operating system releases it when the
// process dies, however it dies.
func lock(ctx context.Context, path string) (*sql.DB, error) {
	if err := os.WriteFile(path, nil, 0o600); err != nil { // #nosec G703 -- beside the database
		return nil, err
	}
	db, err := sql.Open("sqlite", source(path, "rw", []string{"journal_mode(memory)", "busy_timeout(0)"}))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	db.SetConnMaxLifetime(0)
	if _, err := db.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		_ = db.Close()
		if strings.Contains(err.Error(), "SQLITE_BUSY") {
			err = ErrLocked
		}
		return nil, err
	}
	return db, nil
}

// openWriter opens the one connection that writes.
func openWriter(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", source(path, "rw", writePragmas))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

var writePragmas = []string{
	"busy_timeout(5000)",
	"journal_mode(wal)",
	"synchronous(full)",
	"journal_size_limit(67108864)",
	"wal_autocheckpoint(4000)", // pages: 16 MB
	"cache_size(-32768)",       // KiB
	"temp_store(memory)",
}

var readPragmas = []string{
	"busy_timeout(5000)",
	"query_only(1)",
	"cache_size(-8192)",
	"temp_store(memory)",
}

// source is the driver's name for a database. The path is escaped: a question
// mark in it is a character of the file's name.
func source(path, mode string, pragmas []string) string {
	query := url.Values{"mode": {mode}, "_dqs": {"0"}, "_pragma": pragmas}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: query.Encode()}).String()
}

// write hands run to the writer. Errors say what was being done.
func (s *Store) write(ctx context.Context, what string, run func(*tx) error) error {
	if s.writer == nil {
		return fmt.Errorf("%s: %w", what, errReadOnly)
	}
	ctx, span := traces.Begin(ctx, "store", what)
	err := s.writer.do(ctx, run)
	if span.End(err); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
