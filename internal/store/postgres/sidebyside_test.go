package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/store/postgres"
	"github.com/jetonhq/jeton/internal/storetest"
)

// frozen makes a database with a schema of testdata.
func frozen(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	url := pgtest.Database(t)
	run(t, url, string(text))
	return url
}

func run(t *testing.T, url, text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.PgConn().Exec(t.Context(), text).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// shape is everything about the schema that a program could notice: columns,
// indexes and constraints.
func shape(t *testing.T, url string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), `
SELECT concat_ws(' ', 'column', table_name, column_name, data_type, is_nullable, column_default, collation_name, identity_generation) AS line
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT concat_ws(' ', c.relname, array_to_string(c.reloptions, ','), pg_get_constraintdef(x.oid))
FROM pg_class c LEFT JOIN pg_constraint x ON x.conrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace
ORDER BY line`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// A database that an earlier program has made becomes, by migrations, what a new
// one is. Whoever edits a migration that was applied somewhere sees it here.
func TestSchema_FrozenBecomesToday(t *testing.T) {
	url, fresh := frozen(t, "schema_0001.sql"), pgtest.Database(t)
	if _, err := postgres.Open(t.Context(), postgres.Config{URL: url, ManualMigration: true}); !errors.Is(err, postgres.ErrSchemaOlder) {
		t.Errorf("a store on an older schema: %v", err)
	}
	for _, u := range []string{url, fresh} {
		if _, err := postgres.Migrate(t.Context(), postgres.Config{URL: u}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := shape(t, url), shape(t, fresh); got != want {
		t.Errorf("migrated:\n%s\nfresh:\n%s", got, want)
	}
}

// openOlder opens a store on a schema that has the first migration alone. The calls
// of this program stand in for those of an earlier one: what it proves is that a
// migration takes nothing away from calls that do not need it.
func openOlder(t *testing.T, url string) *postgres.Store {
	t.Helper()
	all, err := postgres.Migrations(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	for _, m := range all[1:] {
		missing = append(missing, strconv.FormatInt(m.Version, 10))
	}
	run(t, url, `INSERT INTO goose_db_version (version_id, is_applied) VALUES ((`+strings.Join(missing, "), TRUE), ((")+`), TRUE)`)
	// Every start reads it; an earlier program's does not.
	run(t, url, `CREATE TABLE transfer (id BIGINT, state TEXT, copy TEXT, peer TEXT, at BIGINT)`)
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url, ManualMigration: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	run(t, url, `DROP TABLE transfer`)
	run(t, url, `DELETE FROM goose_db_version WHERE version_id IN (`+strings.Join(missing, ", ")+`)`)
	return s
}

// TestSchema_OlderProcessServes: a process that has the database open, with its
// statements prepared and its connections in use, goes on while another migrates
// the schema, and beside that one afterwards.
func TestSchema_OlderProcessServes(t *testing.T) {
	url := frozen(t, "schema_0001.sql")
	old := openOlder(t, url)
	storetest.Hot(t, old, old)
	migrated := make(chan error)
	go func() {
		_, err := postgres.Migrate(context.WithoutCancel(t.Context()), postgres.Config{URL: url})
		migrated <- err
	}()
	rounds := 0
	for done := false; !done; rounds++ {
		storetest.Hot(t, old, old)
		select {
		case err := <-migrated:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		default:
		}
	}
	t.Logf("the older process went through its calls %d times while the schema was migrated", rounds)
	today, err := postgres.Open(t.Context(), postgres.Config{URL: url, ManualMigration: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = today.Close() })
	for _, pair := range [][2]authority.Store{{old, today}, {today, old}, {old, old}} {
		storetest.Hot(t, pair[0], pair[1])
	}
}

// TestSchema_NewerThatSaysSo: a newer schema is opened if its migration says that
// this program works with it, and only then.
func TestSchema_NewerThatSaysSo(t *testing.T) {
	list, err := postgres.Migrations(t.Context(), postgres.Config{URL: pgtest.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	newest := list[len(list)-1].Version
	for since, want := range map[int64]error{newest: nil, newest + 1: postgres.ErrSchemaNewer} {
		url := pgtest.Database(t)
		if _, err := postgres.Migrate(t.Context(), postgres.Config{URL: url}); err != nil {
			t.Fatal(err)
		}
		run(t, url, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`)
		pool, err := pgxpool.New(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		_, err = pool.Exec(t.Context(), `INSERT INTO compatible (version, since) VALUES (9999, $1)`, since)
		pool.Close()
		if err != nil {
			t.Fatal(err)
		}
		s, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		if !errors.Is(err, want) || (want == nil && err != nil) {
			t.Errorf("since %d: %v, want %v", since, err, want)
		}
		if err == nil {
			if err := s.Ready(t.Context(), time.Now()); err != nil {
				t.Error(err)
			}
			_ = s.Close()
		}
	}
}
