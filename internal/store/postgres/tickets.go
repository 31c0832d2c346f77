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
	// An expired ticket under the same key makes room.
	sqlCreateTicket = `
INSERT INTO tickets (kind, key, value, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
WHERE tickets.expires_at <= $5
RETURNING kind, key, value, expires_at`
	sqlTicket     = `SELECT kind, key, value, expires_at FROM tickets WHERE kind = $1 AND key = $2 AND expires_at > $3`
	sqlSwapTicket = `
UPDATE tickets SET value = $3, expires_at = $4
WHERE kind = $1 AND key = $2 AND value = $5 AND expires_at > $6
RETURNING kind, key, value, expires_at`
	sqlTakeTicket = `
DELETE FROM tickets WHERE kind = $1 AND key = $2 AND expires_at > $3
RETURNING kind, key, value, expires_at`

	sqlSweepTickets = `
DELETE FROM tickets
WHERE (kind, key) IN (SELECT kind, key FROM tickets WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`
)

var errTicketBounds = errors.New("ticket key or value is out of bounds")

// CreateTicket implements authority.TicketStore.
func (s *Store) CreateTicket(ctx context.Context, v authority.Ticket, now time.Time) error {
	if !ticketFits(v) {
		return errTicketBounds
	}
	const what = "create ticket"
	made, err := single(ctx, s, what, scanTicket, sqlCreateTicket, string(v.Kind), v.Key, ticketValue(v.Value), columns.Millis(v.ExpiresAt), columns.Millis(now))
	if err == nil && len(made) == 0 {
		err = fmt.Errorf("%s: %w", what, authority.ErrConflict)
	}
	return err
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
	const what = "swap ticket"
	swapped, err := single(ctx, s, what, scanTicket, sqlSwapTicket,
		string(v.Kind), v.Key, ticketValue(v.Value), columns.Millis(v.ExpiresAt), ticketValue(old), columns.Millis(now))
	if err != nil || len(swapped) == 1 {
		return err
	}
	if _, err := one(ctx, s, what, scanTicket, sqlTicket, string(v.Kind), v.Key, columns.Millis(now)); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", what, authority.ErrConflict)
}

// TakeTicket implements authority.TicketStore.
func (s *Store) TakeTicket(ctx context.Context, kind authority.TicketKind, key string, now time.Time) (authority.Ticket, error) {
	const what = "take ticket"
	taken, err := single(ctx, s, what, scanTicket, sqlTakeTicket, string(kind), key, columns.Millis(now))
	switch {
	case err != nil:
		return authority.Ticket{}, err
	case len(taken) == 0:
		return authority.Ticket{}, fmt.Errorf("%s: %w", what, authority.ErrNotFound)
	}
	return taken[0], nil
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
