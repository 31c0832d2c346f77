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
	sqlInsertToken = `
INSERT INTO tokens (jti, digest, gid, exp, uses) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING`

	// Registers a token if its grant is live at ?6 and, unless ?7 is NULL, of that generation.
	sqlIssueToken = `
INSERT INTO tokens (jti, digest, gid, exp, uses)
SELECT $1, $2, id, $4, $5 FROM grants
WHERE id = $3 AND ended_at IS NULL AND expires_at > $6 AND idle_until > $6 AND ($7::bigint IS NULL OR generation = $7)
ON CONFLICT DO NOTHING`

	sqlTokenStates = `
SELECT t.jti, t.digest, t.gid, t.exp, t.uses, g.id IS NULL OR g.ended_at IS NOT NULL, coalesce(g.end_reason, '')
FROM tokens t LEFT JOIN grants g ON g.id = t.gid
WHERE t.jti = ANY($1)`

	// What the records say of tokens whose rows are kept elsewhere: each of $1 is the
	// id of a token and that of its grant.
	sqlVouch = `
SELECT substring(w.pair FOR 16), substring(w.pair FROM 17), g.id IS NULL OR g.ended_at IS NOT NULL, coalesce(g.end_reason, ''),
       EXISTS (SELECT 1 FROM revocations r WHERE r.target = substring(w.pair FOR 16) AND r.kind = 'token')
FROM unnest($1::bytea[]) AS w (pair) LEFT JOIN grants g ON g.id = substring(w.pair FROM 17)`

	sqlDeleteToken = `DELETE FROM tokens WHERE jti = $1 AND exp > $2`
)

// Tokens implements authority.Registry. A token whose grant was swept is as
// dead as one whose grant ended.
func (s *Store) Tokens(ctx context.Context, ids []secret.ID) (map[secret.ID]authority.TokenState, error) {
	if len(ids) == 0 {
		return map[secret.ID]authority.TokenState{}, nil
	}
	found, err := s.tokens.get(ctx, ids...)
	if err != nil {
		return nil, err
	}
	states := make(map[secret.ID]authority.TokenState, len(ids))
	for _, id := range ids {
		if v, there := found[id]; there {
			states[id] = v
		}
	}
	return states, nil
}

// held names a token whose row is kept elsewhere, and its grant.
type held struct{ token, grant secret.ID }

// vouched is what the records say of one.
type vouched struct {
	held
	ended, revoked bool
	reason         string
}

// Vouch implements authority.Records.
func (s *Store) Vouch(ctx context.Context, tokens []authority.Token) (map[secret.ID]authority.TokenState, error) {
	states := make(map[secret.ID]authority.TokenState, len(tokens))
	if len(tokens) == 0 {
		return states, nil
	}
	keys := make([]held, len(tokens))
	for i, v := range tokens {
		keys[i] = held{v.ID, v.GrantID}
	}
	found, err := s.vouched.get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	for i, v := range tokens {
		if says := found[keys[i]]; !says.revoked {
			states[v.ID] = authority.TokenState{Token: v, GrantEnded: says.ended, GrantReason: says.reason}
		}
	}
	return states, nil
}

func heldList(keys []held) any {
	list := make([][]byte, len(keys))
	for i, k := range keys {
		list[i] = append(k.token[:], k.grant[:]...)
	}
	return list
}

func scanVouched(r columns.Row) (vouched, error) {
	var v vouched
	err := r.Scan((*columns.ID)(&v.token), (*columns.ID)(&v.grant), &v.ended, &v.reason, &v.revoked)
	return v, err
}

// issueToken registers a token under a live grant, or says why not.
func issueToken(t *tx, v authority.Token, grant secret.ID, generation *uint32, now int64) error {
	if !v.Elsewhere {
		n, err := t.exec(sqlIssueToken, v.ID[:], v.Digest[:], grant[:], columns.Millis(v.ExpiresAt), v.Uses, now, generation)
		if err != nil || n == 1 {
			return err
		}
	}
	var current uint32
	err := t.row(sqlGeneration, []any{grant[:], now}, &current)
	switch {
	case errors.Is(err, authority.ErrNotFound):
		return authority.ErrEnded
	case err != nil:
		return err
	case generation != nil && *generation != current:
		return fmt.Errorf("generation: %w", authority.ErrConflict)
	case v.Elsewhere:
		return nil
	default:
		return fmt.Errorf("token id: %w", authority.ErrConflict)
	}
}

// insertToken registers a token of a grant that was stored in this transaction.
func insertToken(t *tx, v authority.Token, grant secret.ID) error {
	if v.Elsewhere {
		return nil
	}
	n, err := t.exec(sqlInsertToken, v.ID[:], v.Digest[:], grant[:], columns.Millis(v.ExpiresAt), v.Uses)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("token id: %w", authority.ErrConflict)
	}
	return nil
}

func byteListAny(ids []secret.ID) any { return byteList(ids) }

func byteList(ids []secret.ID) [][]byte {
	list := make([][]byte, len(ids))
	for i := range ids {
		list[i] = ids[i][:]
	}
	return list
}

func scanToken(r columns.Row) (authority.TokenState, error) {
	var v authority.TokenState
	err := r.Scan((*columns.ID)(&v.ID), columns.Bytes(v.Digest[:]), (*columns.ID)(&v.GrantID), (*columns.Time)(&v.ExpiresAt),
		&v.Uses, &v.GrantEnded, &v.GrantReason)
	return v, err
}
