package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
	"github.com/jetonhq/jeton/internal/store/transfer"
)

// Every node holds nodesLock for sharing; whoever copies holds it alone.
const (
	sqlTryShare  = `SELECT pg_try_advisory_lock_shared($1)`
	sqlCountFrom = `SELECT setval(pg_get_serial_sequence('event_log', 'id'), greatest($1::bigint, 1), $1::bigint > 0)`
	sqlRenew     = `UPDATE meta SET incarnation = replace(gen_random_uuid()::text, '-', '') WHERE id = 1`
	newestEvent  = `SELECT id FROM events ORDER BY id DESC LIMIT 1`
)

var dialect = transfer.Dialect{Param: "$"}

// Transfer is a database that is open for a copy of it, or into it. It implements
// transfer.Store.
type Transfer struct {
	conn  *pgx.Conn
	hours map[time.Time]bool // that have partitions
}

var _ transfer.Store = (*Transfer)(nil)

// OpenTransfer opens a database to be copied, or to copy into. The schema of one to
// be copied is left as it is. ErrInUse: nodes have it open.
func OpenTransfer(ctx context.Context, c Config, source bool) (_ *Transfer, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open database: %w", err)
		}
	}()
	settings, err := poolConfig(c)
	if err != nil {
		return nil, err
	}
	later := func(context.Context, *pgx.Conn) error { return nil } // on a connection that stays
	c.ManualMigration = source
	if err := prepareSchema(ctx, settings.ConnConfig, c, later); err != nil {
		return nil, err
	}
	config := settings.ConnConfig.Copy()
	config.RuntimeParams["statement_timeout"] = "0" // nobody waits for a page
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	t := &Transfer{conn: conn, hours: make(map[time.Time]bool)}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	var alone bool
	if err := conn.QueryRow(ctx, sqlTryLock, nodesLock).Scan(&alone); err != nil {
		return nil, err
	}
	if !alone {
		return nil, transfer.ErrInUse
	}
	for _, table := range partitioned {
		there, err := partitionsOf(ctx, conn, table)
		if err != nil {
			return nil, err
		}
		for _, hour := range there {
			t.hours[hour] = true
		}
	}
	return t, t.number(ctx)
}

// number gives every event its number, as the next node would.
func (t *Transfer) number(ctx context.Context) error {
	for {
		numbered := int64(0)
		err := t.commit(ctx, func(begun pgx.Tx) (err error) {
			numbered, err = numberEvents(&tx{ctx: ctx, Tx: begun})
			return err
		})
		if err != nil || numbered == 0 {
			return err
		}
	}
}

// Close gives the database to others.
func (t *Transfer) Close() error { return t.conn.Close(context.Background()) }

// Life implements transfer.Store.
func (t *Transfer) Life(ctx context.Context) (life string, err error) {
	var seq int64
	err = t.conn.QueryRow(ctx, sqlHead).Scan(&life, &seq)
	return life, err
}

// Mark implements transfer.Store.
func (t *Transfer) Mark(ctx context.Context) (transfer.Mark, error) { return readMark(ctx, t.conn) }

func readMark(ctx context.Context, conn *pgx.Conn) (m transfer.Mark, err error) {
	err = conn.QueryRow(ctx, transfer.SelectMark).Scan(&m.State, &m.Copy, &m.Peer, (*columns.Time)(&m.At))
	if errors.Is(err, pgx.ErrNoRows) {
		return transfer.Mark{}, nil
	}
	return m, err
}

// SetMark implements transfer.Store.
func (t *Transfer) SetMark(ctx context.Context, m transfer.Mark) error {
	_, err := t.conn.Exec(ctx, dialect.WriteMark(), m.State, m.Copy, m.Peer, columns.Millis(m.At))
	return err
}

// Rows implements transfer.Store.
func (t *Transfer) Rows(ctx context.Context, of transfer.Table, after transfer.Row, p *transfer.Page) error {
	rows, err := t.conn.Query(ctx, dialect.Select(of, after != nil, p.Limit()), after...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for more := true; more && rows.Next(); {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		more = p.Add(values)
	}
	return rows.Err()
}

// Last implements transfer.Store.
func (t *Transfer) Last(ctx context.Context, of transfer.Table) (transfer.Row, error) {
	rows, err := t.conn.Query(ctx, dialect.Last(of))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	return rows.Values()
}

// Write implements transfer.Store.
func (t *Transfer) Write(ctx context.Context, of transfer.Table, rows []transfer.Row) error {
	if of.Name == "tokens" || of.Name == "uses" {
		if err := t.partition(ctx, rows); err != nil {
			return err
		}
	}
	return t.commit(ctx, func(begun pgx.Tx) error {
		if of.Single {
			return replace(ctx, begun, of, rows[0])
		}
		names := of.Columns
		if of.Name == "event_log" {
			names = append([]string{"id"}, names...) // the order is that of the numbers
		}
		_, err := begun.CopyFrom(ctx, pgx.Identifier{of.Name}, names, pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
			return stored(of, rows[i]), nil
		}))
		return err
	})
}

// stored is a row as this engine takes it.
func stored(of transfer.Table, row transfer.Row) []any {
	values := make([]any, 0, len(row)+1)
	if of.Name == "event_log" {
		values = append(values, row[0])
	}
	for i, v := range row {
		if n, ok := v.(int64); ok && of.Flag(of.Columns[i]) {
			v = n != 0
		}
		values = append(values, v)
	}
	return values
}

// replace writes the row of a table that has just one.
func replace(ctx context.Context, begun pgx.Tx, of transfer.Table, row transfer.Row) error {
	if _, err := begun.Exec(ctx, dialect.Update(of), row...); err != nil || of.Name != "outbox" {
		return err
	}
	_, err := begun.Exec(ctx, sqlCountFrom, row[1]) // events are counted on from there
	return err
}

// partition makes the hours that rows with a token's id as their first column are of.
func (t *Transfer) partition(ctx context.Context, rows []transfer.Row) error {
	for _, row := range rows {
		id, err := secret.IDFromBytes(row[0].([]byte))
		if err != nil {
			return err
		}
		hour := id.Time().Truncate(span)
		if t.hours[hour] {
			continue
		}
		err = t.commit(ctx, func(begun pgx.Tx) error {
			for _, table := range partitioned {
				for _, text := range makePartition(table, hour) {
					if _, err := begun.Exec(ctx, text); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("make partition %s: %w", partitionName("tokens", hour), err)
		}
		t.hours[hour] = true
	}
	return nil
}

// Renew implements transfer.Store.
func (t *Transfer) Renew(ctx context.Context) error {
	return t.commit(ctx, func(begun pgx.Tx) error {
		if _, err := begun.Exec(ctx, sqlRenew); err != nil {
			return err
		}
		_, err := begun.Exec(ctx, transfer.RemoveMark)
		return err
	})
}

// Newest is when the newest event happened; zero: there is none.
func (t *Transfer) Newest(ctx context.Context) (time.Time, error) {
	id, err := scanID(t.conn.QueryRow(ctx, newestEvent))
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	return id.Time(), err
}

func (t *Transfer) commit(ctx context.Context, run func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, t.conn, run)
}
