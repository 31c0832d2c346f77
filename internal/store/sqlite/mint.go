package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	requestColumns = `id, client_id, requested_by, reason, body, state, decided_by, created_at, expires_at`

	sqlClientUnchanged = `SELECT 1 FROM clients WHERE id = ?1 AND version = ?2 AND disabled = 0`
	sqlAccountEnabled  = `SELECT 1 FROM accounts WHERE id = ?1 AND disabled = 0`
	sqlSessionOf       = `
SELECT 1 FROM sessions
WHERE id = ?1 AND account_id = ?2 AND ended_at IS NULL AND expires_at > ?3 AND idle_until > ?3`

	// An expired batch gives up its key.
	sqlInsertBatch = `
INSERT INTO mint_batches (client_id, key, digest, answer, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (client_id, key) DO UPDATE
SET digest = excluded.digest, answer = excluded.answer, expires_at = excluded.expires_at
WHERE mint_batches.expires_at <= ?6`
	sqlBatch = `SELECT digest, answer FROM mint_batches WHERE client_id = ?1 AND key = ?2 AND expires_at > ?3`

	sqlInsertRequest = `
INSERT INTO mint_requests (` + requestColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT DO NOTHING`
	sqlRequest  = `SELECT ` + requestColumns + ` FROM mint_requests WHERE id = ?1`
	sqlRequests = `
SELECT ` + requestColumns + ` FROM mint_requests WHERE state = 'pending' AND expires_at > ?1 AND id > ?2 ORDER BY id LIMIT ?3`
	sqlDecideRequest = `
UPDATE mint_requests SET state = ?2, decided_by = ?3 WHERE id = ?1 AND state = 'pending' AND expires_at > ?4`
	sqlRequestDone = `
UPDATE mint_requests SET state = 'done' WHERE id = ?1 AND client_id = ?2 AND state = 'approved' AND expires_at > ?3`

	sqlSweepBatches = `
DELETE FROM mint_batches WHERE (client_id, key) IN
(SELECT client_id, key FROM mint_batches WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)`
	sqlSweepRequests = `
DELETE FROM mint_requests WHERE id IN
(SELECT id FROM mint_requests WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)`
)

// IssueBatch implements authority.MintStore.
func (s *Store) IssueBatch(ctx context.Context, b authority.MintBatch) error {
	return s.write(ctx, "issue batch", func(t *tx) error {
		if err := mintable(t, b); err != nil {
			return err
		}
		if b.Key != "" {
			n, err := t.exec(sqlInsertBatch, b.ClientID, b.Key, b.Digest[:], b.Answer, columns.Millis(b.Expires), columns.Millis(b.Now))
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("idempotency key: %w", authority.ErrConflict)
			}
		}
		if !b.Request.IsZero() {
			n, err := t.exec(sqlRequestDone, b.Request[:], b.ClientID, columns.Millis(b.Now))
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("request: %w", authority.ErrUsed)
			}
		}
		for _, g := range b.Grants {
			if err := insertGrant(t, g, g.SessionID); err != nil {
				return err
			}
		}
		for _, v := range b.Tokens {
			if err := issueToken(t, v, v.GrantID, nil, columns.Millis(b.Now)); err != nil {
				return err
			}
		}
		for _, e := range b.Events {
			if err := insertEvent(t, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// mintable reports whether client, people and sessions are still what the batch
// was decided on.
func mintable(t *tx, b authority.MintBatch) error {
	var yes int
	ended := func(what string, err error) error {
		if errors.Is(err, authority.ErrNotFound) {
			return fmt.Errorf("%s: %w", what, authority.ErrEnded)
		}
		return err
	}
	if err := t.row(sqlClientUnchanged, []any{b.ClientID, b.ClientVersion}, &yes); err != nil {
		return ended("client", err)
	}
	for _, g := range b.Grants {
		if err := t.row(sqlAccountEnabled, []any{g.AccountID[:]}, &yes); err != nil {
			return ended("account", err)
		}
		if g.SessionID.IsZero() {
			continue
		}
		if err := t.row(sqlSessionOf, []any{g.SessionID[:], g.AccountID[:], columns.Millis(b.Now)}, &yes); err != nil {
			return ended("session", err)
		}
	}
	return nil
}

// MintAnswer implements authority.MintStore.
func (s *Store) MintAnswer(ctx context.Context, client, key string, now time.Time) (authority.MintAnswer, error) {
	return one(ctx, s, "batch", func(r columns.Row) (authority.MintAnswer, error) {
		var a authority.MintAnswer
		err := r.Scan(columns.Bytes(a.Digest[:]), &a.Answer)
		return a, err
	}, sqlBatch, client, key, columns.Millis(now))
}

// CreateMintRequest implements authority.MintStore.
func (s *Store) CreateMintRequest(ctx context.Context, r authority.MintRequest, e authority.Event) error {
	return s.write(ctx, "create mint request", func(t *tx) error {
		n, err := t.exec(sqlInsertRequest, r.ID[:], r.ClientID, r.RequestedBy, r.Reason, r.Body, string(r.State), r.DecidedBy,
			columns.Millis(r.CreatedAt), columns.Millis(r.ExpiresAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return authority.ErrConflict
		}
		return insertEvent(t, e)
	})
}

// MintRequest implements authority.MintStore.
func (s *Store) MintRequest(ctx context.Context, id secret.ID) (authority.MintRequest, error) {
	return one(ctx, s, "mint request", scanRequest, sqlRequest, id[:])
}

// MintRequests implements authority.MintStore.
func (s *Store) MintRequests(ctx context.Context, now time.Time, p authority.Page) ([]authority.MintRequest, error) {
	after, err := columns.PageID(p, secret.ID{})
	if err != nil {
		return nil, err
	}
	return many(ctx, s, "mint requests", scanRequest, sqlRequests, columns.Millis(now), after[:], columns.PageLimit(p))
}

// DecideMintRequest implements authority.MintStore.
func (s *Store) DecideMintRequest(ctx context.Context, id secret.ID, state authority.MintState, by string, now time.Time, e authority.Event) error {
	return s.write(ctx, "decide mint request", func(t *tx) error {
		r, err := oneOf(t, scanRequest, sqlRequest, id[:])
		switch {
		case err != nil:
			return err
		case r.State != authority.MintPending:
			return authority.ErrUsed
		case !now.Before(r.ExpiresAt):
			return authority.ErrEnded
		}
		if _, err := t.exec(sqlDecideRequest, id[:], string(state), by, columns.Millis(now)); err != nil {
			return err
		}
		return insertEvent(t, e)
	})
}

func scanRequest(r columns.Row) (authority.MintRequest, error) {
	var v authority.MintRequest
	err := r.Scan((*columns.ID)(&v.ID), &v.ClientID, &v.RequestedBy, &v.Reason, &v.Body, (*string)(&v.State), &v.DecidedBy,
		(*columns.Time)(&v.CreatedAt), (*columns.Time)(&v.ExpiresAt))
	return v, err
}

func sweepMinted(t *tx, now time.Time, limit int) (removed, postponed int64, err error) {
	batches, err := t.exec(sqlSweepBatches, columns.Millis(now), limit)
	if err != nil {
		return 0, 0, err
	}
	requests, err := t.exec(sqlSweepRequests, columns.Millis(now), limit-int(batches))
	return batches + requests, 0, err
}
