package server_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/server"
)

// TestUpgrade_MasterKeyFirst: a server that does not have the master key of a
// database leaves its schema alone. With the key it brings the schema up to date,
// and seals what earlier programs kept in clear.
func TestUpgrade_MasterKeyFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "old.db")
	for _, test := range []struct {
		name, driver, source, url, schema string
		insert                            string
	}{
		{"sqlite", "sqlite", "file:" + file, "sqlite:" + file, "sqlite/testdata/schema_0011.sql", `INSERT INTO data_keys VALUES (?1, ?2, ?3, 0, 0)`},
		{"postgres", "pgx", "", "", "postgres/testdata/schema_0001.sql", `INSERT INTO data_keys VALUES ($1, $2, $3, 0, 0)`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.driver == "pgx" {
				test.url = pgtest.Database(t)
				test.source = test.url
			}
			schema, err := os.ReadFile(filepath.Join("..", "store", test.schema))
			must(t, err)
			db, err := sql.Open(test.driver, test.source)
			must(t, err)
			t.Cleanup(func() { _ = db.Close() })
			_, err = db.ExecContext(t.Context(), string(schema))
			must(t, err)
			cfg := config.Default()
			cfg.Issuer, cfg.Store.URL, cfg.SealingKey = "http://localhost", test.url, sealing()
			masters, err := cfg.Masters()
			must(t, err)
			key := secret.NewDataKey(secret.NewID(time.Now()))
			wrapped, err := masters[0].Wrap(t.Context(), key)
			must(t, err)
			_, err = db.ExecContext(t.Context(), test.insert, key.ID[:], wrapped.Master, wrapped.Key)
			must(t, err)
			var clear []byte
			must(t, db.QueryRowContext(t.Context(), `SELECT network_key FROM meta`).Scan(&clear))
			applied := func() (n int) {
				must(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM goose_db_version`).Scan(&n))
				return n
			}
			before := applied()

			wrong := cfg
			wrong.SealingKey = secret.New(base64.StdEncoding.EncodeToString(secret.Bytes(32)))
			if _, err := server.Open(t.Context(), wrong, server.Options{}); !errors.Is(err, seal.ErrOtherMaster) {
				t.Fatalf("with another master key: %v", err)
			}
			if n := applied(); n != before {
				t.Errorf("%d migrations were applied before the master key was found to be another", n-before)
			}

			s, err := server.Open(t.Context(), cfg, server.Options{})
			must(t, err)
			t.Cleanup(func() { must(t, s.Close()) })
			if applied() == before {
				t.Error("nothing was migrated")
			}
			now, err := s.Parts().Store.NetworkKey(t.Context())
			must(t, err)
			opened, err := s.Parts().Sealer.Open(now.Sealed, authority.NetworkKeyPlace)
			if err != nil || len(now.Clear) > 0 || !bytes.Equal(opened, clear) {
				t.Errorf("the key of the digests of networks: %v, %d bytes in clear, the same: %v", err, len(now.Clear), bytes.Equal(opened, clear))
			}
		})
	}
}
