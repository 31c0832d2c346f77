package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

// The registry and the uses of counted tokens are partitioned by the hour of the
// token's id. A partition whose tokens have all expired is dropped: no row of it is
// deleted, and nothing is left for a vacuum.

const (
	// span is the time that a partition is for.
	span = time.Hour
	// ahead is how many partitions are made before they are needed: a database that
	// no node has looked after for that long puts new tokens into the default ones.
	ahead = 4
	// rest is how long a partition stays at least. It is the longest life of most
	// tokens: before that there is no point in looking for one that lives.
	rest = time.Hour
	// upkeep is how often partitions are looked after.
	upkeep = time.Minute
	// brief is how long a change of partitions may wait for others, and with it how
	// long others may have to wait behind it.
	brief = 100 * time.Millisecond
)

// partitioned are the tables, the one whose rows expire first.
var partitioned = []string{"tokens", "uses"}

const (
	// The hours that have a partition, from the names.
	sqlPartitions = `
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::text::regclass AND c.relname <> $1::text || '_other' ORDER BY c.relname`
	sqlClock       = `SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`
	sqlLockTimeout = `SELECT set_config('lock_timeout', $1, TRUE)`
)

// lookAfter makes and drops partitions until the store is closed.
func (s *Store) lookAfter() {
	for {
		select {
		case <-s.closing.Done():
			return
		case <-time.After(upkeep):
			s.lookOnce()
		}
	}
}

func (s *Store) lookOnce() {
	if err := s.partition(s.closing, s.now()); err != nil && s.closing.Err() == nil {
		s.log.WarnContext(s.closing, "partitions of the registry are not as they should be; trying again", "error", err)
	}
}

// partition makes the partitions that are missing and drops those that have
// expired, unless another node is at it.
func (s *Store) partition(ctx context.Context, now time.Time) error {
	return s.connected(ctx, func(conn *pgxpool.Conn) error {
		var mine bool
		if err := conn.QueryRow(ctx, sqlTryLock, partitionLock).Scan(&mine); err != nil || !mine {
			return err
		}
		defer func() { _ = unlock(ctx, conn, partitionLock) }()
		for _, table := range partitioned {
			there, err := partitionsOf(ctx, conn, table)
			if err != nil {
				return err
			}
			if err := s.makeAhead(ctx, conn, table, there, now); err != nil {
				return err
			}
		}
		past, err := s.past(ctx, conn, now)
		if err != nil {
			return err
		}
		return s.dropExpired(ctx, conn, past)
	})
}

// past is the time by which things are removed: the earlier of the caller's clock
// and the database's. One clock that is far ahead removes nothing that lives.
func (s *Store) past(ctx context.Context, conn *pgxpool.Conn, now time.Time) (time.Time, error) {
	if s.clock != nil {
		return earlier(now, s.clock()), nil
	}
	var millis int64
	if err := conn.QueryRow(ctx, sqlClock).Scan(&millis); err != nil {
		return time.Time{}, fmt.Errorf("the database's clock: %w", err)
	}
	return earlier(now, time.UnixMilli(millis)), nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// querier is a connection, of the pool or not.
type querier interface {
	Query(ctx context.Context, text string, args ...any) (pgx.Rows, error)
}

// partitionsOf returns the hours of a table's partitions, oldest first.
func partitionsOf(ctx context.Context, conn querier, table string) ([]time.Time, error) {
	rows, err := conn.Query(ctx, sqlPartitions, table)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r columns.Row) (time.Time, error) {
		var name string
		if err := r.Scan(&name); err != nil {
			return time.Time{}, err
		}
		return time.Parse(table+hourLayout, name)
	})
}

// hourLayout is what a partition's name adds to its table's.
const hourLayout = "_2006010215"

func partitionName(table string, hour time.Time) string { return table + hour.Format(hourLayout) }

func (s *Store) makeAhead(ctx context.Context, conn *pgxpool.Conn, table string, there []time.Time, now time.Time) error {
	known := make(map[time.Time]bool, len(there))
	for _, hour := range there {
		known[hour] = true
	}
	first := now.UTC().Truncate(span)
	for n := range ahead + 1 {
		hour := first.Add(time.Duration(n) * span)
		if known[hour] {
			continue
		}
		err := s.briefly(ctx, conn, makePartition(table, hour)...)
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "23514" { // check_violation
			// Tokens of that hour are in the default partition: there they stay.
			s.log.WarnContext(ctx, "an hour of the registry was not ready in time; its rows are swept one by one", "table", table, "hour", hour)
			continue
		}
		if err != nil {
			return fmt.Errorf("make partition %s: %w", partitionName(table, hour), err)
		}
	}
	return nil
}

// makePartition is a table that is made beside the others and then attached, which
// does not keep anybody from the other partitions.
func makePartition(table string, hour time.Time) []string {
	name := partitionName(table, hour)
	from, to := secret.FirstID(hour), secret.FirstID(hour.Add(span))
	return []string{
		fmt.Sprintf(`CREATE TABLE %s (LIKE %s INCLUDING ALL)`, name, table),
		fmt.Sprintf(`ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('\x%x') TO ('\x%x')`, table, name, from[:], to[:]),
	}
}

// dropExpired drops the hours in which no token lives any more.
func (s *Store) dropExpired(ctx context.Context, conn *pgxpool.Conn, now time.Time) error {
	hours, err := partitionsOf(ctx, conn, "tokens")
	if err != nil {
		return err
	}
	for _, hour := range hours {
		if hour.Add(span + rest).After(now) {
			return nil
		}
		if s.alive[hour].After(now) {
			continue
		}
		var until int64
		text := `SELECT coalesce(max(exp), 0) FROM ` + partitionName("tokens", hour)
		if err := conn.QueryRow(ctx, text).Scan(&until); err != nil {
			return fmt.Errorf("last expiry of %s: %w", partitionName("tokens", hour), err)
		}
		if until >= columns.Millis(now) {
			s.alive[hour] = time.UnixMilli(until) // nothing to look for until then
			continue
		}
		delete(s.alive, hour)
		// The uses go first: without them a token could be used again, so never before
		// the token is dead, and not after it, or they would be left behind.
		err := s.briefly(ctx, conn, `DROP TABLE IF EXISTS `+partitionName("uses", hour), `DROP TABLE `+partitionName("tokens", hour))
		if err != nil {
			return fmt.Errorf("drop partition %s: %w", partitionName("tokens", hour), err)
		}
		s.log.DebugContext(ctx, "an hour of the registry has expired", "hour", hour)
	}
	return nil
}

// briefly runs statements in a transaction that gives up when it would have to
// wait, because all others would wait behind it.
func (s *Store) briefly(ctx context.Context, conn *pgxpool.Conn, statements ...string) error {
	t, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := t.Exec(ctx, sqlLockTimeout, millisText(brief)); err != nil {
		return err
	}
	for _, text := range statements {
		if _, err := t.Exec(ctx, text); err != nil {
			return err
		}
	}
	return t.Commit(ctx)
}
