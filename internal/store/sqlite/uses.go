package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	// Takes one of the uses left, unless this request has had one.
	sqlConsume = `
UPDATE tokens SET uses = uses - 1
WHERE jti = ?1 AND digest = ?2 AND exp > ?4 AND uses > 0
  AND EXISTS (SELECT 1 FROM grants g WHERE g.id = gid AND g.ended_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM uses u WHERE u.jti = ?1 AND u.request = ?3)`
	sqlInsertUse = `INSERT INTO uses (jti, request) VALUES (?1, ?2)`
	sqlUse       = `SELECT 1 FROM uses WHERE jti = ?1 AND request = ?2`

	sqlDeleteUses = `DELETE FROM uses WHERE jti = ?1`
	sqlSweepUses  = `
DELETE FROM uses
WHERE jti >= ?1 AND jti <= ?2 AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.jti = uses.jti)`
)

// Consume implements authority.Registry. All uses of a call are one commit.
func (s *Store) Consume(ctx context.Context, uses []authority.Use, now time.Time) ([]error, error) {
	outcomes := make([]error, len(uses))
	if len(uses) == 0 {
		return outcomes, ctx.Err()
	}
	err := s.write(ctx, "consume", func(t *tx) error {
		for i, u := range uses {
			outcome, err := consume(t, u, columns.Millis(now))
			if err != nil {
				return err
			}
			outcomes[i] = outcome
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

// consume counts one use, or finds out why not.
func consume(t *tx, u authority.Use, now int64) (outcome, err error) {
	n, err := t.exec(sqlConsume, u.Token[:], u.Digest[:], u.Request[:], now)
	if err != nil {
		return nil, err
	}
	if n == 1 {
		_, err = t.exec(sqlInsertUse, u.Token[:], u.Request[:])
		return nil, err
	}
	state, err := oneOf(t, scanToken, sqlTokenState, u.Token[:])
	switch {
	case errors.Is(err, authority.ErrNotFound):
		return authority.ErrNotFound, nil
	case err != nil:
		return nil, err
	case !secret.Equal(state.Digest[:], u.Digest[:]), columns.Millis(state.ExpiresAt) <= now:
		return authority.ErrNotFound, nil
	case state.GrantEnded:
		return authority.ErrEnded, nil
	case state.Uses == nil:
		return authority.ErrConflict, nil
	}
	var counted int
	err = t.row(sqlUse, []any{u.Token[:], u.Request[:]}, &counted)
	if errors.Is(err, authority.ErrNotFound) {
		return authority.ErrUsed, nil
	}
	return nil, err
}
