package sqlite

import (
	"testing"

	"github.com/jetonhq/jeton/internal/store/transfer"
)

// Every table and column of the schema is copied, or said to stay behind.
func TestTransfer_ForgetsNothing(t *testing.T) {
	rows, err := openTest(t).reads.QueryContext(t.Context(), `
SELECT m.name, c.name, c.pk FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	schema, keys := map[string][]string{}, map[string]int{}
	for rows.Next() {
		var table, column string
		var key int
		if err := rows.Scan(&table, &column, &key); err != nil {
			t.Fatal(err)
		}
		schema[table] = append(schema[table], column)
		keys[table] += min(key, 1)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, problem := range transfer.Forgotten(schema, keys, dialect.Instead) {
		t.Error(problem)
	}
}
