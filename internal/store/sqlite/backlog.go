package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	// There is no index of when tokens expire: the oldest are looked at.
	sqlBacklog = `
SELECT 'token', count(*), coalesce(min(exp), 0) FROM
  (SELECT exp FROM tokens ORDER BY jti LIMIT ?2) AS due WHERE exp < ?1
UNION ALL SELECT 'code', count(*), coalesce(min(expires_at), 0) FROM
  (SELECT expires_at FROM codes WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2) AS due
UNION ALL SELECT 'grant', count(*), coalesce(min(sweep_at), 0) FROM
  (SELECT sweep_at FROM grants WHERE sweep_at < ?1 ORDER BY sweep_at LIMIT ?2) AS due
UNION ALL SELECT 'session', count(*), coalesce(min(sweep_at), 0) FROM
  (SELECT sweep_at FROM sessions WHERE sweep_at < ?1 ORDER BY sweep_at LIMIT ?2) AS due
UNION ALL SELECT 'batch', count(*), coalesce(min(expires_at), 0) FROM
  (SELECT expires_at FROM mint_batches WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2) AS due
UNION ALL SELECT 'request', count(*), coalesce(min(expires_at), 0) FROM
  (SELECT expires_at FROM mint_requests WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2) AS due
UNION ALL SELECT 'mark', count(*), coalesce(min(until), 0) FROM
  (SELECT until FROM account_marks WHERE until < ?1 ORDER BY until LIMIT ?2) AS due
UNION ALL SELECT 'delivery', count(*), coalesce(min(keep_until), 0) FROM
  (SELECT keep_until FROM deliveries WHERE keep_until IS NOT NULL AND keep_until < ?1 ORDER BY keep_until LIMIT ?2) AS due
UNION ALL SELECT 'ticket', count(*), coalesce(min(expires_at), 0) FROM
  (SELECT expires_at FROM tickets WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2) AS due
UNION ALL SELECT 'note', count(*), coalesce(min(expires_at), 0) FROM
  (SELECT expires_at FROM notes WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2) AS due`
	sqlOldEvents = `SELECT id FROM events WHERE id < ?1 ORDER BY id LIMIT ?2`
)

// Backlog implements authority.Maintainer.
func (s *Store) Backlog(ctx context.Context, now time.Time, keepEvents time.Duration, limit int) ([]authority.Due, error) {
	const what = "backlog"
	due, err := many(ctx, s, what, scanDue, sqlBacklog, columns.Millis(now), limit)
	if err != nil {
		return nil, err
	}
	log, err := many(ctx, s, what, scanEntry, sqlOldestLog, limit)
	if err != nil {
		return nil, err
	}
	over := authority.Due{Kind: "log"}
	if over.Rows = expiredPrefix(log, now); over.Rows > 0 {
		over.Oldest = log[0].Until
	}
	old := authority.Due{Kind: "event"}
	if before := now.Add(-keepEvents); keepEvents > 0 && before.UnixMilli() > 0 {
		first := secret.FirstID(before)
		events, err := many(ctx, s, what, scanID, sqlOldEvents, first[:], limit)
		if err != nil {
			return nil, err
		}
		if old.Rows = len(events); old.Rows > 0 {
			old.Oldest = events[0].Time().Add(keepEvents)
		}
	}
	return append(due, over, old), nil
}

// expiredPrefix is how many entries at the front of the log are over. Only they
// can go, so that what is left has no gaps.
func expiredPrefix(oldest []authority.LogEntry, now time.Time) int {
	for i, entry := range oldest {
		if !entry.Until.Before(now) {
			return i
		}
	}
	return len(oldest)
}

func scanDue(r columns.Row) (authority.Due, error) {
	var d authority.Due
	var oldest int64
	if err := r.Scan(&d.Kind, &d.Rows, &oldest); err != nil {
		return d, fmt.Errorf("what is due: %w", err)
	}
	if d.Rows > 0 {
		d.Oldest = time.UnixMilli(oldest).UTC()
	}
	return d, nil
}
