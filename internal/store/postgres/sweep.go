package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	sqlSweepTokens = `
DELETE FROM tokens_other WHERE jti IN (SELECT jti FROM tokens_other WHERE exp < $1 ORDER BY exp LIMIT $2) RETURNING jti`

	sqlSweepCodes = `
DELETE FROM codes WHERE id IN (SELECT id FROM codes WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`

	// Rows whose look-at time has come but which were used meanwhile get a new
	// one; then what is left at the front of the index has to go.
	sqlPostponeGrants = `
UPDATE grants SET sweep_at = least(coalesce(ended_at, expires_at), expires_at, idle_until) + $3
WHERE id IN (SELECT id FROM grants WHERE sweep_at < $1 ORDER BY sweep_at LIMIT $2)
  AND least(coalesce(ended_at, expires_at), expires_at, idle_until) + $3 >= $1`
	sqlSweepGrants = `
DELETE FROM grants
WHERE id IN (SELECT id FROM grants WHERE sweep_at < $1 ORDER BY sweep_at LIMIT $2)
  AND least(coalesce(ended_at, expires_at), expires_at, idle_until) + $3 < $1`
	sqlPostponeSessions = `
UPDATE sessions SET sweep_at = least(coalesce(ended_at, expires_at), expires_at, idle_until) + $3
WHERE id IN (SELECT id FROM sessions WHERE sweep_at < $1 ORDER BY sweep_at LIMIT $2)
  AND least(coalesce(ended_at, expires_at), expires_at, idle_until) + $3 >= $1`
	sqlSweepSessions = `
DELETE FROM sessions
WHERE id IN (SELECT id FROM sessions WHERE sweep_at < $1 ORDER BY sweep_at LIMIT $2)
  AND least(coalesce(ended_at, expires_at), expires_at, idle_until) + $3 < $1`

	// Only a prefix of the log goes, so that what is left has no gaps.
	sqlOldestLog = `SELECT ` + logColumns + ` FROM revocations ORDER BY seq LIMIT $1`
	sqlSweepLog  = `DELETE FROM revocations WHERE seq <= $1`

	sqlSweepEvents = `
DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < $1 ORDER BY id LIMIT $2)`

	sqlWriteReady = `UPDATE readiness SET at = greatest(at, $1) WHERE id = 1 RETURNING at`
	sqlReadReady  = `SELECT at FROM readiness WHERE id = 1`
)

// Sweep implements authority.Maintainer. Each kind is a commit of its own, so
// that upkeep never makes other calls wait for all of it. keepEvents of zero or
// less keeps the audit trail forever. A caller's clock that is ahead of the
// database's is not followed (see past).
func (s *Store) Sweep(ctx context.Context, now time.Time, keepEvents time.Duration, limit int) (authority.Swept, error) {
	var swept authority.Swept
	err := s.connected(ctx, func(conn *pgxpool.Conn) (err error) {
		now, err = s.past(ctx, conn, now)
		return err
	})
	if err != nil {
		return swept, fmt.Errorf("sweep: %w", err)
	}
	if limit <= 0 {
		limit = 1000
	}
	steps := []struct {
		count *int
		sweep func(t *tx, now time.Time, limit int) (removed, postponed int64, err error)
	}{
		{&swept.Tokens, sweepTokens},
		{&swept.Codes, sweepCodes},
		{&swept.Grants, sweepGrants},
		{&swept.Sessions, sweepSessions},
		{&swept.LogEntries, sweepLog},
		{&swept.Batches, sweepMinted},
		{&swept.Marks, sweepMarks},
		{&swept.Deliveries, sweepDeliveries},
		{new(int), sweepPlanned},
		{&swept.Tickets, sweepTickets},
		{&swept.Notes, sweepNotes},
		{&swept.Events, func(t *tx, now time.Time, limit int) (int64, int64, error) {
			return sweepEvents(t, now.Add(-keepEvents), keepEvents > 0, limit)
		}},
	}
	for _, step := range steps {
		err := s.write(ctx, "sweep", func(t *tx) error {
			removed, postponed, err := step.sweep(t, now, limit)
			*step.count = int(removed)
			swept.More = swept.More || removed >= int64(limit) || postponed >= int64(limit)
			return err
		})
		if err != nil {
			return swept, err
		}
	}
	return swept, nil
}

func sweepCodes(t *tx, now time.Time, limit int) (removed, postponed int64, err error) {
	removed, err = t.exec(sqlSweepCodes, columns.Millis(now), limit)
	return removed, 0, err
}

func sweepGrants(t *tx, now time.Time, limit int) (removed, postponed int64, err error) {
	if postponed, err = t.exec(sqlPostponeGrants, columns.Millis(now), limit, columns.KeepEnded.Milliseconds()); err != nil {
		return 0, 0, err
	}
	removed, err = t.exec(sqlSweepGrants, columns.Millis(now), limit, columns.KeepEnded.Milliseconds())
	return removed, postponed, err
}

func sweepSessions(t *tx, now time.Time, limit int) (removed, postponed int64, err error) {
	if postponed, err = t.exec(sqlPostponeSessions, columns.Millis(now), limit, columns.KeepEnded.Milliseconds()); err != nil {
		return 0, 0, err
	}
	if _, err := t.exec(sqlSweepTold, columns.Millis(now), limit, columns.KeepEnded.Milliseconds()); err != nil {
		return 0, 0, err
	}
	removed, err = t.exec(sqlSweepSessions, columns.Millis(now), limit, columns.KeepEnded.Milliseconds())
	return removed, postponed, err
}

func sweepLog(t *tx, now time.Time, limit int) (removed, postponed int64, err error) {
	oldest, err := manyOf(t, scanEntry, sqlOldestLog, limit)
	if err != nil {
		return 0, 0, err
	}
	n := expiredPrefix(oldest, now)
	if n == 0 {
		return 0, 0, nil
	}
	removed, err = t.exec(sqlSweepLog, int64(oldest[n-1].Seq)) // #nosec G115 -- a number the log gave out
	return removed, 0, err
}

func sweepEvents(t *tx, before time.Time, wanted bool, limit int) (removed, postponed int64, err error) {
	if !wanted || before.UnixMilli() <= 0 {
		return 0, 0, nil
	}
	first := secret.FirstID(before)
	removed, err = t.exec(sqlSweepEvents, first[:], limit)
	return removed, 0, err
}

// sweepTokens removes what expired and lies outside of the partitions, which go as
// a whole (see partitions.go), and the uses that go with it.
func sweepTokens(t *tx, now time.Time, limit int) (removed, postponed int64, err error) {
	gone, err := t.ids(sqlSweepTokens, columns.Millis(now), limit)
	if err != nil || len(gone) == 0 {
		return 0, 0, err
	}
	_, err = t.exec(sqlSweepUses, byteList(gone))
	return int64(len(gone)), 0, err
}

// Ready implements authority.Maintainer.
func (s *Store) Ready(ctx context.Context, now time.Time) error {
	if _, err := single(ctx, s, "write readiness", scanNumber, sqlWriteReady, columns.Millis(now)); err != nil {
		return err
	}
	read, err := one(ctx, s, "read readiness", func(r columns.Row) (int64, error) {
		var at int64
		err := r.Scan(&at)
		return at, err
	}, sqlReadReady)
	if err != nil {
		return err
	}
	if read < columns.Millis(now) {
		return fmt.Errorf("read readiness: wrote %d, found %d", columns.Millis(now), read)
	}
	return nil
}
