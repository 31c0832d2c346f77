package sqlite

import (
	"context"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
)

const (
	keyColumns = `id, ring, algorithm, state, sealed, created_at, changed_at`

	sqlKeys      = `SELECT ` + keyColumns + ` FROM keys ORDER BY ring, created_at, id`
	sqlKeyActive = `SELECT count(*) FROM keys WHERE ring = ?1 AND algorithm = ?2 AND state = 'active'`
	sqlInsertKey = `
INSERT INTO keys (` + keyColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT DO NOTHING`
)

// Keys implements authority.KeyStore. They come by ring, oldest first.
func (s *Store) Keys(ctx context.Context) ([]authority.Key, error) {
	return many(ctx, s, "keys", scanKey, sqlKeys)
}

// CreateKeys implements authority.KeyStore.
func (s *Store) CreateKeys(ctx context.Context, keys []authority.Key, e authority.Event) error {
	return s.write(ctx, "create keys", func(t *tx) error {
		for _, k := range keys {
			var active int64
			if err := t.row(sqlKeyActive, []any{k.Ring, k.Algorithm}, &active); err != nil {
				return err
			}
			if active > 0 {
				return fmt.Errorf("ring %s has an active %s key: %w", k.Ring, k.Algorithm, authority.ErrConflict)
			}
		}
		for _, k := range keys {
			n, err := t.exec(sqlInsertKey, k.ID, k.Ring, k.Algorithm, string(k.State), k.Sealed, millis(k.CreatedAt), millis(k.ChangedAt))
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("key of ring %s: %w", k.Ring, authority.ErrConflict)
			}
		}
		return insertEvent(t, e)
	})
}

func scanKey(r row) (authority.Key, error) {
	var k authority.Key
	err := r.Scan(&k.ID, &k.Ring, &k.Algorithm, (*string)(&k.State), &k.Sealed,
		(*timeColumn)(&k.CreatedAt), (*timeColumn)(&k.ChangedAt))
	return k, err
}
