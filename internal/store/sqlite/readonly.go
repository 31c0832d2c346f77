package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
	"github.com/jetonhq/jeton/internal/store/head"
)

var errReadOnly = errors.New("database was opened for reading only")

// What an operator asks for once reads whole tables, and so is not among the
// statements of serving.
const (
	countRows = `
SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM clients), (SELECT count(*) FROM resources),
       (SELECT count(*) FROM sessions WHERE ended_at IS NULL), (SELECT count(*) FROM grants WHERE ended_at IS NULL),
       (SELECT count(*) FROM tokens), (SELECT count(*) FROM revocations), (SELECT count(*) FROM events)`
	newestEvent = `SELECT id FROM events ORDER BY id DESC LIMIT 1`
	journalMode = `PRAGMA journal_mode`
)

// OpenReadOnly looks into a database whether or not a server has it open. Reads
// work as far as the schema has what they read; every write fails.
func OpenReadOnly(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	// Opened for writing and then kept from it: the last one to close a file cleans
	// up beside it, which somebody who may only read cannot do.
	db, err := sql.Open("sqlite", source(path, "rw", readPragmas))
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.Close())
	}
	s := &Store{path: path, log: slog.New(slog.DiscardHandler), reads: db, head: head.New(0), events: head.New(0), cache: newGrantCache()}
	s.close = sync.OnceValue(s.shutdown)
	return s, nil
}

// Contents is how much a database holds.
type Contents struct {
	Accounts    int       `json:"accounts"`
	Clients     int       `json:"clients"`
	Resources   int       `json:"resources"`
	Sessions    int       `json:"sessions"` // that were not ended
	Grants      int       `json:"grants"`   // that were not ended
	Tokens      int       `json:"tokens"`   // in the registry
	Revocations int       `json:"revocations"`
	Events      int       `json:"events"`
	Newest      time.Time `json:"newest_event,omitzero"` // zero: there is none
}

// Contents counts the rows of the tables that an operator thinks of.
func (s *Store) Contents(ctx context.Context) (Contents, error) {
	var c Contents
	row := s.reads.QueryRowContext(ctx, countRows)
	if err := row.Scan(&c.Accounts, &c.Clients, &c.Resources, &c.Sessions, &c.Grants, &c.Tokens, &c.Revocations, &c.Events); err != nil {
		return c, fmt.Errorf("count rows: %w", err)
	}
	var newest secret.ID
	switch err := s.reads.QueryRowContext(ctx, newestEvent).Scan((*columns.ID)(&newest)); {
	case err == nil:
		c.Newest = newest.Time()
	case !errors.Is(err, sql.ErrNoRows):
		return c, fmt.Errorf("newest event: %w", err)
	}
	return c, nil
}

// JournalMode is what the file says of itself: "wal" once a server has opened it.
func (s *Store) JournalMode(ctx context.Context) (string, error) {
	var mode string
	err := s.reads.QueryRowContext(ctx, journalMode).Scan(&mode)
	return mode, err
}
