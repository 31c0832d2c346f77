package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	keyColumns = `id, ring, slot, algorithm, state, public, sealed, created_at, changed_at, due_at`

	// One statement, so that the keys and the versions of their rings are of one moment.
	sqlKeys = `
SELECT ` + keyColumns + `, (SELECT version FROM key_rings r WHERE r.ring = keys.ring) FROM keys ORDER BY ring, created_at, id`
	sqlKeyActive = `SELECT count(*) FROM keys WHERE ring = ?1 AND slot = ?2 AND state = 'active'`
	sqlInsertKey = `
INSERT INTO keys (` + keyColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT DO NOTHING`
	// OR IGNORE: a second active key in a slot is a refusal, not a failure.
	sqlMoveKey = `
UPDATE OR IGNORE keys SET state = ?4, changed_at = ?5, due_at = NULL, sealed = CASE WHEN ?6 THEN sealed ELSE x'' END
WHERE ring = ?1 AND id = ?2 AND state = ?3`
	sqlKeyDue    = `UPDATE keys SET due_at = ?3 WHERE ring = ?1 AND id = ?2 AND state = 'staged'`
	sqlForgetKey = `DELETE FROM keys WHERE ring = ?1 AND id = ?2 AND state IN ('retired', 'compromised')`

	sqlFirstRing = `INSERT INTO key_rings (ring, version) VALUES (?1, 1) ON CONFLICT (ring) DO UPDATE SET version = version + 1`
	sqlRaiseRing = `UPDATE key_rings SET version = version + 1 WHERE ring = ?1 AND version = ?2`
	sqlNewRing   = `INSERT INTO key_rings (ring, version) VALUES (?1, 1) ON CONFLICT DO NOTHING`

	sqlEndGrantsOfKey = endGrants + `has_refresh AND refresh_key = ?1 RETURNING id`
	sqlRefreshKeyUsed = `
