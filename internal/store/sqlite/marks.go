package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	sqlNetworkKey     = `SELECT network_key, network_key_sealed FROM meta WHERE id = 1`
	sqlSealNetworkKey = `UPDATE meta SET network_key = x'', network_key_sealed = ?1 WHERE id = 1 AND network_key_sealed = x''`

	sqlSealedNetworkKey = `
SELECT 'meta', '', 'meta/network_key', network_key_sealed FROM meta
WHERE id = 1 AND 'meta' > ?1 AND ?2 = '' AND network_key_sealed <> x'' LIMIT ?3`
	sqlResealNetworkKey   = `UPDATE meta SET network_key_sealed = ?4 WHERE id = 1 AND ?1 = 'meta' AND ?2 = '' AND network_key_sealed = ?3`
	sqlNetworkKeySealedBy = `SELECT count(*) FROM meta WHERE id = 1 AND substr(network_key_sealed, 1, 17) = ?1`

	sqlMarks    = `SELECT mark, until FROM account_marks WHERE account_id = ?1`
	sqlKeepMark = `
INSERT INTO account_marks (account_id, mark, until) VALUES (?1, ?2, ?3)
ON CONFLICT (account_id, mark) DO UPDATE SET until = max(until, excluded.until)`
	sqlTrimMarks = `
DELETE FROM account_marks
WHERE account_id = ?1 AND mark IN (
    SELECT mark FROM account_marks WHERE account_id = ?1 AND mark <> ?2 ORDER BY until DESC, mark DESC LIMIT -1 OFFSET ?3)`
	sqlSweepMarks = `
DELETE FROM account_marks
WHERE (account_id, mark) IN (SELECT account_id, mark FROM account_marks WHERE until < ?1 ORDER BY until LIMIT ?2)`
)

// signedIn is the mark of an account that has signed in: it does not expire.
var signedIn authority.Mark

// forever is later than any time that upkeep compares with.
const forever = int64(1) << 62

// NetworkKey implements authority.ContextStore.
func (s *Store) NetworkKey(ctx context.Context) (authority.NetworkKey, error) {
	return one(ctx, s, "network key", func(r columns.Row) (key authority.NetworkKey, err error) {
		return key, r.Scan(&key.Clear, &key.Sealed)
	}, sqlNetworkKey)
}

// SealNetworkKey implements authority.ContextStore.
func (s *Store) SealNetworkKey(ctx context.Context, sealed []byte) error {
	return s.write(ctx, "seal network key", func(t *tx) error {
		n, err := t.exec(sqlSealNetworkKey, sealed)
		if err == nil && n == 0 {
			err = authority.ErrConflict
		}
		return err
	})
}

// mark is one row.
type mark struct {
	mark  authority.Mark
	until int64
}

// Marks implements authority.ContextStore.
func (s *Store) Marks(ctx context.Context, account secret.ID, now time.Time) (map[authority.Mark]time.Time, bool, error) {
	rows, err := many(ctx, s, "marks", func(r columns.Row) (m mark, err error) {
		return m, r.Scan(columns.Bytes(m.mark[:]), &m.until)
	}, sqlMarks, account[:])
	if err != nil {
		return nil, false, err
	}
	marks := make(map[authority.Mark]time.Time, len(rows))
	for _, m := range rows {
		if m.mark != signedIn && m.until > columns.Millis(now) {
			marks[m.mark] = time.UnixMilli(m.until).UTC()
		}
	}
	return marks, len(rows) > 0, nil
}

// KeepMarks implements authority.ContextStore.
func (s *Store) KeepMarks(ctx context.Context, account secret.ID, marks []authority.Mark, until time.Time, most int, e *authority.Event) error {
	return s.write(ctx, "keep marks", func(t *tx) error {
		if _, err := t.exec(sqlKeepMark, account[:], signedIn[:], forever); err != nil {
			return err
		}
		for _, m := range marks {
			if m == signedIn {
				return fmt.Errorf("a mark is zero: %w", authority.ErrConflict)
			}
			if _, err := t.exec(sqlKeepMark, account[:], m[:], columns.Millis(until)); err != nil {
				return err
			}
		}
		if _, err := t.exec(sqlTrimMarks, account[:], signedIn[:], most); err != nil || e == nil {
			return err
		}
		return insertEvent(t, *e)
	})
}

func sweepMarks(t *tx, now time.Time, limit int) (removed, postponed int64, err error) {
	removed, err = t.exec(sqlSweepMarks, columns.Millis(now), limit)
	return removed, 0, err
}
