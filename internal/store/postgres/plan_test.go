package postgres

import (
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/store/estimate"
)

// Every statement of every migration is one whose cost can be told.
func TestPlan_CostsAreKnown(t *testing.T) {
	list, err := Migrations(t.Context(), Config{URL: pgtest.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if len(m.Costs) == 0 || m.SQL == "" || strings.Contains(m.SQL, "--") {
			t.Errorf("%s: %d costs of %q", m.Name, len(m.Costs), m.SQL)
		}
		for _, cost := range m.Costs {
			if strings.Contains(cost, "not known") || strings.Contains(cost, "unknown") {
				t.Errorf("%s: %s", m.Name, cost)
			}
		}
	}
}

// What a statement locks is told as PostgreSQL does it: pg_locks says.
func TestPlan_Locks(t *testing.T) {
	s := openInner(t)
	ctx := t.Context()
	size := func(table string) string { return "SIZE of " + table }
	const (
		all     = "AccessExclusiveLock"
		writers = "ShareLock"
		rows    = "RowExclusiveLock"
	)
	for statement, want := range map[string]struct{ lock, says string }{
		`CREATE INDEX made ON grants (client_id, created_at)`:                                        {writers, "reads SIZE of grants while writers wait"},
		`ALTER TABLE grants ADD COLUMN made TEXT NOT NULL DEFAULT ''`:                                {all, "no row is written"},
		`ALTER TABLE grants ADD COLUMN made TEXT DEFAULT gen_random_uuid()::text`:                    {all, "rewrites SIZE of grants"},
		`ALTER TABLE grants ALTER COLUMN stale TYPE TEXT`:                                            {all, "rewrites SIZE of grants"},
		`ALTER TABLE grants ADD CONSTRAINT made CHECK (generation >= 0)`:                             {all, "reads SIZE of grants while everybody waits"},
		`ALTER TABLE grants ADD CONSTRAINT made CHECK (generation >= 0) NOT VALID`:                   {all, "at once"},
		`ALTER TABLE grants ALTER COLUMN ended_at SET NOT NULL`:                                      {all, "reads SIZE of grants while everybody waits"},
		`ALTER TABLE grants DROP COLUMN end_code`:                                                    {all, "no row is written"},
		`ALTER TABLE grants RENAME COLUMN end_code TO code`:                                          {all, "no row is written"},
		`UPDATE grants SET stale = FALSE`:                                                            {rows, "writes up to SIZE of grants"},
		`DELETE FROM grants`:                                                                         {rows, "writes up to SIZE of grants"},
		`INSERT INTO notes (topic, node, body, expires_at) SELECT '', id::text, salt, 0 FROM grants`: {"AccessShareLock", "reads SIZE of grants"},
		`DROP TABLE grants`: {all, "at once"},
	} {
		said := estimate.Costs(statement, forms, size)
		if len(said) != 1 || !strings.Contains(said[0], want.says) || (want.lock == all) != strings.Contains(said[0], "ACCESS EXCLUSIVE") {
			t.Errorf("%s\n  says %q, want %s with %q", statement, said, want.lock, want.says)
		}
		tx, err := s.pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var before, after int
		const rewritten = `SELECT pg_relation_filenode('grants')::bigint`
		_ = tx.QueryRow(ctx, rewritten).Scan(&before)
		if _, err := tx.Exec(ctx, statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
		var held bool
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
			WHERE l.pid = pg_backend_pid() AND c.relname = 'grants' AND l.mode = $1)`, want.lock).Scan(&held)
		if !strings.HasPrefix(statement, "DROP TABLE") { // it has no name any more
			if err != nil || !held {
				t.Errorf("%s: does not hold %s: %v", statement, want.lock, err)
			}
			_ = tx.QueryRow(ctx, rewritten).Scan(&after)
			if strings.Contains(said[0], "rewrites") != (before != after) {
				t.Errorf("%s: says %q, was rewritten: %v", statement, said[0], before != after)
			}
		}
		_ = tx.Rollback(ctx)
	}
}

// A size is about what is there, over all partitions.
func TestPlan_Sizes(t *testing.T) {
	url := pgtest.Database(t)
	if _, err := Migrate(t.Context(), Config{URL: url}); err != nil {
		t.Fatal(err)
	}
	db, err := openSchema(t.Context(), Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range []string{
		`INSERT INTO tokens SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), '', '', n FROM generate_series(1, 5000) n`, `ANALYZE tokens_other`,
	} {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	got := costs(t.Context(), db, `UPDATE tokens SET exp = 0; UPDATE absent SET x = 1`)
	if !strings.Contains(got[0], "about 5000 rows (") || strings.Contains(got[0], "(0.0 MB") || !strings.Contains(got[1], "about 0 rows") {
		t.Errorf("got %q", got)
	}
}
