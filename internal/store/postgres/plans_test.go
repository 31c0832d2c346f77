package postgres

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

var update = flag.Bool("update", false, "rewrite the plans in testdata")

// smallTables may be read as a whole: they grow with what operators configure, or
// the statement's answer is the table.
var smallTables = map[string][]string{
	// A handful: one for each change of the data key that is not finished yet.
	"sqlKeysSealedBy":     {"keys"},
	"sqlWebhooksSealedBy": {"webhook_secrets"},
	"sqlLive":             {"revocations", "policies"}, // the log holds little else than live entries
}

// plan is a node of an answer of EXPLAIN (FORMAT JSON).
type plan struct {
	Kind  string `json:"Node Type"`
	Table string `json:"Relation Name"`
	Index string `json:"Index Name"`
	Cond  string `json:"Index Cond"`
	Plans []plan
}

// hour is what the name of a partition adds to its table's.
var hour = regexp.MustCompile(`_\d{10}`)

// reads is what a step reads: an index, by a condition or as a whole, or a table.
func (p plan) reads() string {
	index := hour.ReplaceAllString(p.Index, "")
	switch {
	case p.Kind == "Seq Scan":
		return "all of " + p.Table
	case index != "" && p.Cond == "" && p.Kind != "ModifyTable":
		return "all of " + index
	}
	return index
}

// all walks a plan.
func (p plan) all(visit func(plan)) {
	visit(p)
	for _, child := range p.Plans {
		child.all(visit)
	}
}

func explain(t *testing.T, conn *pgx.Conn, name, text string) plan {
	t.Helper()
	described, err := conn.Prepare(t.Context(), name, text)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]string, len(described.ParamOIDs))
	for i, oid := range described.ParamOIDs {
		values[i] = "NULL"
		if oid == pgtype.ByteaOID { // for NULL no partition is looked at
			values[i] = "''"
		}
	}
	given := ""
	if len(values) > 0 {
		given = "(" + strings.Join(values, ", ") + ")"
	}
	var answer string
	if err := conn.QueryRow(t.Context(), fmt.Sprintf("EXPLAIN (FORMAT JSON) EXECUTE %s%s", name, given), pgx.QueryExecModeSimpleProtocol).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	var plans []struct {
		Plan plan
		JIT  any
	}
	if err := json.Unmarshal([]byte(answer), &plans); err != nil {
		t.Fatal(err)
	}
	if plans[0].JIT != nil {
		t.Error("is compiled each time that it runs, which takes longer than to run it")
	}
	return plans[0].Plan
}

// rows is how many there are in each table: few enough for ANALYZE to look at all
// of them, so that plans are the same each time.
const rows = 4_000

// sqlColumns are the columns that get values of their own.
const sqlColumns = `
SELECT table_name, column_name, data_type, is_nullable = 'YES' FROM information_schema.columns c
WHERE table_schema = 'public' AND is_generated = 'NEVER' AND is_identity = 'NO' AND table_name NOT LIKE 'goose%'
  AND table_name !~ '_(other|[0-9]{10})$'
  AND NOT EXISTS (SELECT 1 FROM information_schema.columns i WHERE i.table_name = c.table_name AND i.column_name = 'id' AND i.data_type = 'integer')
ORDER BY table_name, ordinal_position`

// value makes the values of a column: clients and kinds are few, most rows have
// not ended, everything else differs from row to row.
func value(column, kind string, nullable bool) string {
	switch {
	case nullable && slices.Contains([]string{"ended_at", "ended_by", "done_at", "keep_until", "claim", "grant_id"}, column) && kind == "bytea":
		return "CASE WHEN i % 10 = 0 THEN decode(md5(i::text), 'hex') END"
	case nullable && slices.Contains([]string{"ended_at", "done_at", "keep_until", "due_at"}, column):
		return "CASE WHEN i % 10 = 0 THEN i END"
	case column == "body_sealed":
		return "CASE WHEN i % 100 = 0 THEN 'x'::bytea ELSE ''::bytea END"
	case column == "account_id" && kind == "bytea":
		return "decode(md5((i / 2)::text), 'hex')"
	case kind == "bytea":
		return "decode(md5(i::text), 'hex')"
	case column == "client_id":
		return "'client' || i % 50"
	case slices.Contains([]string{"type", "kind", "state", "ring", "slot", "channel", "lane", "target"}, column) && kind == "text":
		return "'" + column + "' || i % 5"
	case kind == "boolean":
		return "i % 10 = 0"
	case kind == "text":
		return "'" + column + "' || i"
	default:
		return "i"
	}
}

// fillTables fills every table.
func fillTables(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	found, err := conn.Query(t.Context(), sqlColumns)
	if err != nil {
		t.Fatal(err)
	}
	names, values := map[string][]string{}, map[string][]string{}
	var table, column, kind string
	var nullable bool
	if _, err := pgx.ForEachRow(found, []any{&table, &column, &kind, &nullable}, func() error {
		names[table] = append(names[table], column)
		values[table] = append(values[table], value(column, kind, nullable))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for table := range names {
		text := fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM generate_series(1, %d) i ON CONFLICT DO NOTHING", table, strings.Join(names[table], ", "), strings.Join(values[table], ", "), rows)
		if _, err := conn.Exec(t.Context(), text); err != nil {
			t.Fatalf("fill %s: %v", table, err)
		}
	}
	if _, err := conn.Exec(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
}

// TestStatements_UseAnIndex looks at the plan that is made for any values at all,
// which is the one that runs, in tables that are not small. Which indexes each
// statement reads is in testdata: an index that goes missing shows there, also where
// another can be read as a whole in its place.
func TestStatements_UseAnIndex(t *testing.T) {
	s := openInner(t)
	if err := s.partition(t.Context(), time.Date(2031, 5, 1, 10, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	pooled, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pooled.Release()
	conn := pooled.Conn()
	fillTables(t, conn)
	const file = "testdata/plans.txt"
	golden, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(golden)) {
		name, reads, _ := strings.Cut(strings.TrimSpace(line), ": ")
		want[name] = reads
	}
	var seen strings.Builder
	all := statements(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !isVerb(all[name]) || strings.Contains(all[name], "pg_") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			reads := map[string]bool{}
			explain(t, conn, strings.ToLower(name), all[name]).all(func(step plan) {
				if step.Kind == "Seq Scan" && !slices.Contains(smallTables[name], step.Table) {
					t.Errorf("reads the whole table %s", step.Table)
				}
				if step.Kind == "Hash Join" || step.Kind == "Merge Join" {
					t.Errorf("has a %s: no index leads from one side to the other", step.Kind)
				}
				if what := step.reads(); what != "" {
					reads[what] = true
				}
			})
			got := strings.Join(slices.Sorted(maps.Keys(reads)), ", ")
			fmt.Fprintf(&seen, "%s: %s\n", name, got)
			if got != want[name] && !*update {
				t.Errorf("got %s, want %s (go test -run UseAnIndex -update)", got, want[name])
			}
		})
	}
	if *update {
		if err := os.WriteFile(file, []byte(seen.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
