package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// before makes a database that misses the last migrations.
func before(t *testing.T, missing int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite", source(path, "rwc", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := known()
	if err != nil {
		t.Fatal(err)
	}
	run := func(text string, args ...any) {
		t.Helper()
		if _, err := db.Exec(text, args...); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))`)
	run(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)`)
	for _, m := range list[:len(list)-missing] {
		run(m.SQL)
		run(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (?1, 1)`, m.Version)
	}
	return path
}

func TestSchema_ManualWaitsForMigrate(t *testing.T) {
	path := before(t, 2)
	if _, err := Open(t.Context(), Config{Path: path, ManualMigration: true}); !errors.Is(err, ErrSchemaOlder) || !strings.Contains(err.Error(), "jeton migrate up") {
		t.Fatalf("got %v, want a refusal that names the command", err)
	}
	plan, err := Migrations(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	todo := pending(plan)
	if len(todo) != 2 || todo[1].Name != plan[len(plan)-1].Name || todo[0].SQL == "" || len(todo[0].Costs) == 0 {
		t.Fatalf("plan: %+v", todo)
	}
	done, err := Migrate(t.Context(), path)
	if err != nil || len(done) != 2 {
		t.Fatalf("applied %d, %v", len(done), err)
	}
	if again, err := Migrate(t.Context(), path); err != nil || len(again) != 0 {
		t.Errorf("the second time applied %d, %v", len(again), err)
	}
	s, err := Open(t.Context(), Config{Path: path, ManualMigration: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := Migrate(t.Context(), path); !errors.Is(err, ErrLocked) {
		t.Errorf("while it is open: %v", err)
	}
	list, err := Migrations(t.Context(), path) // works beside a server
	if err != nil || len(pending(list)) != 0 || list[0].AppliedAt.IsZero() {
		t.Errorf("status: %+v, %v", list, err)
	}
}

func TestSchema_NewerIsRefused(t *testing.T) {
	path := before(t, 0)
	db, err := sql.Open("sqlite", source(path, "rw", nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"open":    func() error { _, err := Open(t.Context(), Config{Path: path}); return err },
		"migrate": func() error { _, err := Migrate(t.Context(), path); return err },
		"list":    func() error { _, err := Migrations(t.Context(), path); return err },
	} {
		if err := try(); !errors.Is(err, ErrSchemaNewer) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Every statement of every migration is one whose cost can be told.
func TestSchema_CostsAreKnown(t *testing.T) {
	list, err := Migrations(t.Context(), filepath.Join(t.TempDir(), "none.db"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", source(before(t, len(list)), "rw", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, m := range list {
		for _, cost := range costs(t.Context(), db, m.SQL) {
			if strings.Contains(cost, "not known") {
				t.Errorf("%s: %s", m.Name, cost)
			}
		}
	}
}

// What a process that was killed over a copy has left goes at the next start.
func TestCopy_AbandonedIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jeton [a]*.db")
	left := path + copySuffix + "123"
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "copy.db"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	c, err := s.Copy(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Content.Close(); err != nil {
		t.Error(err)
	}
	if found, err := filepath.Glob(escapeGlob(path) + copySuffix + "*"); err != nil || len(found) > 0 {
		t.Errorf("a closed copy left %v, %v", found, err)
	}
}
