package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/store/transfer"
)

const schemaColumns = `
SELECT c.relname, a.attname, coalesce(a.attnum = ANY(i.indkey), FALSE) FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition`

// Every table and column of the schema is copied, or said to stay behind.
func TestTransfer_ForgetsNothing(t *testing.T) {
	c := Config{URL: pgtest.Database(t)}
	if _, err := Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), c.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), schemaColumns)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	schema, keys := map[string][]string{}, map[string]int{}
	for rows.Next() {
		var table, column string
		var key bool
		if err := rows.Scan(&table, &column, &key); err != nil {
			t.Fatal(err)
		}
		schema[table] = append(schema[table], column)
		if key {
			keys[table]++
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	keys["event_log"] = 1 // ordered by its number, which is unique
	for _, problem := range transfer.Forgotten(schema, keys, nil) {
		t.Error(problem)
	}
}
