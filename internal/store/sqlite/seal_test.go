package sqlite

import (
	"strings"
	"testing"
)

// Every column that holds sealed values is walked when the data key changes. A
// column is taken for one by its name: sealed, or something that ends with _sealed.
func TestSealedColumns_AreAllListed(t *testing.T) {
	s := openTest(t)
	rows, err := s.reads.QueryContext(t.Context(),
		`SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table' ORDER BY 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := 0
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		if column != "sealed" && !strings.HasSuffix(column, "_sealed") {
			continue
		}
		found++
		listed := false
		for _, c := range sealedColumns {
			listed = listed || strings.Contains(c.reseal, "UPDATE "+table+" SET "+column+" = ?4") &&
				strings.Contains(c.page, " FROM "+table) && strings.Contains(c.count, " FROM "+table) && strings.Contains(c.count, column)
		}
		if !listed {
			t.Errorf("%s.%s is missing in sealedColumns: a change of the data key would forget it", table, column)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if found == 0 || found != len(sealedColumns) {
		t.Errorf("%d sealed columns in the schema, %d in sealedColumns", found, len(sealedColumns))
	}
}
