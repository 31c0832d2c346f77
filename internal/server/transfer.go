package server

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/store/postgres"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/internal/store/transfer"
)

// transferring is a store that is open for a copy, or for a new life.
type transferring interface {
	transfer.Store
	Newest(ctx context.Context) (time.Time, error)
	Close() error
}

// CopyStore copies the store at one URL into the one at another. A password that
// neither URL has is that of the configuration.
func CopyStore(ctx context.Context, cfg config.Config, from, to string, o transfer.Options) (_ []transfer.Done, err error) {
	if from == to {
		return nil, errors.New("a store cannot be copied into itself")
	}
	source, err := openTransfer(ctx, cfg, from, true)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := openTransfer(ctx, cfg, to, false)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	o.To = shownURL(to)
	return transfer.Copy(ctx, source, target, o)
}

// RenewStore begins a new life of the revocation log in the configured store, which
// was restored by other means than ours, and returns when its newest event happened.
func RenewStore(ctx context.Context, cfg config.Config) (newest time.Time, err error) {
	store, err := openTransfer(ctx, cfg, cfg.Store.URL, true)
	if err != nil {
		return newest, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	mark, err := store.Mark(ctx)
	if err == nil {
		err = mark.Refusal()
	}
	if err != nil {
		return newest, err
	}
	if newest, err = store.Newest(ctx); err != nil {
		return newest, err
	}
	return newest, store.Renew(ctx)
}

func openTransfer(ctx context.Context, cfg config.Config, url string, source bool) (transferring, error) {
	path, err := databasePath(url)
	switch {
	case err != nil:
		settings := cfg.Store
		settings.URL = url
		return postgres.OpenTransfer(ctx, postgresConfig(settings), source)
	case source:
		return sqlite.OpenSource(ctx, path)
	default:
		return sqlite.OpenTarget(ctx, path)
	}
}

// shownURL is where a store is, and nothing else of its URL: it may hold a password.
func shownURL(text string) string {
	if _, err := databasePath(text); err == nil {
		return text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "PostgreSQL"
	}
	return u.Scheme + "://" + u.Host + u.Path
}
