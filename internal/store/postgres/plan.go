package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"

	"github.com/jetonhq/jeton/internal/store/estimate"
)

// sqlSizeOf is a table with its partitions and indexes, as far as the server's own
// estimates go.
const sqlSizeOf = `
SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint, coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
FROM pg_partition_tree(to_regclass($1)) p JOIN pg_class c ON c.oid = p.relid WHERE p.isleaf`

// What each statement locks, and for how long (https://www.postgresql.org/docs/15/explicit-locking.html).
// A lock is held to the end of the migration, which is one transaction.
const (
	moment   = "everybody waits for a moment (ACCESS EXCLUSIVE)"
	noWriter = "writers wait (SHARE)"
	nobody   = "nobody waits"
)

// forms are the statements that migrations are made of. What is more particular
// stands before what is more general.
var forms = []estimate.Form{
	{Pattern: regexp.MustCompile(`(?i)^CREATE TABLE (\w+)`), Cost: "a new table {table}: at once, " + nobody},
	{Pattern: regexp.MustCompile(`(?i)^CREATE (?:UNIQUE )?INDEX CONCURRENTLY \w+ ON (\w+)`), Cost: "a new index of {table}: reads {size} twice, " + nobody},
	{Pattern: regexp.MustCompile(`(?i)^CREATE (?:UNIQUE )?INDEX \w+ ON (\w+)`), Cost: "a new index of {table}: reads {size} while " + noWriter},
	{Pattern: regexp.MustCompile(`(?is)^ALTER TABLE (\w+)\s+ADD COLUMN.*DEFAULT\s+[^,;]*\(`), Cost: "a new column of {table} with a value of its own for each row: rewrites {size} while everybody waits (ACCESS EXCLUSIVE)"},
	{Pattern: regexp.MustCompile(`(?i)^ALTER TABLE (\w+)\s+ADD COLUMN`), Cost: "a new column of {table}: no row is written, " + moment},
	{Pattern: regexp.MustCompile(`(?is)^ALTER TABLE (\w+)\s+ALTER COLUMN \w+ (?:SET DATA )?TYPE`), Cost: "a column of {table} gets another type: rewrites {size} while everybody waits (ACCESS EXCLUSIVE)"},
	{Pattern: regexp.MustCompile(`(?is)^ALTER TABLE (\w+)\s+VALIDATE`), Cost: "rows of {table} are held against a rule: reads {size}, " + nobody},
	{Pattern: regexp.MustCompile(`(?is)^ALTER TABLE (\w+)\s+ADD CONSTRAINT.*NOT VALID`), Cost: "a new rule for new rows of {table}: at once, " + moment},
	{Pattern: regexp.MustCompile(`(?is)^ALTER TABLE (\w+)\s+(?:ADD CONSTRAINT|ALTER COLUMN \w+ SET NOT NULL)`), Cost: "a new rule for {table}: reads {size} while everybody waits (ACCESS EXCLUSIVE)"},
	{Pattern: regexp.MustCompile(`(?is)^ALTER TABLE (\w+)\s+(?:DROP|RENAME|SET|ALTER COLUMN \w+ (?:SET|DROP))`), Cost: "a change of {table}: no row is written, " + moment},
	{Pattern: regexp.MustCompile(`(?i)^UPDATE (\w+)`), Cost: "an update of {table}: writes up to {size}; who changes the same rows waits"},
	{Pattern: regexp.MustCompile(`(?i)^DELETE FROM (\w+)`), Cost: "a removal from {table}: writes up to {size}; who changes the same rows waits"},
	{Pattern: regexp.MustCompile(`(?is)^INSERT INTO .*\bFROM (\w+)`), Cost: "a copy from {table}: reads {size}, " + nobody},
	{Pattern: regexp.MustCompile(`(?i)^INSERT INTO (\w+)`), Cost: "new rows of {table}: at once, " + nobody},
	{Pattern: regexp.MustCompile(`(?i)^DROP (?:INDEX|TABLE) (\w+)`), Cost: "{table} is dropped: at once, " + moment},
}

// costs says of each statement what it locks and touches.
func costs(ctx context.Context, db *sql.DB, text string) []string {
	return estimate.Costs(text, forms, func(table string) string {
		var rows, bytes int64
		// A table that an earlier migration makes is not there, and has nothing in it.
		if err := db.QueryRowContext(ctx, sqlSizeOf, table).Scan(&rows, &bytes); err != nil {
			return "a table of unknown size"
		}
		return fmt.Sprintf("about %d rows (%.1f MB with indexes)", rows, float64(bytes)/1e6)
	})
}
