package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
)

const (
	sqlVacuumInto = `VACUUM INTO ?1`
	// A copy that is put to use is another life of the log: verifiers must take
	// a new snapshot instead of going on from a number of the old one.
	sqlNewIncarnation = `UPDATE meta SET incarnation = lower(hex(randomblob(16))) WHERE id = 1`
)

// Backup writes a consistent copy of the database to path, with mode 0600,
// while the store goes on serving. The path must not exist.
func (s *Store) Backup(ctx context.Context, path string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up database to %s: %w", path, err)
		}
	}()
	// Made here, so that it never has another mode than this.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // #nosec G304 -- the operator's choice
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	// query_only refuses VACUUM INTO, and the writer must not be held up.
	from, err := sql.Open("sqlite", source(s.path, "rw", []string{"busy_timeout(5000)"}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if _, err := from.ExecContext(ctx, sqlVacuumInto, path); err != nil {
		return err
	}
	to, err := sql.Open("sqlite", source(path, "rw", []string{"synchronous(full)"}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	_, err = to.ExecContext(ctx, sqlNewIncarnation)
	return err
}
