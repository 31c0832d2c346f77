package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/columns"
	"github.com/jetonhq/jeton/internal/store/estimate"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Errors of Open about the schema.
var (
	// ErrSchemaOlder: migrations are missing, and Config.ManualMigration leaves them
	// to somebody.
	ErrSchemaOlder = errors.New("its schema is older than this program's: run `jeton migrate plan` and then `jeton migrate up`")
	// ErrSchemaNewer: a newer program has changed the schema, and did not say that
	// this one works with it. Whether it could cannot be known, so it is not tried.
	ErrSchemaNewer = errors.New("its schema is newer than this program's: use the program that it was used with, or restore a backup from before")
)

const (
	hasSchema         = `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'goose_db_version'`
	appliedMigrations = `SELECT version_id, tstamp FROM goose_db_version WHERE version_id > 0 AND is_applied`
	hasDataKeys       = `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'data_keys'`
	hasCompatible     = `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'compatible'`
	sqlCompatible     = `SELECT count(*) FROM compatible WHERE version = ?1 AND since <= ?2`
)

// Migration is one step of the schema.
type Migration struct {
	Version   int64
	Name      string    // its file, "0007_seal.sql"
	AppliedAt time.Time // zero: it is still to be applied
	SQL       string    // what it does, without comments
	// Costs says for each statement what it touches; only of one that is to be
	// applied.
	Costs []string
}

// known lists the migrations that are built in, oldest first.
func known() ([]Migration, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	list := make([]Migration, 0, len(files)) // Glob sorts
	for _, file := range files {
		text, err := migrations.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(file, "migrations/")
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s has no number: %w", name, err)
		}
		list = append(list, Migration{Version: version, Name: name, SQL: estimate.Statements(string(text))})
	}
	return list, nil
}

// inspectSchema lists what was applied to db and what would be. ErrSchemaNewer: db
// has a migration that is not built in and does not say that this program works
// with it.
func inspectSchema(ctx context.Context, db *sql.DB) ([]Migration, error) {
	list, err := known()
	if err != nil {
		return nil, err
	}
	var tables int
	if err := db.QueryRowContext(ctx, hasSchema).Scan(&tables); err != nil {
		return nil, err
	}
	if tables > 0 {
		if err := markApplied(ctx, db, list); err != nil {
			return nil, err
		}
	}
	for i := range list {
		if list[i].AppliedAt.IsZero() {
			list[i].Costs = costs(ctx, db, list[i].SQL)
		}
	}
	return list, nil
}

func markApplied(ctx context.Context, db *sql.DB, list []Migration) error {
	rows, err := db.QueryContext(ctx, appliedMigrations)
	if err != nil {
		return err
	}
	applied, err := collect(rows, func(r columns.Row) (Migration, error) {
		var m Migration
		err := r.Scan(&m.Version, &m.AppliedAt)
		return m, err
	})
	if err != nil {
		return err
	}
	var unknown []int64
	for _, a := range applied {
		if i := slices.IndexFunc(list, func(m Migration) bool { return m.Version == a.Version }); i >= 0 {
			list[i].AppliedAt = a.AppliedAt
		} else {
			unknown = append(unknown, a.Version)
		}
	}
	return compatible(ctx, db, unknown, list[len(list)-1].Version)
}

// compatible returns ErrSchemaNewer unless each of the migrations, which a newer
// program has made, says that one with the migrations up to newest works with it.
func compatible(ctx context.Context, db *sql.DB, made []int64, newest int64) error {
	if len(made) == 0 {
		return nil
	}
	var told int
	if err := db.QueryRowContext(ctx, hasCompatible).Scan(&told); err != nil {
		return err
	}
	for _, version := range made {
		works := 0
		if told > 0 {
			if err := db.QueryRowContext(ctx, sqlCompatible, version, newest).Scan(&works); err != nil {
				return err
			}
		}
		if works == 0 {
			return fmt.Errorf("migration %d was applied to it: %w", version, ErrSchemaNewer)
		}
	}
	return nil
}

func pending(list []Migration) (todo []Migration) {
	for _, m := range list {
		if m.AppliedAt.IsZero() {
			todo = append(todo, m)
		}
	}
	return todo
}

