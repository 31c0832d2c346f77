package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	// An expired ticket under the same key makes room.
	sqlCreateTicket = `
INSERT INTO tickets (kind, key, value, expires_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
WHERE tickets.expires_at <= ?5`
	sqlTicket     = `SELECT kind, key, value, expires_at FROM tickets WHERE kind = ?1 AND key = ?2 AND expires_at > ?3`
	sqlSwapTicket = `
UPDATE tickets SET value = ?3, expires_at = ?4
WHERE kind = ?1 AND key = ?2 AND value = ?5 AND expires_at > ?6`
	sqlTakeTicket = `
DELETE FROM tickets WHERE kind = ?1 AND key = ?2 AND expires_at > ?3
RETURNING kind, key, value, expires_at`

	sqlSweepTickets = `
DELETE FROM tickets
WHERE (kind, key) IN (SELECT kind, key FROM tickets WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)`
)

var errTicketBounds = errors.New("ticket key or value is out of bounds")

// CreateTicket implements authority.TicketStore.
func (s *Store) CreateTicket(ctx context.Context, v authority.Ticket, now time.Time) error {
	if !ticketFits(v) {
		return errTicketBounds
	}
	return s.write(ctx, "create ticket", func(t *tx) error {
		n, err := t.exec(sqlCreateTicket, string(v.Kind), v.Key, ticketValue(v.Value), columns.Millis(v.ExpiresAt), columns.Millis(now))
		if err == nil && n == 0 {
			err = authority.ErrConflict
		}
		return err
	})
}

// Ticket implements authority.TicketStore.
func (s *Store) Ticket(ctx context.Context, kind authority.TicketKind, key string, now time.Time) (authority.Ticket, error) {
	return one(ctx, s, "ticket", scanTicket, sqlTicket, string(kind), key, columns.Millis(now))
}

// SwapTicket implements authority.TicketStore.
func (s *Store) SwapTicket(ctx context.Context, v authority.Ticket, old []byte, now time.Time) error {
	if !ticketFits(v) {
		return errTicketBounds
	}
	return s.write(ctx, "swap ticket", func(t *tx) error {
		n, err := t.exec(sqlSwapTicket, string(v.Kind), v.Key, ticketValue(v.Value), columns.Millis(v.ExpiresAt), ticketValue(old), columns.Millis(now))
		if err != nil || n == 1 {
			return err
		}
		if _, err := oneOf(t, scanTicket, sqlTicket, string(v.Kind), v.Key, columns.Millis(now)); err != nil {
			return err
		}
		return authority.ErrConflict
	})
}

// TakeTicket implements authority.TicketStore.
func (s *Store) TakeTicket(ctx context.Context, kind authority.TicketKind, key string, now time.Time) (taken authority.Ticket, err error) {
	err = s.write(ctx, "take ticket", func(t *tx) error {
		found, err := manyOf(t, scanTicket, sqlTakeTicket, string(kind), key, columns.Millis(now))
		t.changed += int64(len(found))
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			return authority.ErrNotFound
		}
		taken = found[0]
		return nil
	})
	if err != nil {
		return authority.Ticket{}, err
	}
	return taken, nil
}

func ticketFits(v authority.Ticket) bool {
	return v.Kind != "" && v.Key != "" && len(v.Key) <= authority.MaxTicketKey && len(v.Value) <= authority.MaxTicketValue
}

// ticketValue is never NULL, so that an empty value compares as one.
func ticketValue(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

func scanTicket(r columns.Row) (authority.Ticket, error) {
	var v authority.Ticket
	err := r.Scan((*string)(&v.Kind), &v.Key, &v.Value, (*columns.Time)(&v.ExpiresAt))
	return v, err
}

func sweepTickets(t *tx, now time.Time, limit int) (removed, postponed int64, err error) {
	removed, err = t.exec(sqlSweepTickets, columns.Millis(now), limit)
	return removed, 0, err
}
