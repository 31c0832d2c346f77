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
	grantColumns = `id, type, client_id, account_id, session_id, scope, audience, auth_time, acr, amr, nonce,
has_refresh, generation, salt, refresh_key, policy, rotated_at, steps, replays, replay_generation, stale,
first_network, first_agent, last_network, last_agent, created_at, last_used, idle_until, expires_at, ended_at, end_reason, dpop_jkt,
end_code`

	sqlGrantsByID = `SELECT ` + grantColumns + ` FROM grants WHERE id = ANY($1)`

	sqlLives = `SELECT id, generation, idle_until, expires_at FROM grants WHERE id = ANY($1) AND ended_at IS NULL`

	sqlGrants = `
SELECT ` + grantColumns + ` FROM grants WHERE ended_at IS NULL AND id > $1 ORDER BY id LIMIT $2`
	sqlGrantsOfAccount = `
SELECT ` + grantColumns + ` FROM grants WHERE ended_at IS NULL AND account_id = $1 AND id > $2 ORDER BY id LIMIT $3`
	sqlGrantsOfClient = `
SELECT ` + grantColumns + ` FROM grants WHERE ended_at IS NULL AND client_id = $1 AND id > $2 ORDER BY id LIMIT $3`
	sqlGrantsOfPair = `
SELECT ` + grantColumns + ` FROM grants WHERE ended_at IS NULL AND account_id = $1 AND client_id = $2 AND id > $3 ORDER BY id LIMIT $4`

	sqlInsertGrant = `
INSERT INTO grants (` + grantColumns + `, made_in, sweep_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
        $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35)
ON CONFLICT DO NOTHING`

	sqlStanding = `
SELECT ` + grantColumns + ` FROM grants
WHERE client_id = $1 AND type = 'client_credentials' AND ended_at IS NULL AND expires_at > $2 AND idle_until > $2`
	sqlStandings = `
SELECT ` + grantColumns + ` FROM grants WHERE client_id = ANY($1) AND type = 'client_credentials' AND ended_at IS NULL`
	// An expired standing grant still holds the place of the next one.
	sqlEndExpiredStanding = `
UPDATE grants SET ended_at = $2, end_reason = 'expired', end_code = 'refresh_expired'
WHERE client_id = $1 AND type = 'client_credentials' AND ended_at IS NULL AND (expires_at <= $2 OR idle_until <= $2)`

	// sqlRotate follows an insert under the same conditions in the same transaction.
	sqlRotate = `
UPDATE grants
SET generation = generation + 1, refresh_key = $2, rotated_at = $3, last_used = $3, idle_until = $4,
    last_network = $5, last_agent = $6, steps = $7, stale = FALSE, dpop_jkt = $8
WHERE id = $1`
	sqlTouchGrant = `
UPDATE grants
SET last_used = $2, idle_until = $3, last_network = $4, last_agent = $5, replays = $6, replay_generation = $7
WHERE id = $1`

	sqlGeneration = `
SELECT generation FROM grants WHERE id = $1 AND ended_at IS NULL AND expires_at > $2 AND idle_until > $2`
)

const standing = "client_credentials"

var errNotStanding = errors.New("only a client_credentials grant is a standing grant")

// OpenStanding implements authority.GrantStore. The client's grant is live if
// it is at g.CreatedAt.
func (s *Store) OpenStanding(ctx context.Context, g authority.Grant, e authority.Event) (authority.Grant, error) {
	if g.Type != standing {
		return authority.Grant{}, fmt.Errorf("open standing grant: %w", errNotStanding)
	}
	// Nearly always there is one, and then there is nothing to write.
	now := columns.Millis(g.CreatedAt)
	found, err := s.standing.get(ctx, g.ClientID)
	if err != nil {
		return authority.Grant{}, err
	}
	open, there := found[g.ClientID]
	if there && columns.Millis(open.ExpiresAt) > now && columns.Millis(open.IdleUntil) > now {
		return open, nil
	}
	err = s.write(ctx, "open standing grant", func(t *tx) error {
		open, err = oneOf(t, scanGrant, sqlStanding, g.ClientID, now)
		if err == nil || !errors.Is(err, authority.ErrNotFound) {
			return err
		}
		if _, err := t.exec(sqlEndExpiredStanding, g.ClientID, now); err != nil {
			return err
		}
		if err := insertGrant(t, g, secret.ID{}); err != nil {
			return err
		}
		if err := insertEvent(t, e); err != nil {
			return err
		}
		open, err = oneOf(t, scanGrant, sqlStanding, g.ClientID, now)
		return err
	})
	if err != nil {
		return authority.Grant{}, err
	}
	return open, nil
}

// Grant implements authority.GrantStore.
func (s *Store) Grant(ctx context.Context, id secret.ID) (authority.Grant, error) {
	return s.grants.one(ctx, id)
}

// Grants implements authority.GrantStore. Live means not ended: the caller asks
// Grant.Live about expiry.
func (s *Store) Grants(ctx context.Context, account secret.ID, client string, p authority.Page) ([]authority.Grant, error) {
	after, err := columns.PageID(p, secret.ID{})
	if err != nil {
		return nil, err
	}
	limit := columns.PageLimit(p)
	switch {
	case !account.IsZero() && client != "":
		return many(ctx, s, "grants", scanGrant, sqlGrantsOfPair, account[:], client, after[:], limit)
	case !account.IsZero():
		return many(ctx, s, "grants", scanGrant, sqlGrantsOfAccount, account[:], after[:], limit)
	case client != "":
		return many(ctx, s, "grants", scanGrant, sqlGrantsOfClient, client, after[:], limit)
	default:
		return many(ctx, s, "grants", scanGrant, sqlGrants, after[:], limit)
	}
}

