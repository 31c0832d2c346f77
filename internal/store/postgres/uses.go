package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	// The rows are locked in one order, and read after: what was written while this
	// waited is seen.
	sqlLockTokens = `SELECT jti FROM tokens WHERE jti = ANY($1) ORDER BY jti FOR NO KEY UPDATE`
	sqlUses       = `
SELECT u.jti, u.request FROM unnest($1::bytea[], $2::bytea[]) AS r (jti, request)
JOIN uses u ON u.jti = r.jti AND u.request = r.request`
	sqlCount = `
UPDATE tokens t SET uses = t.uses - r.n
FROM unnest($1::bytea[], $2::bigint[]) AS r (jti, n) WHERE t.jti = r.jti`
	sqlInsertUses = `INSERT INTO uses (jti, request) SELECT * FROM unnest($1::bytea[], $2::bytea[])`

	sqlDeleteUses = `DELETE FROM uses WHERE jti = $1`
	sqlSweepUses  = `DELETE FROM uses WHERE jti = ANY($1)`
)

// use is one use of a call, and where its outcome goes.
type use struct {
	authority.Use
	now     int64
	outcome *error
}

// Consume implements authority.Registry. All uses of a call are one commit.
func (s *Store) Consume(ctx context.Context, uses []authority.Use, now time.Time) ([]error, error) {
	outcomes := make([]error, len(uses))
	if len(uses) == 0 {
		return outcomes, ctx.Err()
	}
	wanted := make([]use, len(uses))
	for i, u := range uses {
		wanted[i] = use{Use: u, now: columns.Millis(now), outcome: &outcomes[i]}
	}
	if err := s.consumptions.do(ctx, wanted); err != nil {
		return nil, err
	}
	return outcomes, nil
}

// consume counts the uses of a batch of calls, in their order. Whoever counts
// holds the token's row, so that exactly as many succeed as there were uses.
func (s *Store) consume(ctx context.Context, conn *pgxpool.Conn, batch [][]use) ([]error, error) {
	wanted := slices.Concat(batch...)
	t, err := begin(ctx, conn, pgx.ReadCommitted)
	if err != nil {
		return nil, err
	}
	c, err := countable(ctx, t, wanted)
	if err == nil {
		for _, u := range wanted {
			*u.outcome = c.count(u)
		}
		err = c.write(ctx, t)
	}
	if err == nil {
		err = t.Commit(ctx)
	} else {
		_ = t.Rollback(ctx)
	}
	return make([]error, len(batch)), err
}

// counting is what decides about the uses of a batch, and what comes of it.
type counting struct {
	tokens map[secret.ID]authority.TokenState
	had    map[[2]secret.ID]bool // uses, by token and request, that were counted
	taken  map[secret.ID]int64
	jti    [][]byte // of the new uses
	asked  [][]byte
}

// countable locks the tokens and reads them and the uses that they had.
func countable(ctx context.Context, t pgx.Tx, wanted []use) (*counting, error) {
	c := &counting{tokens: map[secret.ID]authority.TokenState{}, had: map[[2]secret.ID]bool{}, taken: map[secret.ID]int64{}}
	var jti, requests [][]byte
	for _, u := range wanted {
		jti, requests = append(jti, u.Token[:]), append(requests, u.Request[:])
	}
	var b pgx.Batch
	b.Queue(sqlLockTokens, jti)
	b.Queue(sqlTokenStates, jti).Query(func(rows pgx.Rows) error {
		found, err := collect(rows, scanToken)
		for _, v := range found {
			c.tokens[v.ID] = v
		}
		return err
	})
	b.Queue(sqlUses, jti, requests).Query(func(rows pgx.Rows) error {
		found, err := collect(rows, scanUse)
		for _, u := range found {
			c.had[u] = true
		}
		return err
	})
	return c, t.SendBatch(ctx, &b).Close()
}

func scanUse(r columns.Row) (use [2]secret.ID, err error) {
	return use, r.Scan((*columns.ID)(&use[0]), (*columns.ID)(&use[1]))
}

// count counts one use, or says why not.
func (c *counting) count(u use) error {
	token, found := c.tokens[u.Token]
	key := [2]secret.ID{u.Token, u.Request}
	switch {
	case !found, !secret.Equal(token.Digest[:], u.Digest[:]), columns.Millis(token.ExpiresAt) <= u.now:
		return authority.ErrNotFound
	case token.GrantEnded:
		return authority.ErrEnded
	case token.Uses == nil:
		return authority.ErrConflict
	case c.had[key]:
		return nil
	case *token.Uses <= c.taken[u.Token]:
		return authority.ErrUsed
	}
	c.had[key] = true
	c.taken[u.Token]++
	c.jti, c.asked = append(c.jti, u.Token[:]), append(c.asked, u.Request[:])
	return nil
}

func (c *counting) write(ctx context.Context, t pgx.Tx) error {
	if len(c.jti) == 0 {
		return nil
	}
	var jti [][]byte
	var n []int64
	for id, taken := range c.taken {
		jti, n = append(jti, id[:]), append(n, taken)
	}
	var b pgx.Batch
	b.Queue(sqlCount, jti, n)
	b.Queue(sqlInsertUses, c.jti, c.asked)
	return t.SendBatch(ctx, &b).Close()
}
