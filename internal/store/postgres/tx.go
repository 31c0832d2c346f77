package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
	"github.com/jetonhq/jeton/internal/store/head"
	"github.com/jetonhq/jeton/internal/traces"
)

const (
	// attempts bounds how often a call is run again because others were in its way.
	attempts   = 12
	firstPause = 2 * time.Millisecond
	// patience is for a call that has begun: its caller no longer decides.
	patience = 15 * time.Second
)

// write runs a call in a serializable transaction of its own, again when it was
// not alone, and returns once it is durable, or refused. run may be called several
// times: it must not keep anything from an earlier run. Errors say what was being
// done.
//
// A context that is done before a connection is had means that the call never
// happens, and its error is returned. After that the context no longer matters and
// the answer is the true one.
func (s *Store) write(ctx context.Context, what string, run func(*tx) error) error {
	return s.repeat(ctx, what, func(conn *pgxpool.Conn) error { return s.attempt(ctx, conn, pgx.Serializable, run) })
}

// record is write for calls whose statements each carry all that decides, such as
// an insert with its event: they need not be alone.
func (s *Store) record(ctx context.Context, what string, run func(*tx) error) error {
	return s.repeat(ctx, what, func(conn *pgxpool.Conn) error { return s.attempt(ctx, conn, pgx.ReadCommitted, run) })
}

// single runs one statement that carries all that decides, and returns the rows
// it changed. It is committed on its own.
func single[T any](ctx context.Context, s *Store, what string, scan func(columns.Row) (T, error), text string, args ...any) ([]T, error) {
	var changed []T
	err := s.repeat(ctx, what, func(conn *pgxpool.Conn) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		began := time.Now()
		rows, err := conn.Query(ctx, text, args...)
		if err != nil {
			return err
		}
		if changed, err = collect(rows, scan); err == nil {
			s.committed(1, began)
		}
		return err
	})
	return changed, err
}

// append is write for calls that add to the revocation log. They run one at a
// time over all nodes: each needs the next number, and would only be in the way of
// the others.
func (s *Store) append(ctx context.Context, what string, run func(*tx) error) error {
	select {
	case s.appending <- struct{}{}: // before a connection is taken: nobody holds one while waiting here
		defer func() { <-s.appending }()
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	return s.repeat(ctx, what, func(conn *pgxpool.Conn) error {
		// Of the session, and taken before the transaction: what that sees begins
		// after the call before it was committed.
		if _, err := conn.Exec(ctx, sqlLock, appendLock); err != nil {
			return err
		}
		err := s.attempt(ctx, conn, pgx.Serializable, run)
		return errors.Join(err, unlock(ctx, conn, appendLock))
	})
}

// Numbers of advisory locks: those of other programs in the same database are
// not likely to be the same.
const (
	appendLock    int64 = 0x6a65746f6e<<8 | 1
	partitionLock int64 = 0x6a65746f6e<<8 | 2
	nodesLock     int64 = 0x6a65746f6e<<8 | 3

	sqlLock    = `SELECT pg_advisory_lock($1)`
	sqlTryLock = `SELECT pg_try_advisory_lock($1)`
	sqlUnlock  = `SELECT pg_advisory_unlock($1)`
)

// unlock gives an advisory lock back. A connection on which that fails is closed,
// and the lock goes with it.
func unlock(ctx context.Context, conn *pgxpool.Conn, lock int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if _, err := conn.Exec(ctx, sqlUnlock, lock); err != nil {
		_ = conn.Conn().Close(ctx)
	}
	return nil
}

// repeat makes attempts, each on a connection of its own.
func (s *Store) repeat(ctx context.Context, what string, attempt func(*pgxpool.Conn) error) (err error) {
	ctx, span := traces.Begin(ctx, "store", what)
	defer func() { span.End(err) }()
	for n := 0; ; n++ {
		err = s.connected(ctx, attempt)
		if !again(err) || n == attempts {
			if again(err) {
				err = fmt.Errorf("%w: %w", authority.ErrBusy, err)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return nil
		}
		time.Sleep(rand.N(firstPause << min(n, 6))) //nolint:gosec // spreads load, keeps no secret
	}
}

func (s *Store) connected(ctx context.Context, do func(*pgxpool.Conn) error) error {
	if s.closing.Err() != nil {
		return head.ErrClosed
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return s.acquired(err)
	}
	defer conn.Release()
	return do(conn)
}

// attempt runs a call in a transaction. What follows from it is told once it is
// committed.
func (s *Store) attempt(ctx context.Context, conn *pgxpool.Conn, level pgx.TxIsoLevel, run func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	began := time.Now()
	begun, err := begin(ctx, conn, level)
	if err != nil {
		return err
	}
	t := &tx{ctx: ctx, Tx: begun}
	err = run(t)
	if err == nil {
		err = t.tell()
	}
	if err == nil {
		err = begun.Commit(ctx)
	} else {
		_ = begun.Rollback(ctx)
	}
	if err == nil {
		s.committed(1, began)
		if t.appended > 0 {
			s.head.Advance(t.appended)
		}
	}
	return taken(err)
}

// committed tells whoever measures that so many writes became durable together.
func (s *Store) committed(ops int, began time.Time) {
	if s.onCommit != nil {
		s.onCommit(ops, time.Since(began))
	}
}

// tell has the other nodes look, once this is committed.
func (t *tx) tell() error {
	if t.appended > 0 {
		if _, err := t.exec(sqlTell, logChannel); err != nil {
			return err
		}
	}
	if t.recorded {
		if _, err := t.exec(sqlTell, eventChannel); err != nil {
			return err
		}
	}
	return nil
}

// taken is ErrConflict for a value that must be unique and is not.
func taken(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "23505" { // unique_violation
		return fmt.Errorf("%w: %s", authority.ErrConflict, e.ConstraintName)
	}
	return err
}

// acquired says why no connection was had.
func (s *Store) acquired(err error) error {
	if s.closing.Err() != nil {
		return head.ErrClosed
	}
	return err
}

// again reports whether nothing of a call happened, because of others or because
// it was never sent, so that it may be run again.
func again(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "40001" || e.Code == "40P01" // serialization_failure, deadlock_detected
	}
	if _, ok := errors.AsType[*notBegun](err); ok {
		return true
	}
	// A connection that broke while it was idle. That it is closed is no proof: so says
	// the driver also when it breaks while a COMMIT is waited for.
	return pgconn.SafeToRetry(err) && !errors.Is(err, pgconn.ErrConnClosed)
}

// notBegun is a failure to begin a transaction: whatever became of the connection,
// nothing was done on it.
type notBegun struct{ error }

func (e *notBegun) Unwrap() error { return e.error }

func begin(ctx context.Context, conn *pgxpool.Conn, level pgx.TxIsoLevel) (pgx.Tx, error) {
	t, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: level})
	if err != nil && ctx.Err() == nil {
		return nil, &notBegun{err}
	}
	return t, err
}

