package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	sqlLease     = `SELECT task, holder, turn, ran_at FROM leases WHERE task = $1`
	sqlMoveLease = `
INSERT INTO leases (task, holder, turn, ran_at) SELECT $1, $2, 1, $3::bigint
WHERE $4::bigint = 0 OR EXISTS (SELECT 1 FROM leases WHERE task = $1)
ON CONFLICT (task) DO UPDATE SET holder = excluded.holder, turn = leases.turn + 1, ran_at = excluded.ran_at
WHERE leases.turn = $4 RETURNING turn`

	sqlPutNote = `
INSERT INTO notes (topic, node, body, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (topic, node) DO UPDATE SET body = excluded.body, expires_at = excluded.expires_at RETURNING 1`
	sqlNotes      = `SELECT topic, node, body, expires_at FROM notes WHERE topic = $1 AND expires_at > $2 ORDER BY topic, node`
	sqlDropNote   = `DELETE FROM notes WHERE topic = $1 AND node = $2 RETURNING 1`
	sqlSweepNotes = `
DELETE FROM notes
WHERE (topic, node) IN (SELECT topic, node FROM notes WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`
)

var errNoteBounds = errors.New("a note has no topic or node, or is too long")

// Lease implements authority.NodeStore.
func (s *Store) Lease(ctx context.Context, task string) (authority.Lease, error) {
	l, err := one(ctx, s, "lease", scanLease, sqlLease, task)
	if errors.Is(err, authority.ErrNotFound) {
		return authority.Lease{Task: task}, nil
	}
	return l, err
}

// MoveLease implements authority.NodeStore.
func (s *Store) MoveLease(ctx context.Context, l authority.Lease) error {
	const what = "move lease"
	moved, err := single(ctx, s, what, scanNumber, sqlMoveLease, l.Task, l.Holder, columns.EndMillis(l.RanAt), int64(l.Turn)) // #nosec G115 -- a number the store gave out
	if err == nil && len(moved) == 0 {
		err = fmt.Errorf("%s: %w", what, authority.ErrConflict)
	}
	return err
}

// PutNote implements authority.NodeStore.
func (s *Store) PutNote(ctx context.Context, n authority.Note) error {
	if n.Topic == "" || n.Node == "" || len(n.Body) > authority.MaxNote {
		return errNoteBounds
	}
	_, err := single(ctx, s, "put note", scanNumber, sqlPutNote, string(n.Topic), n.Node, ticketValue(n.Body), columns.Millis(n.ExpiresAt))
	return err
}

// Notes implements authority.NodeStore.
func (s *Store) Notes(ctx context.Context, topic authority.NoteTopic, now time.Time) ([]authority.Note, error) {
	return many(ctx, s, "notes", scanNote, sqlNotes, string(topic), columns.Millis(now))
}

// DropNote implements authority.NodeStore.
func (s *Store) DropNote(ctx context.Context, topic authority.NoteTopic, node string) error {
	_, err := single(ctx, s, "drop note", scanNumber, sqlDropNote, string(topic), node)
	return err
}

func scanLease(r columns.Row) (authority.Lease, error) {
	var l authority.Lease
	err := r.Scan(&l.Task, &l.Holder, &l.Turn, (*columns.Time)(&l.RanAt))
	return l, err
}

func scanNote(r columns.Row) (authority.Note, error) {
	var n authority.Note
	err := r.Scan((*string)(&n.Topic), &n.Node, &n.Body, (*columns.Time)(&n.ExpiresAt))
	return n, err
}

func sweepNotes(t *tx, now time.Time, limit int) (removed, postponed int64, err error) {
	removed, err = t.exec(sqlSweepNotes, columns.Millis(now), limit)
	return removed, 0, err
}
