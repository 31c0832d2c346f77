package postgres

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	eventColumns = `id, type, actor_kind, actor_id, account_id, client_id, session_id, grant_id, token_id, network, agent, reason, data`

	sqlInsertEvent = `
INSERT INTO events (` + eventColumns + `)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT DO NOTHING`

	// The filters are: id below ?1 and not below ?2, then type, account and
	// client, each of which is NULL to match anything.
	sqlEvents = `
SELECT ` + eventColumns + ` FROM events
WHERE id < $1 AND id >= $2
ORDER BY id DESC LIMIT $3`
	sqlEventsOfType = `
SELECT ` + eventColumns + ` FROM events
WHERE id < $1 AND id >= $2 AND type = $4
ORDER BY id DESC LIMIT $3`
	sqlEventsOfAccount = `
SELECT ` + eventColumns + ` FROM events
WHERE id < $1 AND id >= $2 AND account_id = $4 AND ($5::text IS NULL OR client_id = $5) AND ($6::text IS NULL OR type = $6)
ORDER BY id DESC LIMIT $3`
	sqlEventsOfClient = `
SELECT ` + eventColumns + ` FROM events
WHERE id < $1 AND id >= $2 AND client_id = $4 AND client_id <> '' AND ($5::text IS NULL OR type = $5)
ORDER BY id DESC LIMIT $3`
)

var (
	errEventID   = errors.New("event has no id")
	errEventUsed = errors.New("event id was used before")
)

// AppendEvent implements authority.EventStore.
func (s *Store) AppendEvent(ctx context.Context, e authority.Event) error {
	return s.record(ctx, "append event", func(t *tx) error { return insertEvent(t, e) })
}

// Events implements authority.EventStore.
func (s *Store) Events(ctx context.Context, f authority.EventFilter, p authority.Page) ([]authority.Event, error) {
	before, err := columns.PageID(p, columns.LastID)
	if err != nil {
		return nil, err
	}
	var since secret.ID
	if f.Since.UnixMilli() > 0 {
		since = secret.FirstID(f.Since)
	}
	text, args := sqlEvents, []any{before[:], since[:], columns.PageLimit(p)}
	switch {
	case !f.AccountID.IsZero():
		text, args = sqlEventsOfAccount, append(args, f.AccountID[:], orAny(f.ClientID), orAny(string(f.Type)))
	case f.ClientID != "":
		text, args = sqlEventsOfClient, append(args, f.ClientID, orAny(string(f.Type)))
	case f.Type != "":
		text, args = sqlEventsOfType, append(args, string(f.Type))
	}
	return many(ctx, s, "events", scanEvent, text, args...)
}

// orAny is NULL, which matches anything, for the empty string.
func orAny(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// insertEvent writes e in the transaction of what it reports. Its failure is
// the failure of the whole call.
func insertEvent(t *tx, e authority.Event) error {
	if e.ID.IsZero() {
		return errEventID
	}
	data, err := json.Marshal(e.Data)
	if err != nil {
		return err
	}
	n, err := t.exec(sqlInsertEvent, e.ID[:], string(e.Type), e.Actor.Kind, e.Actor.ID, columns.Blob(e.AccountID), e.ClientID,
		columns.Blob(e.SessionID), columns.Blob(e.GrantID), columns.Blob(e.TokenID), e.Context.Network, e.Context.UserAgent, e.Reason, string(data))
	if err != nil {
		return err
	}
	if n == 0 {
		return errEventUsed
	}
	t.recorded = true
	_, err = t.exec(sqlLogEvent, e.ID[:])
	return err
}

func scanEvent(r columns.Row) (authority.Event, error) {
	var e authority.Event
	var data string
	err := r.Scan((*columns.ID)(&e.ID), (*string)(&e.Type), &e.Actor.Kind, &e.Actor.ID, (*columns.ID)(&e.AccountID),
		&e.ClientID, (*columns.ID)(&e.SessionID), (*columns.ID)(&e.GrantID), (*columns.ID)(&e.TokenID),
		&e.Context.Network, &e.Context.UserAgent, &e.Reason, &data)
	if err != nil {
		return authority.Event{}, err
	}
	err = json.Unmarshal([]byte(data), &e.Data)
	return e, err
}
