package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	dataKeyColumns = `id, master, wrapped, created_at, wrapped_at`

	sqlDataKeys      = `SELECT ` + dataKeyColumns + ` FROM data_keys ORDER BY id`
	sqlNewestDataKey = `SELECT id FROM data_keys ORDER BY id DESC LIMIT 1`
	sqlInsertDataKey = `INSERT INTO data_keys (` + dataKeyColumns + `) VALUES (?1, ?2, ?3, ?4, ?5)`
	sqlDataKey       = `SELECT ` + dataKeyColumns + ` FROM data_keys WHERE id = ?1`
	sqlRewrapDataKey = `UPDATE data_keys SET master = ?2, wrapped = ?3, wrapped_at = ?4 WHERE id = ?1 AND wrapped = ?5`
	sqlDeleteDataKey = `DELETE FROM data_keys WHERE id = ?1`

	sqlSealedKeys = `
SELECT ring, id, 'key/' || ring || '/' || id, sealed FROM keys
WHERE (ring, id) > (?1, ?2) AND sealed <> x'' ORDER BY ring, id LIMIT ?3` // those of retired keys are erased
	sqlResealKey     = `UPDATE keys SET sealed = ?4 WHERE ring = ?1 AND id = ?2 AND sealed = ?3`
	sqlKeysSealedBy  = `SELECT count(*) FROM keys WHERE substr(sealed, 1, 17) = ?1`
	sealedBatchLimit = 1000
)

// sealedColumn is a column that holds sealed values. A row is named by one or
// two texts (hex() of a BLOB; empty for a second that is not there).
type sealedColumn struct {
	// page selects the two names, the place that the value is sealed for, and
	// the value, of rows after (?1, ?2), in that order, at most ?3.
	page string
	// reseal writes ?4 to row (?1, ?2) if its value still is ?3.
	reseal string
	// count is how many values begin with ?1.
	count string
}

// sealedColumns lists every sealed column of the schema; a test holds it
// against the tables. The order is the order of the walk.
var sealedColumns = []sealedColumn{
	{sqlSealedKeys, sqlResealKey, sqlKeysSealedBy},
	{sqlSealedWebhooks, sqlResealWebhook, sqlWebhooksSealedBy},
	{sqlSealedDeliveries, sqlResealDelivery, sqlDeliveriesSealedBy},
	{sqlSealedNetworkKey, sqlResealNetworkKey, sqlNetworkKeySealedBy},
}

// DataKeys implements authority.SealStore.
func (s *Store) DataKeys(ctx context.Context) ([]authority.DataKey, error) {
	return many(ctx, s, "data keys", scanDataKey, sqlDataKeys)
}

// AddDataKey implements authority.SealStore.
func (s *Store) AddDataKey(ctx context.Context, k authority.DataKey, after secret.ID, e authority.Event) error {
	return s.write(ctx, "add data key", func(t *tx) error {
		newest, err := oneOf(t, scanID, sqlNewestDataKey)
		if err != nil && !errors.Is(err, authority.ErrNotFound) {
			return err
		}
		if newest != after || k.ID.Compare(newest) <= 0 {
			return authority.ErrConflict
		}
		if _, err := t.exec(sqlInsertDataKey, k.ID[:], k.Master, k.Wrapped, columns.Millis(k.CreatedAt), columns.Millis(k.WrappedAt)); err != nil {
			return err
		}
		return insertEvent(t, e)
	})
}

// RewrapDataKey implements authority.SealStore.
func (s *Store) RewrapDataKey(ctx context.Context, k authority.DataKey, was []byte, e authority.Event) error {
	return s.write(ctx, "rewrap data key", func(t *tx) error {
		if _, err := oneOf(t, scanDataKey, sqlDataKey, k.ID[:]); err != nil {
			return err
		}
		n, err := t.exec(sqlRewrapDataKey, k.ID[:], k.Master, k.Wrapped, columns.Millis(k.WrappedAt), was)
		if err != nil {
			return err
		}
		if n == 0 {
			return authority.ErrConflict
		}
		return insertEvent(t, e)
	})
}

