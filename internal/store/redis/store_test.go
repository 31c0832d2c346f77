package redis_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/redistest"
	"github.com/jetonhq/jeton/internal/store/postgres"
	"github.com/jetonhq/jeton/internal/store/redis"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/internal/storetest"
)

// prefixes keeps the tests on one server apart.
var prefixes atomic.Int64

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// open opens a store without records on a Redis, with records in SQLite.
func open(t *testing.T, c redis.Config) *redis.Store {
	t.Helper()
	records, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
	if err != nil {
		t.Fatal(err)
	}
	return openOn(t, c, records)
}

func openOn(t *testing.T, c redis.Config, records authority.Records) *redis.Store {
	t.Helper()
	if c.Prefix == "" {
		c.Prefix = fmt.Sprintf("test-%d:", prefixes.Add(1))
	}
	if c.Afterlife == 0 {
		c.Afterlife = 2 * time.Minute
	}
	s, err := redis.Open(t.Context(), c, records)
	if err != nil {
		_ = records.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestStore leaves out the kinds that are the records' alone: logs, keys, deliveries
// and the like.
func TestStore(t *testing.T) {
	server := redistest.Start(t)
	storetest.RunExpiring(t, func(t *testing.T) authority.Store { return open(t, redis.Config{URL: server.URL()}) },
		"^(Code|Redeem|OpenStanding|Issue|Rotate|Grant|Tokens|Mint|Consume|Ticket|Revoke|SweepTokens|SweepManyTokens|SweepRecords|Backlog|Context|Cancelled|Failed|Committed|Lost|Hostile|Clocks|Ready|Closed|Model)")
}

// TestStore_OnPostgres runs what touches tokens.
func TestStore_OnPostgres(t *testing.T) {
	server := redistest.Start(t)
	storetest.RunExpiring(t, func(t *testing.T) authority.Store {
		url := pgtest.Copy(t, "migrated", func(url string) error {
			s, err := postgres.Open(t.Context(), postgres.Config{URL: url})
			if err != nil {
				return err
			}
			return s.Close()
		})
		records, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		return openOn(t, redis.Config{URL: server.URL()}, records)
	}, "^(Redeem|Issue|IssueRefused|IssueAfterRevoke|IssueBatch|Rotate|RotateRefused|GrantMove|Tokens|ConsumeRefused|RevokeToken)$")
}