// tx is an open transaction. Statements run without the caller's context: once
// begun, a call is finished.
type tx struct {
	ctx context.Context
	pgx.Tx
	changed  int64  // rows that were changed
	appended uint64 // highest number given out in the revocation log
	recorded bool   // events were written
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(text string, args ...any) (int64, error) {
	tag, err := t.Tx.Exec(t.ctx, text, args...)
	t.changed += tag.RowsAffected()
	return tag.RowsAffected(), err
}

// ids runs a statement that returns the ids of the rows it changed.
func (t *tx) ids(text string, args ...any) ([]secret.ID, error) {
	changed, err := manyOf(t, scanID, text, args...)
	t.changed += int64(len(changed))
	return changed, err
}

// row reads a single row into dest, or returns ErrNotFound.
func (t *tx) row(text string, args []any, dest ...any) error {
	return found(t.QueryRow(t.ctx, text, args...).Scan(dest...))
}

// found turns the driver's word for no row into ours.
func found(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return authority.ErrNotFound
	}
	return err
}

// oneOf reads a single row inside the transaction, or returns ErrNotFound.
func oneOf[T any](t *tx, scan func(columns.Row) (T, error), text string, args ...any) (T, error) {
	v, err := scan(t.QueryRow(t.ctx, text, args...))
	return v, found(err)
}

// manyOf reads all rows inside the transaction.
func manyOf[T any](t *tx, scan func(columns.Row) (T, error), text string, args ...any) ([]T, error) {
	rows, err := t.Query(t.ctx, text, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scan)
}

// one reads a single row, or returns ErrNotFound. Errors say what was read.
func one[T any](ctx context.Context, s *Store, what string, scan func(columns.Row) (T, error), text string, args ...any) (T, error) {
	ctx, span := traces.Begin(ctx, "store", what)
	v, err := scan(s.pool.QueryRow(ctx, text, args...))
	err = found(err)
	if span.End(err); err != nil {
		var none T
		return none, fmt.Errorf("%s: %w", what, s.acquired(err))
	}
	return v, nil
}

// many reads all rows of an answer that the text limits.
func many[T any](ctx context.Context, s *Store, what string, scan func(columns.Row) (T, error), text string, args ...any) (_ []T, err error) {
	ctx, span := traces.Begin(ctx, "store", what)
	defer func() { span.End(err) }()
	rows, err := s.pool.Query(ctx, text, args...)
	if err == nil {
		var all []T
		if all, err = collect(rows, scan); err == nil {
			return all, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", what, s.acquired(err))
}

func collect[T any](rows pgx.Rows, scan func(columns.Row) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

func scanID(r columns.Row) (secret.ID, error) {
	var id secret.ID
	err := r.Scan((*columns.ID)(&id))
	return id, err
}