// RemoveDataKey implements authority.SealStore.
func (s *Store) RemoveDataKey(ctx context.Context, id secret.ID, e authority.Event) error {
	return s.write(ctx, "remove data key", func(t *tx) error {
		if _, err := oneOf(t, scanDataKey, sqlDataKey, id[:]); err != nil {
			return err
		}
		newest, err := oneOf(t, scanID, sqlNewestDataKey)
		if err != nil {
			return err
		}
		if newest == id {
			return authority.ErrConflict
		}
		head := append([]byte{sealedByDataKey}, id[:]...)
		for _, column := range sealedColumns {
			var n int64
			if err := t.row(column.count, []any{head}, &n); err != nil {
				return err
			}
			if n > 0 {
				return fmt.Errorf("%d values are sealed under it: %w", n, authority.ErrConflict)
			}
		}
		if _, err := t.exec(sqlDeleteDataKey, id[:]); err != nil {
			return err
		}
		return insertEvent(t, e)
	})
}

// sealedByDataKey is the first byte of a value that names its data key, which
// follows. See secret.Sealer.
const sealedByDataKey = 2

// Sealed implements authority.SealStore.
func (s *Store) Sealed(ctx context.Context, after string, limit int) ([]authority.SealedValue, string, error) {
	at := sealedRow{}
	if after != "" {
		var err error
		if at, err = parseSealedRow(after); err != nil {
			return nil, "", err
		}
	}
	limit = min(max(limit, 1), sealedBatchLimit)
	scan := func(r columns.Row) (authority.SealedValue, error) {
		v, found := authority.SealedValue{}, sealedRow{column: at.column}
		err := r.Scan(&found.first, &found.second, &v.Place, &v.Sealed)
		v.Row = found.String()
		return v, err
	}
	values, err := many(ctx, s, "sealed values", scan, sealedColumns[at.column].page, at.first, at.second, limit)
	if err != nil {
		return nil, "", err
	}
	switch {
	case len(values) == limit:
		return values, values[limit-1].Row, nil
	case at.column+1 < len(sealedColumns):
		return values, sealedRow{column: at.column + 1}.String(), nil
	}
	return values, "", nil
}

// Reseal implements authority.SealStore.
func (s *Store) Reseal(ctx context.Context, changes []authority.Reseal) (int, error) {
	rows := make([]sealedRow, len(changes))
	for i, c := range changes {
		var err error
		if rows[i], err = parseSealedRow(c.Row); err != nil {
			return 0, err
		}
	}
	var replaced int
	err := s.write(ctx, "reseal", func(t *tx) error {
		replaced = 0
		for i, c := range changes {
			n, err := t.exec(sealedColumns[rows[i].column].reseal, rows[i].first, rows[i].second, c.Was, c.New)
			if err != nil {
				return err
			}
			replaced += int(n)
		}
		return nil
	})
	return replaced, err
}

// sealedRow names a row of a sealed column.
type sealedRow struct {
	column        int
	first, second string
}

// String is the text form: the column's number and the two names.
func (r sealedRow) String() string {
	return strconv.Itoa(r.column) + "\x00" + r.first + "\x00" + r.second
}

func parseSealedRow(text string) (sealedRow, error) {
	parts := strings.Split(text, "\x00")
	if len(parts) == 3 {
		if n, err := strconv.Atoi(parts[0]); err == nil && n >= 0 && n < len(sealedColumns) {
			return sealedRow{n, parts[1], parts[2]}, nil
		}
	}
	return sealedRow{}, errors.New("sealed values: not a row")
}

func scanDataKey(r columns.Row) (authority.DataKey, error) {
	var k authority.DataKey
	err := r.Scan((*columns.ID)(&k.ID), &k.Master, &k.Wrapped, (*columns.Time)(&k.CreatedAt), (*columns.Time)(&k.WrappedAt))
	return k, err
}
