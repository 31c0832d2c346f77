package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/jetonhq/jeton/internal/store/estimate"

	"github.com/jetonhq/jeton/internal/authority"
)

//go:embed migrations/*.sql
var migrations embed.FS

// minVersion is the oldest PostgreSQL that the statements are written for.
const minVersion = 150000

// Errors of Open about the schema.
var (
	// ErrSchemaOlder: migrations are missing, and Config.ManualMigration leaves them
	// to somebody.
	ErrSchemaOlder = errors.New("its schema is older than this program's: run `jeton migrate plan` and then `jeton migrate up`")
	// ErrSchemaNewer: a newer program has changed the schema, and did not say that
	// this one works with it.
	ErrSchemaNewer = errors.New("its schema is newer than this program's: use the program that it was used with")
)

const (
	sqlServerVersion = `SELECT current_setting('server_version_num')::int, pg_is_in_recovery()`
	sqlHasSchema     = `SELECT to_regclass('goose_db_version') IS NOT NULL`
	appliedSteps     = `SELECT version_id, tstamp FROM goose_db_version WHERE version_id > 0 AND is_applied`
	sqlHasCompatible = `SELECT to_regclass('compatible') IS NOT NULL`
	sqlCompatible    = `SELECT EXISTS (SELECT 1 FROM compatible WHERE version = $1 AND since <= $2)`
)

// Migration is one step of the schema.
type Migration struct {
	Version   int64
	Name      string    // its file, "0001_init.sql"
	AppliedAt time.Time // zero: it is still to be applied
	SQL       string    // what it does, without comments
	// Costs says for each statement what it locks and touches; only of one that is
	// to be applied.
	Costs []string
}

// Migrations lists every migration of the database, applied or not. It changes
// nothing.
func Migrations(ctx context.Context, c Config) ([]Migration, error) {
	db, err := openSchema(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	list, err := inspectSchema(ctx, db)
	for i := range list {
		if list[i].AppliedAt.IsZero() {
			list[i].Costs = costs(ctx, db, list[i].SQL)
		}
	}
	return list, err
}

// Migrate applies what is missing, and returns that. Each migration is one
// transaction: if one fails, those before it stay.
func Migrate(ctx context.Context, c Config) ([]Migration, error) {
	db, err := openSchema(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	list, err := inspectSchema(ctx, db)
	if err != nil {
		return nil, err
	}
	return pending(list), migrate(ctx, db)
}

func openSchema(ctx context.Context, c Config) (*sql.DB, error) {
	settings, err := poolConfig(c)
	if err != nil {
		return nil, err
	}
	return connectSchema(ctx, settings.ConnConfig)
}

// connectSchema connects for work on the schema, whose statements may take long.
func connectSchema(ctx context.Context, conn *pgx.ConnConfig) (*sql.DB, error) {
	patient := conn.Copy()
	patient.RuntimeParams["statement_timeout"] = "0"
	db := stdlib.OpenDB(*patient)
	var version int
	var standby bool
	err := db.QueryRowContext(ctx, sqlServerVersion).Scan(&version, &standby)
	switch {
	case err != nil:
	case version < minVersion:
		err = fmt.Errorf("the server's version is %d.%d, and 15 is the oldest that works", version/10000, version%10000)
	case standby:
		err = errors.New("the server is a standby, which takes no writes")
	default:
		return db, nil
	}
	return nil, errors.Join(err, db.Close())
}

// prepareSchema brings the schema up to date, or refuses what it must not touch.
// Then it asks whether the database may be opened at all.
func prepareSchema(ctx context.Context, config *pgx.ConnConfig, c Config, may func(context.Context, *pgx.Conn) error) error {
	db, err := connectSchema(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := upToDate(ctx, db, c); err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return conn.Raw(func(driver any) error { return may(ctx, driver.(*stdlib.Conn).Conn()) })
}

func upToDate(ctx context.Context, db *sql.DB, c Config) error {
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

// presentDataKeys are those of a database with an older schema: the table is as it
// was in the first.
func presentDataKeys(ctx context.Context, db *sql.DB) (list []authority.DataKey, err error) {
	rows, err := db.QueryContext(ctx, sqlDataKeys)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		k, err := scanDataKey(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return list, rows.Err()
}

// mayServe refuses a database that is being copied, or that is an unfinished copy, or
// that was left for a copy.
func mayServe(ctx context.Context, conn *pgx.Conn) error {
	if err := join(ctx, conn); err != nil {
		return err
	}
	mark, err := readMark(ctx, conn)
	if err != nil {
		return err
	}
	return mark.Refusal()
}

// errCopied: `jeton store` has the database for itself.
var errCopied = errors.New("it is being copied, or renewed: wait until `jeton store` is done")

// join makes a connection count as a node's, unless somebody has the database alone.
func join(ctx context.Context, conn *pgx.Conn) error {
	var joined bool
	err := conn.QueryRow(ctx, sqlTryShare, nodesLock).Scan(&joined)
	if err == nil && !joined {
		err = errCopied
	}
	return err
}

// migrate applies what is missing. Of several nodes that start at once one does
// it, and the others wait.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// inspectSchema lists what was applied and what would be.
func inspectSchema(ctx context.Context, db *sql.DB) ([]Migration, error) {
	list, err := known()
	if err != nil {
		return nil, err
	}
	var there bool
	if err := db.QueryRowContext(ctx, sqlHasSchema).Scan(&there); err != nil || !there {
		return list, err
	}
	rows, err := db.QueryContext(ctx, appliedSteps)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var unknown []int64
	for rows.Next() {
		var version int64
		var at time.Time
		if err := rows.Scan(&version, &at); err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(list, func(m Migration) bool { return m.Version == version }); i >= 0 {
			list[i].AppliedAt = at
		} else {
			unknown = append(unknown, version)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return list, compatible(ctx, db, unknown, list[len(list)-1].Version)
}

// compatible returns ErrSchemaNewer unless each of the migrations, which a newer
// program has made, says that one with the migrations up to newest works with it.
func compatible(ctx context.Context, db *sql.DB, made []int64, newest int64) error {
	if len(made) == 0 {
		return nil
	}
	var told bool
	if err := db.QueryRowContext(ctx, sqlHasCompatible).Scan(&told); err != nil {
		return err
	}
	for _, version := range made {
		works := false
		if told {
			if err := db.QueryRowContext(ctx, sqlCompatible, version, newest).Scan(&works); err != nil {
				return err
			}
		}
		if !works {
			return fmt.Errorf("migration %d was applied to it: %w", version, ErrSchemaNewer)
		}
	}
	return nil
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

func pending(list []Migration) (todo []Migration) {
	for _, m := range list {
		if m.AppliedAt.IsZero() {
			todo = append(todo, m)
		}
	}
	return todo
}
