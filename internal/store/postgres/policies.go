package postgres

import (
	"context"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	policyColumns = `name, audience, data, version, created_at, updated_at`

	sqlPutPolicy = `
INSERT INTO policies (name, audience, data, seq, version, created_at, updated_at) VALUES ($1, $2, $3, $4, 1, $5, $5)
ON CONFLICT (name) DO UPDATE
SET audience = excluded.audience, data = excluded.data, seq = excluded.seq, version = policies.version + 1, updated_at = excluded.updated_at`
	sqlPolicy       = `SELECT ` + policyColumns + ` FROM policies WHERE name = $1`
	sqlPolicies     = `SELECT ` + policyColumns + ` FROM policies ORDER BY name`
	sqlDeletePolicy = `DELETE FROM policies WHERE name = $1`
)

// noPolicy is the data of a policy that is gone.
const noPolicy = "null"

// PutPolicy implements authority.PolicyStore.
func (s *Store) PutPolicy(ctx context.Context, p authority.Policy, keep time.Time, e authority.Event) (authority.Policy, error) {
	var put authority.Policy
	err := s.append(ctx, "put policy", func(t *tx) error {
		entry := authority.LogEntry{Kind: authority.KindPolicy, Name: p.Name, Data: p.Data, At: p.UpdatedAt, Until: keep}
		if err := appendLog(t, &entry); err != nil {
			return err
		}
		_, err := t.exec(sqlPutPolicy, p.Name, p.Audience, string(p.Data), int64(entry.Seq), columns.Millis(p.UpdatedAt)) // #nosec G115 -- counts up from 1
		if err != nil {
			return err
		}
		if put, err = oneOf(t, scanPolicy, sqlPolicy, p.Name); err != nil {
			return err
		}
		return insertEvent(t, e)
	})
	return put, err
}

// Policy implements authority.PolicyStore.
func (s *Store) Policy(ctx context.Context, name string) (authority.Policy, error) {
	return one(ctx, s, "policy", scanPolicy, sqlPolicy, name)
}

// Policies implements authority.PolicyStore.
func (s *Store) Policies(ctx context.Context) ([]authority.Policy, error) {
	return many(ctx, s, "policies", scanPolicy, sqlPolicies)
}

// DeletePolicy implements authority.PolicyStore.
func (s *Store) DeletePolicy(ctx context.Context, name string, now, keep time.Time, e authority.Event) error {
	return s.append(ctx, "delete policy", func(t *tx) error {
		n, err := t.exec(sqlDeletePolicy, name)
		if err != nil {
			return err
		}
		if n == 0 {
			return authority.ErrNotFound
		}
		entry := authority.LogEntry{Kind: authority.KindPolicy, Name: name, Data: []byte(noPolicy), At: now, Until: keep}
		if err := appendLog(t, &entry); err != nil {
			return err
		}
		return insertEvent(t, e)
	})
}

func scanPolicy(r columns.Row) (authority.Policy, error) {
	var p authority.Policy
	err := r.Scan(&p.Name, &p.Audience, (*columns.JSON)(&p.Data), &p.Version, (*columns.Time)(&p.CreatedAt), (*columns.Time)(&p.UpdatedAt))
	return p, err
}