// Rotate implements authority.GrantStore.
func (s *Store) Rotate(ctx context.Context, r authority.Rotation) error {
	if r.Event == nil {
		return s.registrations.do(ctx, registration{token: r.Token, grant: r.Grant, generation: &r.From, now: columns.Millis(r.Now), rotation: &r})
	}
	return s.write(ctx, "rotate refresh token", func(t *tx) error {
		// The insert carries the conditions, so that a refusal has changed nothing.
		if err := issueToken(t, r.Token, r.Grant, &r.From, columns.Millis(r.Now)); err != nil {
			return err
		}
		_, err := t.exec(sqlRotate, r.Grant[:], r.RefreshKey, columns.Millis(r.Now), columns.Millis(r.IdleUntil),
			r.Last.Network, r.Last.UserAgent, columns.TimesText(r.Steps), r.KeyThumbprint)
		if err != nil {
			return err
		}
		return insertEvent(t, *r.Event)
	})
}

// Issue implements authority.GrantStore.
func (s *Store) Issue(ctx context.Context, i authority.Issue) error {
	if i.Token.Elsewhere && i.Touch == nil { // nothing to write
		return s.under(ctx, i)
	}
	if i.Touch == nil || i.Touch.Event == nil {
		return s.registrations.do(ctx, registration{
			token: i.Token, grant: i.Token.GrantID, generation: i.IfGeneration, now: columns.Millis(i.Now), touch: i.Touch,
		})
	}
	return s.write(ctx, "issue token", func(t *tx) error {
		if err := issueToken(t, i.Token, i.Token.GrantID, i.IfGeneration, columns.Millis(i.Now)); err != nil {
			return err
		}
		_, err := t.exec(sqlTouchGrant, i.Token.GrantID[:], columns.Millis(i.Now), columns.Millis(i.Touch.IdleUntil),
			i.Touch.Last.Network, i.Touch.Last.UserAgent, i.Touch.Replays, int64(i.Touch.ReplayGeneration))
		if err != nil {
			return err
		}
		return insertEvent(t, *i.Touch.Event)
	})
}

// under answers a call that has nothing to write.
func (s *Store) under(ctx context.Context, i authority.Issue) error {
	id := i.Token.GrantID
	found, err := s.lives.get(ctx, id)
	g, there := found[id]
	if err == nil && !there {
		err = authority.ErrNotFound
	}
	return i.Under(g, err)
}

// scanLife reads what decides whether tokens may be made under a grant.
func scanLife(r columns.Row) (authority.Grant, error) {
	var g authority.Grant
	err := r.Scan((*columns.ID)(&g.ID), &g.Generation, (*columns.Time)(&g.IdleUntil), (*columns.Time)(&g.ExpiresAt))
	return g, err
}

// insertGrant stores a grant made in a session, which may be none.
func insertGrant(t *tx, g authority.Grant, madeIn secret.ID) error {
	n, err := t.exec(sqlInsertGrant, grantRow(g, madeIn)...)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("grant id: %w", authority.ErrConflict)
	}
	return nil
}

// grantRow is a grant's row, in the order of grantColumns and what sqlInsertGrant adds.
func grantRow(g authority.Grant, madeIn secret.ID) []any {
	return []any{g.ID[:], g.Type, g.ClientID, columns.Blob(g.AccountID), columns.Blob(g.SessionID), columns.List(g.Scope),
		columns.List(g.Audience), columns.Millis(g.AuthTime), g.ACR, columns.List(g.AMR), g.Nonce, g.HasRefresh, int64(g.Generation),
		g.Salt[:], g.RefreshKey, string(g.Policy), columns.Millis(g.RotatedAt), columns.TimesText(g.Steps),
		g.Replays, int64(g.ReplayGeneration), g.Stale,
		g.First.Network, g.First.UserAgent, g.Last.Network, g.Last.UserAgent, columns.Millis(g.CreatedAt), columns.Millis(g.LastUsed),
		columns.Millis(g.IdleUntil), columns.Millis(g.ExpiresAt), columns.EndMillis(g.EndedAt), g.EndReason, g.KeyThumbprint, g.EndCode,
		columns.Blob(madeIn), columns.SweepAt(g.EndedAt, g.IdleUntil, g.ExpiresAt)}
}

func scanGrant(r columns.Row) (authority.Grant, error) {
	var g authority.Grant
	err := r.Scan((*columns.ID)(&g.ID), &g.Type, &g.ClientID, (*columns.ID)(&g.AccountID), (*columns.ID)(&g.SessionID),
		(*columns.Strings)(&g.Scope), (*columns.Strings)(&g.Audience), (*columns.Time)(&g.AuthTime), &g.ACR, (*columns.Strings)(&g.AMR),
		&g.Nonce, &g.HasRefresh, &g.Generation, columns.Bytes(g.Salt[:]), &g.RefreshKey, (*string)(&g.Policy),
		(*columns.Time)(&g.RotatedAt), (*columns.Times)(&g.Steps), &g.Replays, &g.ReplayGeneration, &g.Stale, &g.First.Network, &g.First.UserAgent,
		&g.Last.Network, &g.Last.UserAgent, (*columns.Time)(&g.CreatedAt), (*columns.Time)(&g.LastUsed),
		(*columns.Time)(&g.IdleUntil), (*columns.Time)(&g.ExpiresAt), (*columns.Time)(&g.EndedAt), &g.EndReason, &g.KeyThumbprint, &g.EndCode)
	return g, err
}
