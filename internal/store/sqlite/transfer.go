package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jetonhq/jeton/internal/store/columns"
	"github.com/jetonhq/jeton/internal/store/transfer"
)

// The number of the last event is kept by the engine.
const (
	lastEventNumber = `coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event_log'), 0)`
	forgetNumber    = `DELETE FROM sqlite_sequence WHERE name = 'event_log'`
	setNumber       = `INSERT INTO sqlite_sequence (name, seq) VALUES ('event_log', ?1)`
)

var dialect = transfer.Dialect{Param: "?", Instead: map[string]string{"outbox.seq": lastEventNumber}}

// Transfer is a database that is open for a copy of it, or into it. It implements
// transfer.Store.
type Transfer struct {
	guard, db *sql.DB
}

var _ transfer.Store = (*Transfer)(nil)

// OpenSource opens a database to be copied. ErrInUse: a server has it open.
func OpenSource(ctx context.Context, path string) (*Transfer, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	return openTransfer(ctx, path, true)
}

// OpenTarget opens a database to copy into. It is made if it is not there.
func OpenTarget(ctx context.Context, path string) (*Transfer, error) {
	return openTransfer(ctx, path, false)
}

func openTransfer(ctx context.Context, path string, source bool) (_ *Transfer, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open database %s: %w", path, err)
		}
	}()
	if path, err = create(path); err != nil {
		return nil, err
	}
	guard, err := lock(ctx, path+".lock")
	if errors.Is(err, ErrLocked) {
		return nil, transfer.ErrInUse
	}
	if err != nil {
		return nil, err
	}
	t := &Transfer{guard: guard}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	if t.db, err = openWriter(path); err != nil {
		return nil, err
	}
	return t, prepareSchema(ctx, t.db, Config{ManualMigration: source})
}

// Close gives the database to others.
func (t *Transfer) Close() error {
	var errs []error
	if t.db != nil {
		_, err := t.db.ExecContext(context.Background(), sqlCheckpoint)
		errs = append(errs, err, t.db.Close())
	}
	return errors.Join(append(errs, t.guard.Close())...)
}

// Life implements transfer.Store.
func (t *Transfer) Life(ctx context.Context) (life string, err error) {
	var seq uint64
	err = t.db.QueryRowContext(ctx, sqlHead).Scan(&life, &seq)
	return life, err
}

// Mark implements transfer.Store.
func (t *Transfer) Mark(ctx context.Context) (transfer.Mark, error) { return readMark(ctx, t.db) }

func readMark(ctx context.Context, db *sql.DB) (m transfer.Mark, err error) {
	err = db.QueryRowContext(ctx, transfer.SelectMark).Scan(&m.State, &m.Copy, &m.Peer, (*columns.Time)(&m.At))
	if errors.Is(err, sql.ErrNoRows) {
		return transfer.Mark{}, nil
	}
	return m, err
}

// SetMark implements transfer.Store.
func (t *Transfer) SetMark(ctx context.Context, m transfer.Mark) error {
	_, err := t.db.ExecContext(ctx, dialect.WriteMark(), m.State, m.Copy, m.Peer, columns.Millis(m.At))
	return err
}

// Rows implements transfer.Store.
func (t *Transfer) Rows(ctx context.Context, of transfer.Table, after transfer.Row, p *transfer.Page) error {
	rows, err := t.db.QueryContext(ctx, dialect.Select(of, after != nil, p.Limit()), after...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for more := true; more && rows.Next(); {
		values, err := scanAll(rows, len(of.Columns))
		if err != nil {
			return err
		}
		more = p.Add(values)
	}
	return rows.Err()
}

// Last implements transfer.Store.
func (t *Transfer) Last(ctx context.Context, of transfer.Table) (transfer.Row, error) {
	key, err := scanAll(t.db.QueryRowContext(ctx, dialect.Last(of)), of.Keys)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return key, err
}

func scanAll(r columns.Row, n int) ([]any, error) {
	values, dest := make([]any, n), make([]any, n)
	for i := range values {
		dest[i] = &values[i]
	}
	return values, r.Scan(dest...)
}

// Write implements transfer.Store.
func (t *Transfer) Write(ctx context.Context, of transfer.Table, rows []transfer.Row) error {
	return t.commit(ctx, func(tx *sql.Tx) error {
		text := dialect.Insert(of)
		if of.Single {
			text = dialect.Update(of)
		}
		statement, err := tx.PrepareContext(ctx, text)
		if err != nil {
			return err
		}
		defer func() { _ = statement.Close() }()
		for _, row := range rows {
			if _, err := statement.ExecContext(ctx, row...); err != nil {
				return err
			}
		}
		if of.Name == "outbox" {
			return keepNumber(ctx, tx, rows[0][1])
		}
		return nil
	})
}

// keepNumber has events counted on from the number that was last given out.
func keepNumber(ctx context.Context, tx *sql.Tx, last any) error {
	if _, err := tx.ExecContext(ctx, forgetNumber); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, setNumber, last)
	return err
}

// Renew implements transfer.Store.
func (t *Transfer) Renew(ctx context.Context) error {
	return t.commit(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, sqlNewIncarnation); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, transfer.RemoveMark)
		return err
	})
}

// Newest is when the newest event happened; zero: there is none.
func (t *Transfer) Newest(ctx context.Context) (time.Time, error) {
	id, err := scanID(t.db.QueryRowContext(ctx, newestEvent))
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return id.Time(), err
}

func (t *Transfer) commit(ctx context.Context, run func(*sql.Tx) error) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := run(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
