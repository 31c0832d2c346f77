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
	codeColumns = `id, digest, client_id, account_id, session_id, redirect_uri, challenge, scope, audience, nonce,
auth_time, acr, amr, network, agent, created_at, expires_at, grant_id, dpop_jkt`

	sqlCode = `SELECT ` + codeColumns + ` FROM codes WHERE id = $1`

	sqlInsertCode = `
INSERT INTO codes (` + codeColumns + `)
SELECT $1, $2, $3, $4, id, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
FROM sessions
WHERE id = $5 AND ended_at IS NULL AND expires_at > $16 AND idle_until > $16
ON CONFLICT DO NOTHING`
	sqlCodeExists = `SELECT id FROM codes WHERE id = $1`

	// What decides whether a code can be redeemed, as of ?2.
	sqlRedeemable = `
SELECT c.session_id, c.expires_at > $2, c.grant_id IS NOT NULL,
       s.id IS NOT NULL AND s.ended_at IS NULL AND s.expires_at > $2 AND s.idle_until > $2,
       coalesce(a.disabled, FALSE)
FROM codes c LEFT JOIN sessions s ON s.id = c.session_id LEFT JOIN accounts a ON a.id = c.account_id
WHERE c.id = $1`
	sqlMarkRedeemed = `UPDATE codes SET grant_id = $2 WHERE id = $1 AND grant_id IS NULL`

	sqlDropCodesOfClient = `DELETE FROM codes WHERE client_id = $1 AND grant_id IS NULL`
	sqlDropCodesOfPair   = `DELETE FROM codes WHERE client_id = $1 AND account_id = $2 AND grant_id IS NULL`
)

// CreateCode implements authority.GrantStore.
func (s *Store) CreateCode(ctx context.Context, c authority.Code, consent *authority.Consent, e *authority.Event) error {
	return s.write(ctx, "create code", func(t *tx) error {
		n, err := t.exec(sqlInsertCode, c.ID[:], c.Digest[:], c.ClientID, c.AccountID[:], c.SessionID[:], c.RedirectURI,
			c.Challenge, columns.List(c.Scope), columns.List(c.Audience), c.Nonce, columns.Millis(c.AuthTime), c.ACR, columns.List(c.AMR),
			c.Context.Network, c.Context.UserAgent, columns.Millis(c.CreatedAt), columns.Millis(c.ExpiresAt), columns.Blob(c.GrantID), c.KeyThumbprint)
		if err != nil {
			return err
		}
		if n == 0 {
			return codeRefused(t, c.ID)
		}
		if consent != nil {
			if err := putConsent(t, *consent); err != nil {
				return err
			}
		}
		if e != nil {
			return insertEvent(t, *e)
		}
		return nil
	})
}

// codeRefused says why sqlInsertCode stored nothing.
func codeRefused(t *tx, id secret.ID) error {
	err := t.row(sqlCodeExists, []any{id[:]}, new(columns.ID))
	switch {
	case err == nil:
		return authority.ErrConflict
	case errors.Is(err, authority.ErrNotFound):
		return fmt.Errorf("session: %w", authority.ErrEnded)
	default:
		return err
	}
}

// Code implements authority.GrantStore.
func (s *Store) Code(ctx context.Context, id secret.ID) (authority.Code, error) {
	return one(ctx, s, "code", scanCode, sqlCode, id[:])
}

// Redeem implements authority.GrantStore. A code that was used is ErrUsed, also
// after it expired or its session ended.
func (s *Store) Redeem(ctx context.Context, r authority.Redemption) error {
	return s.write(ctx, "redeem code", func(t *tx) error {
		madeIn, err := redeemable(t, r)
		if err != nil {
			return err
		}
		if err := insertGrant(t, r.Grant, madeIn); err != nil {
			return err
		}
		if _, err := t.exec(sqlMarkRedeemed, r.Code[:], r.Grant.ID[:]); err != nil {
			return err
		}
		if err := insertToken(t, r.Token, r.Grant.ID); err != nil {
			return err
		}
		if r.TellLogout {
			if _, err := t.exec(sqlTellClient, madeIn[:], r.Grant.ClientID); err != nil {
				return err
			}
		}
		return insertEvent(t, r.Event)
	})
}

// redeemable returns the session that the code was made in, or why the code
// cannot be redeemed.
func redeemable(t *tx, r authority.Redemption) (secret.ID, error) {
	var session secret.ID
	var fresh, used, live, disabled bool
	err := t.row(sqlRedeemable, []any{r.Code[:], columns.Millis(r.Now)}, (*columns.ID)(&session), &fresh, &used, &live, &disabled)
	switch {
	case err != nil:
		return secret.ID{}, err
	case used:
		return secret.ID{}, authority.ErrUsed
	case !fresh:
		return secret.ID{}, fmt.Errorf("code expired: %w", authority.ErrNotFound)
	case !live, !r.Grant.SessionID.IsZero() && r.Grant.SessionID != session:
		return secret.ID{}, fmt.Errorf("session: %w", authority.ErrEnded)
	case disabled:
		return secret.ID{}, fmt.Errorf("account: %w", authority.ErrEnded)
	}
	return session, nil
}

func scanCode(r columns.Row) (authority.Code, error) {
	var c authority.Code
	err := r.Scan((*columns.ID)(&c.ID), columns.Bytes(c.Digest[:]), &c.ClientID, (*columns.ID)(&c.AccountID),
		(*columns.ID)(&c.SessionID), &c.RedirectURI, &c.Challenge, (*columns.Strings)(&c.Scope), (*columns.Strings)(&c.Audience),
		&c.Nonce, (*columns.Time)(&c.AuthTime), &c.ACR, (*columns.Strings)(&c.AMR), &c.Context.Network, &c.Context.UserAgent,
		(*columns.Time)(&c.CreatedAt), (*columns.Time)(&c.ExpiresAt), (*columns.ID)(&c.GrantID), &c.KeyThumbprint)
	return c, err
}