// forms are the statements that migrations are made of.
var forms = []estimate.Form{
	{Pattern: regexp.MustCompile(`(?i)^CREATE TABLE (\w+)`), Cost: "a new table {table}: at once"},
	{Pattern: regexp.MustCompile(`(?i)^ALTER TABLE (\w+) ADD`), Cost: "a new column of {table}: at once, no row of {size} is written"},
	{Pattern: regexp.MustCompile(`(?i)^CREATE (?:UNIQUE )?INDEX \w+ ON (\w+)`), Cost: "a new index of {table}: reads {size}"},
	{Pattern: regexp.MustCompile(`(?i)^UPDATE (\w+)`), Cost: "an update of {table}: writes up to {size}"},
	{Pattern: regexp.MustCompile(`(?i)^DELETE FROM (\w+)`), Cost: "a removal from {table}: writes up to {size}"},
	{Pattern: regexp.MustCompile(`(?i)^INSERT INTO (?s:.*)\bFROM (\w+)`), Cost: "a copy from {table}: reads {size}"},
	{Pattern: regexp.MustCompile(`(?i)^INSERT INTO (\w+)`), Cost: "new rows of {table}: at once"},
	{Pattern: regexp.MustCompile(`(?i)^DROP (?:INDEX|TABLE) (\w+)`), Cost: "{table} is dropped: at once"},
}

// costs says of each statement what it touches. The whole database is locked
// meanwhile: SQLite has no smaller lock, and no server runs.
func costs(ctx context.Context, db *sql.DB, text string) []string {
	return estimate.Costs(text, forms, func(table string) string { return rowsOf(ctx, db, table) })
}

// rowsOf counts a table. One that a migration before this one makes has no rows.
func rowsOf(ctx context.Context, db *sql.DB, table string) string {
	var n int64
	if db.QueryRowContext(ctx, `SELECT count(*) FROM "`+table+`"`).Scan(&n) != nil { // #nosec G202 -- a name of our own migrations
		n = 0
	}
	return fmt.Sprintf("%d rows", n)
}

// prepareSchema brings the schema up to date, or refuses what it must not touch.
func prepareSchema(ctx context.Context, db *sql.DB, c Config) error {
	list, err := inspectSchema(ctx, db)
	if err != nil {
		return err
	}
	todo := pending(list)
	switch {
	case len(todo) == 0:
		return nil
	case c.ManualMigration:
		return fmt.Errorf("%d of %d migrations are missing: %w", len(todo), len(list), ErrSchemaOlder)
	case c.BeforeMigration != nil && len(todo) < len(list):
		present, err := presentDataKeys(ctx, db)
		if err != nil {
			return err
		}
		if err := c.BeforeMigration(ctx, present); err != nil {
			return err
		}
	}
	return migrate(ctx, db)
}

// presentDataKeys are those of a database with any schema.
func presentDataKeys(ctx context.Context, db *sql.DB) ([]authority.DataKey, error) {
	var tables int
	if err := db.QueryRowContext(ctx, hasDataKeys).Scan(&tables); err != nil || tables == 0 {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, sqlDataKeys)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanDataKey)
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// Migrations lists every migration of the database, applied or not.
func (s *Store) Migrations(ctx context.Context) ([]Migration, error) {
	list, err := inspectSchema(ctx, s.reads)
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	return list, nil
}

// Migrations lists every migration of the database at path, which may be in use,
// or may not be there.
func Migrations(ctx context.Context, path string) (_ []Migration, err error) {
	s, err := OpenReadOnly(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return known()
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Migrations(ctx)
}

// Migrate applies what is missing to the database at path, which is made if it
// is not there, and returns what it has applied. Each migration is one
// transaction: if one fails, those before it stay. ErrLocked: a server has the
// database open.
func Migrate(ctx context.Context, path string) (_ []Migration, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("migrate database %s: %w", path, err)
		}
	}()
	if path, err = create(path); err != nil {
		return nil, err
	}
	guard, err := lock(ctx, path+".lock")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, guard.Close()) }()
	db, err := openWriter(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	list, err := inspectSchema(ctx, db)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	return pending(list), nil
}
