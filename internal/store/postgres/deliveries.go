package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	deliveryColumns = `id, channel, target, lane, event_id, event_type, body, body_sealed, state, attempts, next_at, give_up_at,
claim, last_error, created_at, done_at`

	sqlInsertDelivery = `
INSERT INTO deliveries (` + deliveryColumns + `)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', 0, $9, $10, NULL, '', $11, NULL)`

	// One step down the index for each lane, and one for its first delivery.
	sqlLanes = `
WITH RECURSIVE lanes (lane) AS (
    (SELECT lane FROM deliveries WHERE done_at IS NULL ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (SELECT d.lane FROM deliveries d WHERE d.done_at IS NULL AND d.lane > lanes.lane ORDER BY d.lane LIMIT 1)
    FROM lanes WHERE lanes.lane IS NOT NULL
)
SELECT lane, (SELECT d.next_at FROM deliveries d WHERE d.done_at IS NULL AND d.lane = lanes.lane ORDER BY d.next_at LIMIT 1)
FROM lanes WHERE lane IS NOT NULL`

	// What somebody else claims at this moment is left to them.
	sqlClaim = `
WITH due AS MATERIALIZED (
    SELECT id FROM deliveries WHERE done_at IS NULL AND lane = $1 AND next_at <= $2 ORDER BY next_at, id LIMIT $5
    FOR UPDATE SKIP LOCKED)
UPDATE deliveries SET claim = $3, next_at = $4, attempts = attempts + 1
WHERE id IN (SELECT id FROM due)
RETURNING ` + deliveryColumns
	// What was sealed is not needed any more once it was delivered.
	sqlFinish = `
UPDATE deliveries
SET claim = NULL, state = $3::text, next_at = $4, done_at = $5, keep_until = $6,
    last_error = CASE $7::text WHEN '' THEN last_error ELSE $7 END,
    body_sealed = CASE $3::text WHEN 'delivered' THEN ''::bytea ELSE body_sealed END
WHERE id = $1 AND claim = $2`
	sqlRetry = `
UPDATE deliveries SET state = 'pending', claim = NULL, next_at = $2, give_up_at = $3, done_at = NULL, keep_until = NULL
WHERE id = $1 AND state <> 'delivered' RETURNING id`

	sqlDelivery           = `SELECT ` + deliveryColumns + ` FROM deliveries WHERE id = $1`
	sqlDeliveries         = `SELECT ` + deliveryColumns + ` FROM deliveries WHERE id < $1 AND ($3::text IS NULL OR channel = $3) AND ($4::text IS NULL OR state = $4) ORDER BY id DESC LIMIT $2`
	sqlDeliveriesFailed   = `SELECT ` + deliveryColumns + ` FROM deliveries WHERE id < $1 AND ($3::text IS NULL OR channel = $3) AND state = 'failed' ORDER BY id DESC LIMIT $2`
	sqlDeliveriesOfTarget = `SELECT ` + deliveryColumns + ` FROM deliveries WHERE channel = $3 AND target = $4 AND id < $1 AND ($5::text IS NULL OR state = $5) ORDER BY id DESC LIMIT $2`
	// The oldest is found among those that wait: by the order of the ids themselves
	// all that are done would be looked at before it.
	sqlDeliveryStats = `
SELECT count(*), (SELECT id FROM deliveries WHERE done_at IS NULL ORDER BY id || ''::bytea LIMIT 1) FROM deliveries WHERE done_at IS NULL`

	sqlSweepDeliveries = `
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE keep_until IS NOT NULL AND keep_until < $1 ORDER BY keep_until LIMIT $2)`
)

// What is sealed, for the walk over all of it (see sealedColumns).
const (
	sqlSealedDeliveries = `
SELECT upper(encode(id, 'hex')), '', 'deliveries/' || upper(encode(id, 'hex')), body_sealed FROM deliveries
WHERE id > decode($1, 'hex') AND body_sealed <> ''::bytea AND $2::text = '' ORDER BY id LIMIT $3`
	sqlResealDelivery     = `UPDATE deliveries SET body_sealed = $4 WHERE id = decode($1, 'hex') AND $2::text = '' AND body_sealed = $3`
	sqlDeliveriesSealedBy = `SELECT count(*) FROM deliveries WHERE body_sealed <> ''::bytea AND substr(body_sealed, 1, 17) = $1`
)

var errTargetAlone = errors.New("a target is one of a channel")

func insertDelivery(t *tx, d authority.Delivery) error {
	_, err := t.exec(sqlInsertDelivery, d.ID[:], d.Channel, d.Target, d.Lane, d.EventID[:], string(d.EventType),
		some(d.Body), some(d.Sealed), columns.Millis(d.NextAt), columns.Millis(d.GiveUpAt), columns.Millis(d.CreatedAt))
	return err
}

