package sqlite

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	sqlInsertToken = `
INSERT INTO tokens (jti, digest, gid, exp, uses) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT DO NOTHING`

	// Registers a token if its grant is live at ?6 and, unless ?7 is NULL, of that generation.
	sqlIssueToken = `
INSERT INTO tokens (jti, digest, gid, exp, uses)
SELECT ?1, ?2, id, ?4, ?5 FROM grants
WHERE id = ?3 AND ended_at IS NULL AND expires_at > ?6 AND idle_until > ?6 AND (?7 IS NULL OR generation = ?7)
ON CONFLICT DO NOTHING`

	sqlTokenState = `
SELECT t.jti, t.digest, t.gid, t.exp, t.uses, g.id IS NULL OR g.ended_at IS NOT NULL, coalesce(g.end_reason, '')
FROM tokens t LEFT JOIN grants g ON g.id = t.gid
WHERE t.jti = ?1`

	// ?1 is a JSON array of hexadecimal ids.
	sqlTokenStates = `
SELECT t.jti, t.digest, t.gid, t.exp, t.uses, g.id IS NULL OR g.ended_at IS NOT NULL, coalesce(g.end_reason, '')
FROM json_each(?1) j CROSS JOIN tokens t ON t.jti = unhex(j.value) LEFT JOIN grants g ON g.id = t.gid`

	// What the records say of tokens whose rows are kept elsewhere: each text in the
	// JSON array ?1 is the id of a token and that of its grant.
	sqlVouch = `
SELECT unhex(substr(j.value, 1, 32)), g.id IS NULL OR g.ended_at IS NOT NULL, coalesce(g.end_reason, ''),
       EXISTS (SELECT 1 FROM revocations r WHERE r.target = unhex(substr(j.value, 1, 32)) AND r.kind = 'token')
FROM json_each(?1) j LEFT JOIN grants g ON g.id = unhex(substr(j.value, 33))`

	sqlDeleteToken = `DELETE FROM tokens WHERE jti = ?1 AND exp > ?2`
)

// Tokens implements authority.Registry. A token whose grant was swept is as
// dead as one whose grant ended.
func (s *Store) Tokens(ctx context.Context, ids []secret.ID) (map[secret.ID]authority.TokenState, error) {
	var found []authority.TokenState
	var err error
	switch len(ids) {
	case 0:
		return map[secret.ID]authority.TokenState{}, nil
	case 1:
		found, err = many(ctx, s, "tokens", scanToken, sqlTokenState, ids[0][:])
	default:
		found, err = many(ctx, s, "tokens", scanToken, sqlTokenStates, hexList(ids))
	}
	if err != nil {
		return nil, err
	}
	states := make(map[secret.ID]authority.TokenState, len(found))
	for _, v := range found {
		states[v.ID] = v
	}
	return states, nil
}

// Vouch implements authority.Records.
func (s *Store) Vouch(ctx context.Context, tokens []authority.Token) (map[secret.ID]authority.TokenState, error) {
	states := make(map[secret.ID]authority.TokenState, len(tokens))
	if len(tokens) == 0 {
		return states, nil
	}
	both := make([]secret.ID, 0, 2*len(tokens))
	for _, v := range tokens {
		both = append(both, v.ID, v.GrantID)
		states[v.ID] = authority.TokenState{Token: v}
	}
	found, err := many(ctx, s, "tokens kept elsewhere", scanVouched, sqlVouch, hexLists(2, both...))
	if err != nil {
		return nil, err
	}
	for _, says := range found {
		state := states[says.token]
		state.GrantEnded, state.GrantReason = says.ended, says.reason
		states[says.token] = state
	}
	for _, says := range found {
		if says.revoked {
			delete(states, says.token)
		}
	}
	return states, nil
}

// vouched is what the records say of a token whose row is kept elsewhere.
type vouched struct {
	token          secret.ID
	ended, revoked bool
	reason         string
}

func scanVouched(r columns.Row) (vouched, error) {
	var v vouched
	err := r.Scan((*columns.ID)(&v.token), &v.ended, &v.reason, &v.revoked)
	return v, err
}

// issueToken registers a token under a live grant, or says why not.
func issueToken(t *tx, v authority.Token, grant secret.ID, generation *uint32, now int64) error {
	if !v.Elsewhere {
		n, err := t.exec(sqlIssueToken, v.ID[:], v.Digest[:], grant[:], columns.Millis(v.ExpiresAt), v.Uses, now, generation)
		if err != nil {
			return err
		}
		if n == 1 {
			t.walk.issued(v)
			return nil
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
	t.walk.issued(v)
	return nil
}

func hexList(ids []secret.ID) string { return hexLists(1, ids...) }

// hexLists is a JSON array of texts of n ids each.
func hexLists(n int, ids ...secret.ID) string {
	text := make([]byte, 0, 2+len(ids)*35)
	text = append(text, '[')
	for i := range ids {
		switch {
		case i == 0:
			text = append(text, '"')
		case i%n == 0:
			text = append(text, `","`...)
		}
		text = hex.AppendEncode(text, ids[i][:])
	}
	if len(ids) > 0 {
		text = append(text, '"')
	}
	return string(append(text, ']'))
}

func scanToken(r columns.Row) (authority.TokenState, error) {
	var v authority.TokenState
	err := r.Scan((*columns.ID)(&v.ID), columns.Bytes(v.Digest[:]), (*columns.ID)(&v.GrantID), (*columns.Time)(&v.ExpiresAt),
		&v.Uses, &v.GrantEnded, &v.GrantReason)
	return v, err
}
