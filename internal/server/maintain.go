package server

import (
	"context"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/store/postgres"
	"github.com/jetonhq/jeton/internal/store/sqlite"
)

// Restore puts the backup in file at the place that a store's URL names, after it
// was held against the sealing keys of cfg.
func Restore(ctx context.Context, cfg config.Config, file, url string) (sqlite.Restored, error) {
	path, err := databasePath(url)
	if err != nil {
		return sqlite.Restored{}, err
	}
	masters, err := cfg.Masters()
	if err != nil {
		return sqlite.Restored{}, err
	}
	return sqlite.Restore(ctx, file, path, func(ctx context.Context, store authority.SealStore) error {
		_, err := seal.Check(ctx, store, masters)
		return err
	})
}

// Migrations lists the steps of the schema of the configured store, and which of
// them were applied. It changes nothing.
func Migrations(ctx context.Context, cfg config.Config) ([]sqlite.Migration, error) {
	path, err := databasePath(cfg.Store.URL)
	if err != nil {
		return steps(postgres.Migrations(ctx, postgresConfig(cfg.Store)))
	}
	return sqlite.Migrations(ctx, path)
}

// Migrate applies what is missing, and returns that.
func Migrate(ctx context.Context, cfg config.Config) ([]sqlite.Migration, error) {
	path, err := databasePath(cfg.Store.URL)
	if err != nil {
		return steps(postgres.Migrate(ctx, postgresConfig(cfg.Store)))
	}
	return sqlite.Migrate(ctx, path)
}

// steps are migrations as the embedded store lists them.
func steps(list []postgres.Migration, err error) ([]sqlite.Migration, error) {
	same := make([]sqlite.Migration, len(list))
	for i, m := range list {
		same[i] = sqlite.Migration(m)
	}
	return same, err
}
