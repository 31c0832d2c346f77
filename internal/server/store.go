package server

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/store/postgres"
	"github.com/jetonhq/jeton/internal/store/redis"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/internal/upkeep"
)

// openStore opens the database, and Redis if there is one. A clock that is given is
// that of the database too.
func (s *Server) openStore(ctx context.Context, sealing seal.Config, now func() time.Time) (err error) {
	if s.records, err = s.openRecords(ctx, sealing, now); err != nil {
		return err
	}
	c := s.cfg.Store.Registry
	if c.URL == "" {
		s.store = s.records
		return nil
	}
	s.store, err = redis.Open(ctx, redis.Config{
		URL: c.URL, Password: c.Password, SentinelPassword: c.SentinelPassword, Prefix: c.Prefix, Replicas: c.Replicas,
		Afterlife: upkeep.Afterlife, Logger: s.log, OnCall: s.metrics.call, Now: s.now,
	}, s.records)
	if err != nil {
		s.store = nil
		return errors.Join(err, s.records.Close())
	}
	return nil
}

// openRecords opens the database, which is not migrated unless the master keys are
// those that it was sealed with.
func (s *Server) openRecords(ctx context.Context, sealing seal.Config, now func() time.Time) (authority.Records, error) {
	c := s.cfg.Store
	check := func(ctx context.Context, keys []authority.DataKey) error { return seal.Unwraps(ctx, sealing, keys) }
	if path, err := databasePath(c.URL); err == nil {
		return sqlite.Open(ctx, sqlite.Config{
			Path: path, ManualMigration: c.Migrate == config.MigrateManual, BeforeMigration: check, Logger: s.log, OnCommit: s.metrics.commit,
		})
	}
	settings := postgresConfig(c)
	settings.Logger, settings.OnCommit, settings.BeforeMigration = s.log, s.metrics.commit, check
	settings.Now, settings.ServerNow = now, now
	return postgres.Open(ctx, settings)
}

func postgresConfig(c config.Store) postgres.Config {
	return postgres.Config{
		URL: c.URL, Password: c.Password, MaxConns: c.MaxConnections, ManualMigration: c.Migrate == config.MigrateManual,
	}
}

// databasePath is the file of a store's URL.
func databasePath(url string) (string, error) {
	path, ok := strings.CutPrefix(url, "sqlite:")
	if !ok || path == "" {
		return "", errors.New("a store's URL is sqlite: and a path")
	}
	return path, nil
}
