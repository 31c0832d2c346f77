package postgres

import (
	"errors"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/secret"
)

func TestMigrations(t *testing.T) {
	c := Config{URL: pgtest.Database(t), ManualMigration: true}
	ctx := t.Context()
	if _, err := Open(ctx, c); !errors.Is(err, ErrSchemaOlder) {
		t.Fatalf("open an empty database: %v", err)
	}
	list, err := Migrations(ctx, c)
	if err != nil || len(list) == 0 || !list[0].AppliedAt.IsZero() {
		t.Fatalf("migrations of an empty database: %v, %v", list, err)
	}
	if list, err = Migrate(ctx, c); err != nil || len(list) == 0 {
		t.Fatalf("migrate: %v, %v", list, err)
	}
	if list, err = Migrate(ctx, c); err != nil || len(list) != 0 {
		t.Fatalf("migrate again: %v, %v", list, err)
	}
	s, err := Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(ctx, c); !errors.Is(err, ErrSchemaNewer) {
		t.Errorf("open the database of a newer program: %v", err)
	}
}

// A refused connection says where it was refused, and never the password.
func TestOpen_ShowsNoPassword(t *testing.T) {
	const word = "correct-horse"
	for name, c := range map[string]Config{
		"in the URL":    {URL: "postgres://jeton:" + word + "@127.0.0.1:1/jeton"},
		"beside it":     {URL: "postgres://jeton@127.0.0.1:1/jeton", Password: secret.New(word)},
		"in no URL":     {URL: "postgres://jeton:" + word + "@127.0.0.1:port/jeton"},
		"odd character": {URL: "postgres://jeton:" + word + "%zz@127.0.0.1:1/jeton"},
	} {
		_, err := Open(t.Context(), c)
		if err == nil {
			t.Fatalf("%s: opened nothing", name)
		}
		if strings.Contains(err.Error(), word) {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
}
