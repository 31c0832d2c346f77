package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	sqlLogEvent = `INSERT INTO event_log (event_id) VALUES ($1)`
	sqlEventLog = `
SELECT l.seq, e.` + eventColumns + `
FROM event_log l JOIN events e ON e.id = l.event_id
WHERE l.seq > $1 ORDER BY l.seq LIMIT $2`
	sqlHoldOutbox   = `SELECT seq FROM outbox WHERE id = 1 FOR UPDATE`
	sqlNumberEvents = `
UPDATE event_log l SET seq = $1 + fresh.n
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n
      FROM (SELECT id FROM event_log WHERE seq IS NULL ORDER BY id LIMIT $2) oldest) fresh
WHERE l.id = fresh.id`
	sqlMoveEnd      = `UPDATE outbox SET seq = seq + $1 WHERE id = 1`
	sqlOutboxCursor = `SELECT cursor FROM outbox WHERE id = 1`
	sqlMoveCursor   = `UPDATE outbox SET cursor = $2 WHERE id = 1 AND cursor = $1`
	sqlSweepPlanned = `
DELETE FROM event_log WHERE seq IN (
    SELECT seq FROM event_log WHERE seq <= (SELECT cursor FROM outbox WHERE id = 1) ORDER BY seq LIMIT $1)`

	sqlTellClient = `INSERT INTO session_clients (session_id, client_id, told) VALUES ($1, $2, $1) ON CONFLICT DO NOTHING`
	sqlMoveTold   = `UPDATE session_clients SET session_id = $2 WHERE session_id = $1 AND ended_by IS NULL`
	sqlEndTold    = `UPDATE session_clients SET ended_by = $2 WHERE session_id = $1 AND ended_by IS NULL`
	sqlEndedBy    = `
SELECT c.client_id, s.account_id, c.told FROM session_clients c JOIN sessions s ON s.id = c.session_id
WHERE c.ended_by = $1 ORDER BY c.client_id, c.told`
	// As sqlSweepSessions, which comes after it.
	sqlSweepTold = `
DELETE FROM session_clients
WHERE session_id IN (
    SELECT id FROM sessions
    WHERE id IN (SELECT id FROM sessions WHERE sweep_at < $1 ORDER BY sweep_at LIMIT $2)
      AND least(coalesce(ended_at, expires_at), expires_at, idle_until) + $3 < $1)`
)

// EventLog implements authority.EventLog.
func (s *Store) EventLog(ctx context.Context, after uint64, limit int) ([]authority.LoggedEvent, error) {
	if err := s.number(ctx); err != nil {
		return nil, err
	}
	return many(ctx, s, "event log", func(r columns.Row) (authority.LoggedEvent, error) {
		var e authority.LoggedEvent
		var err error
		e.Event, err = scanEvent(prefixed{r, &e.Seq})
		return e, err
	}, sqlEventLog, int64(after), limit) // #nosec G115 -- a number the log gave out
}

// number gives numbers to the events that have been committed since. Who does it
// holds the outbox's row: the second statement sees all that was committed before.
func (s *Store) number(ctx context.Context) error {
	return s.repeat(ctx, "number events", func(conn *pgxpool.Conn) error {
		return s.attempt(ctx, conn, pgx.ReadCommitted, func(t *tx) error {
			_, err := numberEvents(t)
			return err
		})
	})
}

func numberEvents(t *tx) (numbered int64, err error) {
	var last int64
	if err := t.row(sqlHoldOutbox, nil, &last); err != nil {
		return 0, err
	}
	n, err := t.exec(sqlNumberEvents, last, numberedAtOnce)
	if err != nil || n == 0 {
		return 0, err
	}
	_, err = t.exec(sqlMoveEnd, n)
	return n, err
}

// numberedAtOnce bounds one commit.
const numberedAtOnce = 1000

// prefixed is a row whose first column goes elsewhere.
type prefixed struct {
	columns.Row
	first any
}

func (p prefixed) Scan(dest ...any) error { return p.Row.Scan(append([]any{p.first}, dest...)...) }

// WaitEvents implements authority.EventLog.
func (s *Store) WaitEvents(ctx context.Context, after uint64) error { return s.events.Wait(ctx, after) }

// OutboxCursor implements authority.EventLog.
func (s *Store) OutboxCursor(ctx context.Context) (uint64, error) {
	return one(ctx, s, "outbox cursor", scanNumber, sqlOutboxCursor)
}

func scanNumber(r columns.Row) (uint64, error) {
	var n uint64
	err := r.Scan(&n)
	return n, err
}

// Enqueue implements authority.EventLog.
func (s *Store) Enqueue(ctx context.Context, from, to uint64, ds []authority.Delivery) error {
	return s.write(ctx, "enqueue deliveries", func(t *tx) error {
		n, err := t.exec(sqlMoveCursor, int64(from), int64(to)) // #nosec G115 -- numbers the log gave out
		if err != nil {
			return err
		}
		if n == 0 {
			return authority.ErrConflict
		}
		for _, d := range ds {
			if err := insertDelivery(t, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// SessionsEndedBy implements authority.LogoutStore.
func (s *Store) SessionsEndedBy(ctx context.Context, event secret.ID) ([]authority.ClientSession, error) {
	return many(ctx, s, "clients of ended sessions", func(r columns.Row) (authority.ClientSession, error) {
		var c authority.ClientSession
		err := r.Scan(&c.ClientID, (*columns.ID)(&c.AccountID), (*columns.ID)(&c.SessionID))
		return c, err
	}, sqlEndedBy, event[:])
}

func sweepPlanned(t *tx, _ time.Time, limit int) (removed, postponed int64, err error) {
	removed, err = t.exec(sqlSweepPlanned, limit)
	return removed, 0, err
}