// some is b, and never NULL.
func some(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Lanes implements authority.DeliveryStore.
func (s *Store) Lanes(ctx context.Context, limit int) ([]authority.Lane, error) {
	lanes, err := many(ctx, s, "lanes", func(r columns.Row) (authority.Lane, error) {
		var l authority.Lane
		err := r.Scan(&l.Name, (*columns.Time)(&l.Due))
		return l, err
	}, sqlLanes)
	slices.SortStableFunc(lanes, func(a, b authority.Lane) int { return a.Due.Compare(b.Due) })
	return lanes[:min(len(lanes), limit)], err
}

// ClaimDeliveries implements authority.DeliveryStore.
func (s *Store) ClaimDeliveries(ctx context.Context, lane string, claim secret.ID, now, lease time.Time, limit int) ([]authority.Delivery, error) {
	claimed, err := single(ctx, s, "claim deliveries", scanDelivery, sqlClaim, lane, columns.Millis(now), claim[:], columns.Millis(lease), limit)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(claimed, func(a, b authority.Delivery) int { return a.ID.Compare(b.ID) })
	return claimed, nil
}

// FinishDelivery implements authority.DeliveryStore.
func (s *Store) FinishDelivery(ctx context.Context, a authority.Attempt, e *authority.Event) error {
	return s.record(ctx, "finish delivery", func(t *tx) error {
		next := a.NextAt
		if a.State != authority.DeliveryPending {
			next = a.DoneAt
		}
		n, err := t.exec(sqlFinish, a.ID[:], a.Claim[:], string(a.State), columns.Millis(next), columns.EndMillis(a.DoneAt), columns.EndMillis(a.Keep), a.Error)
		if err != nil {
			return err
		}
		if n == 0 {
			return authority.ErrConflict
		}
		if e == nil {
			return nil
		}
		return insertEvent(t, *e)
	})
}

// RetryDelivery implements authority.DeliveryStore. A claim on it is lost: how
// that attempt ends is not recorded, and another follows.
func (s *Store) RetryDelivery(ctx context.Context, id secret.ID, now, giveUp time.Time, e authority.Event) error {
	return s.write(ctx, "retry delivery", func(t *tx) error {
		changed, err := t.ids(sqlRetry, id[:], columns.Millis(now), columns.Millis(giveUp))
		if err != nil {
			return err
		}
		if len(changed) == 0 {
			if _, err := oneOf(t, scanDelivery, sqlDelivery, id[:]); err != nil {
				return err
			}
			return authority.ErrConflict
		}
		return insertEvent(t, e)
	})
}

// Delivery implements authority.DeliveryStore.
func (s *Store) Delivery(ctx context.Context, id secret.ID) (authority.Delivery, error) {
	return one(ctx, s, "delivery", scanDelivery, sqlDelivery, id[:])
}

// Deliveries implements authority.DeliveryStore.
func (s *Store) Deliveries(ctx context.Context, f authority.DeliveryFilter, p authority.Page) ([]authority.Delivery, error) {
	before, err := columns.PageID(p, columns.LastID)
	if err != nil {
		return nil, err
	}
	text, args := sqlDeliveries, []any{before[:], columns.PageLimit(p), orAny(f.Channel)}
	switch {
	case f.Target != "" && f.Channel == "":
		return nil, errTargetAlone
	case f.Target != "":
		text, args = sqlDeliveriesOfTarget, append(args, f.Target, orAny(string(f.State)))
	case f.State == authority.DeliveryFailed:
		text = sqlDeliveriesFailed
	default:
		args = append(args, orAny(string(f.State)))
	}
	return many(ctx, s, "deliveries", scanDelivery, text, args...)
}

// DeliveryStats implements authority.DeliveryStore.
func (s *Store) DeliveryStats(ctx context.Context) (authority.DeliveryStats, error) {
	return one(ctx, s, "delivery statistics", func(r columns.Row) (authority.DeliveryStats, error) {
		var stats authority.DeliveryStats
		var oldest secret.ID
		err := r.Scan(&stats.Pending, (*columns.ID)(&oldest))
		if !oldest.IsZero() {
			stats.Oldest = oldest.Time()
		}
		return stats, err
	}, sqlDeliveryStats)
}

func sweepDeliveries(t *tx, now time.Time, limit int) (removed, postponed int64, err error) {
	removed, err = t.exec(sqlSweepDeliveries, columns.Millis(now), limit)
	return removed, 0, err
}

func scanDelivery(r columns.Row) (authority.Delivery, error) {
	var d authority.Delivery
	err := r.Scan((*columns.ID)(&d.ID), &d.Channel, &d.Target, &d.Lane, (*columns.ID)(&d.EventID), (*string)(&d.EventType), &d.Body,
		&d.Sealed, (*string)(&d.State), &d.Attempts, (*columns.Time)(&d.NextAt), (*columns.Time)(&d.GiveUpAt),
		(*columns.ID)(&d.Claim), &d.LastError, (*columns.Time)(&d.CreatedAt), (*columns.Time)(&d.DoneAt))
	return d, err
}
