package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/internal/storetest"
)

// frozen makes a database with a schema of testdata.
func frozen(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "frozen.db")
	change(t, path, string(text))
	return path
}

func change(t *testing.T, path, text string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(text); err != nil {
		t.Fatal(err)
	}
}

var comment = regexp.MustCompile(`--.*`)

// shape is the text of everything in the schema, without its layout.
func shape(t *testing.T, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var text string
	if err := db.QueryRow(`SELECT group_concat(sql, ';' || char(10)) FROM (SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name)`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(comment.ReplaceAllString(text, "")), " ")
}

// A database that an earlier program has made becomes, by migrations, what a new
// one is, and works. Whoever edits a migration that was applied somewhere sees it here.
func TestSchema_FrozenBecomesToday(t *testing.T) {
	path, fresh := frozen(t, "schema_0011.sql"), filepath.Join(t.TempDir(), "fresh.db")
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, ManualMigration: true}); !errors.Is(err, sqlite.ErrSchemaOlder) {
		t.Errorf("a store on an older schema: %v", err)
	}
	for _, p := range []string{path, fresh} {
		if _, err := sqlite.Migrate(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := shape(t, path), shape(t, fresh); got != want {
		t.Errorf("migrated:\n%s\nfresh:\n%s", got, want)
	}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, ManualMigration: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	storetest.Hot(t, s, s)
}

// TestSchema_NewerThatSaysSo: a newer schema is opened if its migration says that
// this program works with it, and only then.
func TestSchema_NewerThatSaysSo(t *testing.T) {
	list, err := sqlite.Migrations(t.Context(), filepath.Join(t.TempDir(), "none.db"))
	if err != nil {
		t.Fatal(err)
	}
	newest := list[len(list)-1].Version
	for since, want := range map[int64]error{newest: nil, newest + 1: sqlite.ErrSchemaNewer} {
		path := filepath.Join(t.TempDir(), "newer.db")
		if _, err := sqlite.Migrate(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		change(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, 1); INSERT INTO compatible (version, since) VALUES (9000, `+strconv.FormatInt(since, 10)+`)`)
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
		if !errors.Is(err, want) || (want == nil && err != nil) {
			t.Errorf("since %d: %v, want %v", since, err, want)
		}
		if err == nil {
			storetest.Hot(t, s, s)
			_ = s.Close()
		}
	}
}
