package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	sessionColumns = `id, account_id, digest, auth_time, amr, acr, created_at, last_seen, idle_until, expires_at,
first_network, first_agent, last_network, last_agent, ended_at, end_reason`

	sqlSession  = `SELECT ` + sessionColumns + ` FROM sessions WHERE id = $1`
	sqlSessions = `SELECT ` + sessionColumns + ` FROM sessions WHERE id > $1 ORDER BY id LIMIT $2`

	sqlSessionsOfAccount = `
SELECT ` + sessionColumns + ` FROM sessions WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3`

	// An account that was disabled while its owner was signing in gets no session.
	sqlInsertSession = `
INSERT INTO sessions (` + sessionColumns + `, sweep_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = $2 AND disabled)
ON CONFLICT DO NOTHING`
	sqlSessionExists = `SELECT id FROM sessions WHERE id = $1`

	sqlMoveSessionGrants = `UPDATE grants SET session_id = $2 WHERE session_id = $1 AND made_in = $1 AND ended_at IS NULL`
	sqlMoveMadeIn        = `UPDATE grants SET made_in = $2 WHERE made_in = $1 AND ended_at IS NULL`
	sqlDeleteSession     = `DELETE FROM sessions WHERE id = $1`

	sqlTouchSession = `
UPDATE sessions SET last_seen = $2, idle_until = $3, last_network = $4, last_agent = $5
WHERE id = $1 AND ended_at IS NULL AND expires_at > $2 AND idle_until > $2`
	sqlMoveSession  = sqlTouchSession + ` AND last_network = $6 AND last_agent = $7`
	sqlSessionMoved = `SELECT id FROM sessions WHERE id = $1 AND ended_at IS NULL AND expires_at > $2 AND idle_until > $2`
)

// CreateSession implements authority.SessionStore. ErrEnded: the account is
// disabled. ErrConflict: the id is taken.
func (s *Store) CreateSession(ctx context.Context, v authority.Session, replaces secret.ID, e authority.Event) error {
	return s.write(ctx, "create session", func(t *tx) error {
		n, err := t.exec(sqlInsertSession, v.ID[:], v.AccountID[:], v.Digest[:], columns.Millis(v.AuthTime), columns.List(v.AMR), v.ACR,
			columns.Millis(v.CreatedAt), columns.Millis(v.LastSeen), columns.Millis(v.IdleUntil), columns.Millis(v.ExpiresAt),
			v.First.Network, v.First.UserAgent, v.Last.Network, v.Last.UserAgent, columns.EndMillis(v.EndedAt), v.EndReason,
			columns.SweepAt(v.EndedAt, v.IdleUntil, v.ExpiresAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return sessionRefused(t, v.ID)
		}
		if !replaces.IsZero() && replaces != v.ID {
			for _, text := range []string{sqlMoveSessionGrants, sqlMoveMadeIn, sqlMoveTold} {
				if _, err := t.exec(text, replaces[:], v.ID[:]); err != nil {
					return err
				}
			}
			if _, err := t.exec(sqlDeleteSession, replaces[:]); err != nil {
				return err
			}
		}
		return insertEvent(t, e)
	})
}

// sessionRefused says why sqlInsertSession stored nothing.
func sessionRefused(t *tx, id secret.ID) error {
	err := t.row(sqlSessionExists, []any{id[:]}, new(columns.ID))
	switch {
	case err == nil:
		return authority.ErrConflict
	case errors.Is(err, authority.ErrNotFound):
		return fmt.Errorf("account is disabled: %w", authority.ErrEnded)
	default:
		return err
	}
}

// Session implements authority.SessionStore.
func (s *Store) Session(ctx context.Context, id secret.ID) (authority.Session, error) {
	return one(ctx, s, "session", scanSession, sqlSession, id[:])
}

// TouchSession implements authority.SessionStore. The session must be live at
// v.LastSeen; one whose row is gone has ended too.
func (s *Store) TouchSession(ctx context.Context, v authority.Session) error {
	const what = "touch session"
	touched, err := single(ctx, s, what, scanID, sqlTouchSession+` RETURNING id`,
		v.ID[:], columns.Millis(v.LastSeen), columns.Millis(v.IdleUntil), v.Last.Network, v.Last.UserAgent)
	if err == nil && len(touched) == 0 {
		err = fmt.Errorf("%s: %w", what, authority.ErrEnded)
	}
	return err
}

// MoveSession implements authority.SessionStore.
func (s *Store) MoveSession(ctx context.Context, v authority.Session, was authority.Context, e authority.Event) error {
	return s.record(ctx, "move session", func(t *tx) error {
		n, err := t.exec(sqlMoveSession, v.ID[:], columns.Millis(v.LastSeen), columns.Millis(v.IdleUntil), v.Last.Network, v.Last.UserAgent,
			was.Network, was.UserAgent)
		if err != nil {
			return err
		}
		if n > 0 {
			return insertEvent(t, e)
		}
		err = t.row(sqlSessionMoved, []any{v.ID[:], columns.Millis(v.LastSeen)}, new(columns.ID))
		switch {
		case err == nil:
			return authority.ErrConflict
		case errors.Is(err, authority.ErrNotFound):
			return authority.ErrEnded
		}
		return err
	})
}

// Sessions implements authority.SessionStore. Ended ones are listed until swept.
func (s *Store) Sessions(ctx context.Context, account secret.ID, p authority.Page) ([]authority.Session, error) {
	after, err := columns.PageID(p, secret.ID{})
	if err != nil {
		return nil, err
	}
	if account.IsZero() {
		return many(ctx, s, "sessions", scanSession, sqlSessions, after[:], columns.PageLimit(p))
	}
	return many(ctx, s, "sessions", scanSession, sqlSessionsOfAccount, account[:], after[:], columns.PageLimit(p))
}

func scanSession(r columns.Row) (authority.Session, error) {
	var v authority.Session
	err := r.Scan((*columns.ID)(&v.ID), (*columns.ID)(&v.AccountID), columns.Bytes(v.Digest[:]), (*columns.Time)(&v.AuthTime),
		(*columns.Strings)(&v.AMR), &v.ACR, (*columns.Time)(&v.CreatedAt), (*columns.Time)(&v.LastSeen),
		(*columns.Time)(&v.IdleUntil), (*columns.Time)(&v.ExpiresAt), &v.First.Network, &v.First.UserAgent,
		&v.Last.Network, &v.Last.UserAgent, (*columns.Time)(&v.EndedAt), &v.EndReason)
	return v, err
}