SELECT EXISTS (SELECT 1 FROM grants
WHERE ended_at IS NULL AND has_refresh AND refresh_key = ?1 AND expires_at > ?2 AND idle_until > ?2)`
)

// Keys implements authority.KeyStore.
func (s *Store) Keys(ctx context.Context) ([]authority.Key, error) {
	return many(ctx, s, "keys", scanKey, sqlKeys)
}

// CreateKeys implements authority.KeyStore.
func (s *Store) CreateKeys(ctx context.Context, keys []authority.Key, e authority.Event) error {
	return s.write(ctx, "create keys", func(t *tx) error {
		rings := map[string]bool{}
		for _, k := range keys {
			var active int64
			if err := t.row(sqlKeyActive, []any{k.Ring, k.Slot}, &active); err != nil {
				return err
			}
			if active > 0 {
				return fmt.Errorf("ring %s has an active %s key: %w", k.Ring, k.Slot, authority.ErrConflict)
			}
			rings[k.Ring] = true
		}
		for _, k := range keys {
			if err := insertKey(t, k); err != nil {
				return err
			}
		}
		for ring := range rings {
			if _, err := t.exec(sqlFirstRing, ring); err != nil {
				return err
			}
		}
		return insertEvent(t, e)
	})
}

func insertKey(t *tx, k authority.Key) error {
	n, err := t.exec(sqlInsertKey, k.ID, k.Ring, k.Slot, k.Algorithm, string(k.State), string(k.Public), orEmpty(k.Sealed),
		columns.Millis(k.CreatedAt), columns.Millis(k.ChangedAt), columns.EndMillis(k.DueAt))
	if err == nil && n == 0 {
		err = fmt.Errorf("key of ring %s: %w", k.Ring, authority.ErrConflict)
	}
	return err
}

// orEmpty is b, never NULL.
func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// StepKeys implements authority.KeyStore.
func (s *Store) StepKeys(ctx context.Context, step authority.KeyStep) ([]authority.LogEntry, error) {
	var entries []authority.LogEntry
	err := s.write(ctx, "step of a key ring", func(t *tx) error {
		// Grants and their entries are written the way a revocation does it.
		e := ending{tx: t, r: authority.Revocation{Reason: step.Reason, Now: step.Now, Until: step.Until}}
		if err := stepKeys(&e, step); err != nil {
			return err
		}
		entries = e.entries
		return insertEvent(t, step.Event)
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func stepKeys(e *ending, step authority.KeyStep) error {
	if err := raiseRing(e.tx, step); err != nil {
		return err
	}
	// What leaves a slot goes before what takes it.
	for _, m := range step.Move {
		if m.To == authority.KeyActive {
			continue
		}
		if err := moveKey(e.tx, step, m); err != nil {
			return err
		}
	}
	for _, m := range step.Move {
		if m.To != authority.KeyActive {
			continue
		}
		if err := moveKey(e.tx, step, m); err != nil {
			return err
		}
	}
	for _, k := range step.Create {
		if err := insertKey(e.tx, k); err != nil {
			return err
		}
	}
	for id, due := range step.Due {
		if err := expectOne(e.tx, step.Ring, sqlKeyDue, step.Ring, id, columns.Millis(due)); err != nil {
			return err
		}
	}
	for _, id := range step.Forget {
		if err := expectOne(e.tx, step.Ring, sqlForgetKey, step.Ring, id); err != nil {
			return err
		}
	}
	return logKeys(e, step)
}

// raiseRing takes the ring from the version the step was decided on to the next.
func raiseRing(t *tx, step authority.KeyStep) error {
	if step.Version == 0 {
		return expectOne(t, step.Ring, sqlNewRing, step.Ring)
	}
	return expectOne(t, step.Ring, sqlRaiseRing, step.Ring, step.Version)
}

func moveKey(t *tx, step authority.KeyStep, m authority.KeyMove) error {
	return expectOne(t, step.Ring, sqlMoveKey, step.Ring, m.ID, string(m.From), string(m.To), columns.Millis(step.Now), columns.Flag(m.To.Verifies()))
}

// expectOne runs a statement that changes one row unless somebody was faster.
func expectOne(t *tx, ring, text string, args ...any) error {
	n, err := t.exec(text, args...)
	if err == nil && n != 1 {
		err = fmt.Errorf("ring %s: %w", ring, authority.ErrConflict)
	}
	return err
}

// logKeys appends what verifiers must learn: first what is refused.
func logKeys(e *ending, step authority.KeyStep) error {
	for _, m := range step.Move {
		if m.To != authority.KeyCompromised {
			continue
		}
		entry := authority.LogEntry{Kind: authority.KindKey, KeyID: m.ID, Reason: step.Reason, At: step.Now, Until: step.Until}
		if err := e.appendEntry(entry); err != nil {
			return err
		}
		if step.EndGrants {
			if err := e.grants(sqlEndGrantsOfKey, m.ID); err != nil {
				return err
			}
		}
	}
	return e.appendEntry(authority.LogEntry{Kind: authority.KindKeyRing, Name: step.Ring, Data: step.Data, At: step.Now, Until: step.Until})
}

// RefreshKeyInUse implements authority.KeyStore.
func (s *Store) RefreshKeyInUse(ctx context.Context, key string, now time.Time) (bool, error) {
	return one(ctx, s, "grants of a refresh key", func(r columns.Row) (bool, error) {
		var used bool
		err := r.Scan(&used)
		return used, err
	}, sqlRefreshKeyUsed, key, columns.Millis(now))
}

func scanKey(r columns.Row) (authority.Key, error) {
	var k authority.Key
	err := r.Scan(&k.ID, &k.Ring, &k.Slot, &k.Algorithm, (*string)(&k.State), (*columns.JSON)(&k.Public), &k.Sealed,
		(*columns.Time)(&k.CreatedAt), (*columns.Time)(&k.ChangedAt), (*columns.Time)(&k.DueAt), &k.RingVersion)
	if len(k.Sealed) == 0 {
		k.Sealed = nil
	}
	return k, err
}
