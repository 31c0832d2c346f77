package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/transfer"
)

const (
	sqlIntegrity = `PRAGMA integrity_check(5)`
	hasMark      = `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'transfer'`
	restoring    = ".restoring" // added to the target's name until the file is complete
)

// ErrTargetExists is returned by Restore, which replaces nothing.
var ErrTargetExists = errors.New("there is a database already: move it away first")

// Restored is what Restore has put in place.
type Restored struct {
	Path string `json:"path"`
	Contents
	// Older says how many migrations the next start, or `jeton migrate up`, will apply.
	Older int `json:"migrations_to_apply"`
}

// Restore puts a backup at path to, which must not be there. The copy is checked
// first, then by check (is the sealing key the right one?), and begins a new life
// of the revocation log, so that verifiers take a new snapshot instead of going
// on from a number of the old one. The file has its name only once all of this
// is done and on disk. ErrLocked: a server has the target open.
func Restore(ctx context.Context, from, to string, check func(context.Context, authority.SealStore) error) (_ Restored, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore %s: %w", from, err)
		}
	}()
	if to, err = target(to); err != nil {
		return Restored{}, err
	}
	guard, err := lock(ctx, to+".lock")
	if err != nil {
		return Restored{}, err
	}
	defer func() { err = errors.Join(err, guard.Close()) }()
	for _, name := range []string{to, to + "-wal"} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return Restored{}, errors.Join(fmt.Errorf("%s: %w", name, ErrTargetExists), err)
		}
	}
	if info, err := os.Stat(from + "-wal"); err == nil && info.Size() > 0 {
		return Restored{}, fmt.Errorf("%s-wal lies beside it, so it is a database in use and no backup", from)
	}
	temporary := to + restoring
	defer func() { err = errors.Join(err, removeDatabase(temporary)) }()
	if err := duplicate(from, temporary); err != nil {
		return Restored{}, err
	}
	if err := renew(ctx, temporary); err != nil {
		return Restored{}, err
	}
	r, err := examine(ctx, temporary, check)
	if err != nil {
		return Restored{}, err
	}
	r.Path = to
	if err := os.Rename(temporary, to); err != nil {
		return Restored{}, err
	}
	return r, syncDir(filepath.Dir(to))
}

// target makes the directory and resolves links in its name, so that one database
// has one lock.
func target(path string) (string, error) {
	if path == "" {
		return "", errors.New("no path to restore to")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

func duplicate(from, to string) (err error) {
	in, err := os.Open(from) // #nosec G304 -- the operator's choice
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if err := removeDatabase(to); err != nil { // of a restore that was killed
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // #nosec G304 -- beside the target
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func removeDatabase(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// renew holds the file against SQLite's own checks and gives its log a new name.
func renew(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", source(path, "rw", []string{"journal_mode(delete)", "synchronous(full)"}))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	if err := db.QueryRowContext(ctx, sqlIntegrity).Scan(&verdict); err != nil {
		return fmt.Errorf("it is no database, or damaged: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("it is damaged: %s", verdict)
	}
	changed, err := db.ExecContext(ctx, sqlNewIncarnation)
	if err != nil {
		return fmt.Errorf("it is no database of Jeton: %w", err)
	}
	if n, err := changed.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errors.New("it is no database of Jeton"), err)
	}
	return renewMark(ctx, db)
}

// renewMark has a database that was left for a copy of it serve again, as the backup
// that it is by now. One from before there was a mark has none.
func renewMark(ctx context.Context, db *sql.DB) error {
	var tables int
	if err := db.QueryRowContext(ctx, hasMark).Scan(&tables); err != nil || tables == 0 {
		return err
	}
	_, err := db.ExecContext(ctx, transfer.RemoveRetired)
	return err
}

func examine(ctx context.Context, path string, check func(context.Context, authority.SealStore) error) (r Restored, err error) {
	s, err := OpenReadOnly(ctx, path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	list, err := s.Migrations(ctx)
	if err != nil {
		return r, err
	}
	r.Older = len(pending(list))
	if err := check(ctx, s); err != nil {
		return r, err
	}
	r.Contents, err = s.Contents(ctx)
	return r, err
}

// syncDir makes a new name in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir) // #nosec G304 -- of the target
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
