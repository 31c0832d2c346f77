package sqlite

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	sqlWalkTokens  = `SELECT jti, exp FROM tokens WHERE jti > ?1 AND jti < ?2 ORDER BY jti LIMIT ?3`
	sqlSweepTokens = `DELETE FROM tokens WHERE jti >= ?1 AND jti <= ?2 AND exp < ?3`

	sqlSweepCodes = `
DELETE FROM codes WHERE id IN (SELECT id FROM codes WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)`

	// Rows whose look-at time has come but which were used meanwhile get a new
	// one; then what is left at the front of the index has to go.
	sqlPostponeGrants = `
UPDATE grants SET sweep_at = min(coalesce(ended_at, expires_at), expires_at, idle_until) + ?3
WHERE id IN (SELECT id FROM grants WHERE sweep_at < ?1 ORDER BY sweep_at LIMIT ?2)
  AND min(coalesce(ended_at, expires_at), expires_at, idle_until) + ?3 >= ?1`
	sqlSweepGrants = `
DELETE FROM grants
WHERE id IN (SELECT id FROM grants WHERE sweep_at < ?1 ORDER BY sweep_at LIMIT ?2)
  AND min(coalesce(ended_at, expires_at), expires_at, idle_until) + ?3 < ?1`
	sqlPostponeSessions = `
UPDATE sessions SET sweep_at = min(coalesce(ended_at, expires_at), expires_at, idle_until) + ?3
WHERE id IN (SELECT id FROM sessions WHERE sweep_at < ?1 ORDER BY sweep_at LIMIT ?2)
  AND min(coalesce(ended_at, expires_at), expires_at, idle_until) + ?3 >= ?1`
	sqlSweepSessions = `
DELETE FROM sessions
WHERE id IN (SELECT id FROM sessions WHERE sweep_at < ?1 ORDER BY sweep_at LIMIT ?2)
  AND min(coalesce(ended_at, expires_at), expires_at, idle_until) + ?3 < ?1`

	// Only a prefix of the log goes, so that what is left has no gaps.
	sqlOldestLog = `SELECT ` + logColumns + ` FROM revocations ORDER BY seq LIMIT ?1`
	sqlSweepLog  = `DELETE FROM revocations WHERE seq <= ?1`

	sqlSweepEvents = `
DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < ?1 ORDER BY id LIMIT ?2)`

	sqlWriteReady = `UPDATE meta SET ready_at = max(ready_at, ?1) WHERE id = 1`
	sqlReadReady  = `SELECT ready_at FROM meta WHERE id = 1`
)

// walkFactor is how many token rows a slice looks at for each it may remove.
const walkFactor = 4

// Sweep implements authority.Maintainer. Each kind is a commit of its own, so
// that upkeep never makes other calls wait for all of it. keepEvents of zero or
// less keeps the audit trail forever.
func (s *Store) Sweep(ctx context.Context, now time.Time, keepEvents time.Duration, limit int) (authority.Swept, error) {
	var swept authority.Swept
	if limit <= 0 {
		limit = 1000
	}
	more, err := s.sweepTokens(ctx, now, limit, &swept.Tokens)
	if err != nil {
		return swept, err
	}
	swept.More = more
	steps := []struct {
		count *int
		sweep func(t *tx, now time.Time, limit int) (removed, postponed int64, err error)
	}{
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
	if removed > 0 {
		t.changedGrants()
	}
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

// sweepTokens takes the walk over the registry one slice further and reports
// whether it has not come to its end.
func (s *Store) sweepTokens(ctx context.Context, now time.Time, limit int, count *int) (more bool, err error) {
	w := &s.walk
	w.mu.Lock()
	defer w.mu.Unlock()
	end, any := w.end(now)
	if !any {
		return false, nil
	}
	seen, err := many(ctx, s, "sweep", scanExpiry, sqlWalkTokens, w.next[:], end[:], limit*walkFactor)
	if err != nil {
		return false, err
	}
	expired := 0
	var first, last secret.ID
	for i, v := range seen {
		w.issued(v)
		if !v.ExpiresAt.Before(now) {
			continue
		}
		if expired++; expired == 1 {
			first = v.ID
		}
		last = v.ID
		if expired == limit {
			seen = seen[:i+1]
			break
		}
	}
	if expired > 0 {
		err := s.write(ctx, "sweep tokens", func(t *tx) error {
			n, err := t.exec(sqlSweepTokens, first[:], last[:], columns.Millis(now))
			*count = int(n)
			if err != nil {
				return err
			}
			_, err = t.exec(sqlSweepUses, first[:], last[:])
			return err
		})
		if err != nil {
			return false, err
		}
	}
	return w.advance(seen, len(seen) == limit*walkFactor || expired == limit), nil
}

func scanExpiry(r columns.Row) (authority.Token, error) {
	var v authority.Token
	err := r.Scan((*columns.ID)(&v.ID), (*columns.Time)(&v.ExpiresAt))
	return v, err
}

// tokenWalk finds expired tokens without an index on their expiry. Ids start
// with the time they were made, so a row younger than the shortest lifetime of
// any row cannot have expired. A pass goes over the older ones in key order, a
// slice at a time, and remembers where it was: long-lived tokens at the front
// are looked at once per pass, not once per slice.
type tokenWalk struct {
	mu       sync.Mutex
	next     secret.ID // where the pass goes on
	whole    bool      // a pass has seen the rows of earlier processes
	shortest atomic.Int64
}

// issued notes a token's lifetime. The writer calls it for each it registers.
func (w *tokenWalk) issued(v authority.Token) {
	life := v.ExpiresAt.UnixMilli() - v.ID.Time().UnixMilli()
	for {
		known := w.shortest.Load()
		if life >= known || w.shortest.CompareAndSwap(known, life) {
			return
		}
	}
}

// end is the id at which a pass can stop, and false if there is nothing before it.
func (w *tokenWalk) end(now time.Time) (secret.ID, bool) {
	if !w.whole {
		return columns.LastID, true
	}
	shortest := w.shortest.Load()
	if shortest == math.MaxInt64 {
		return secret.ID{}, false
	}
	oldest := now.Add(-time.Duration(shortest) * time.Millisecond)
	if oldest.UnixMilli() <= 0 {
		return secret.ID{}, false
	}
	return secret.FirstID(oldest), true
}

// advance moves on behind what was seen; without more to see the pass is over.
func (w *tokenWalk) advance(seen []authority.Token, more bool) bool {
	if more {
		w.next = seen[len(seen)-1].ID
		return true
	}
	w.next = secret.ID{}
	w.whole = true
	return false
}

// Ready implements authority.Maintainer.
func (s *Store) Ready(ctx context.Context, now time.Time) error {
	err := s.write(ctx, "write readiness", func(t *tx) error {
		_, err := t.exec(sqlWriteReady, columns.Millis(now))
		return err
	})
	if err != nil {
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
