package postgres

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jetonhq/jeton/internal/pgtest"
)

// openInner opens an empty store for tests of the package itself.
func openInner(t testing.TB, edit ...func(*Config)) *Store {
	t.Helper()
	c := Config{URL: pgtest.Database(t)}
	for _, f := range edit {
		f(&c)
	}
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// statements finds every constant of this package whose name starts with sql.
func statements(t *testing.T) map[string]string {
	t.Helper()
	files := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, file)
	}
	// Imports stay unresolved: string constants do not need them.
	checked := types.Config{IgnoreFuncBodies: true, Error: func(error) {}}
	pkg, _ := checked.Check("postgres", files, parsed, nil)
	found := map[string]string{}
	for _, name := range pkg.Scope().Names() {
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok && strings.HasPrefix(name, "sql") {
			found[name] = constant.StringVal(c.Val())
		}
	}
	if len(found) < 50 {
		t.Fatalf("found only %d statements", len(found))
	}
	return found
}

func TestStatements_Prepare(t *testing.T) {
	s := openInner(t)
	conn, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for name, text := range statements(t) {
		if name == "sqlListen" { // two statements in one
			continue
		}
		if _, err := conn.Conn().Prepare(t.Context(), name, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// smallTables may be read as a whole: they grow with what operators configure, or
// the statement's answer is the table.
var smallTables = map[string][]string{
	// A handful: one for each change of the data key that is not finished yet.
	"sqlKeysSealedBy":     {"keys"},
	"sqlWebhooksSealedBy": {"webhook_secrets"},
	"sqlLive":             {"revocations", "policies"}, // the log holds little else than live entries
	// Once in the life of a refresh key.
	"sqlEndGrantsOfKey": {"grants"},
	"sqlRefreshKeyUsed": {"grants"},
}

// plan is a node of an answer of EXPLAIN (FORMAT JSON).
type plan struct {
	Kind  string `json:"Node Type"`
	Table string `json:"Relation Name"`
	Index string `json:"Index Name"`
	Cond  string `json:"Index Cond"`
	Plans []plan
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
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", len(described.ParamOIDs)), ", ")
	if nulls != "" {
		nulls = "(" + nulls + ")"
	}
	var answer string
	if err := conn.QueryRow(t.Context(), fmt.Sprintf("EXPLAIN (FORMAT JSON) EXECUTE %s%s", name, nulls), pgx.QueryExecModeSimpleProtocol).Scan(&answer); err != nil {
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

// TestStatements_UseAnIndex looks at the plan that is made for any values at all
// (a generic one). A step that reads a whole table, also by way of an index without
// a condition, is only there where the answer is limited in that order.
func TestStatements_UseAnIndex(t *testing.T) {
	s := openInner(t)
	if err := s.partition(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	pooled, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pooled.Release()
	conn := pooled.Conn()
	if _, err := conn.Exec(t.Context(), `SET plan_cache_mode = force_generic_plan`); err != nil {
		t.Fatal(err)
	}
	for name, text := range statements(t) {
		words := strings.Fields(text)
		if !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}, words[0]) || strings.Contains(text, "pg_inherits") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			explain(t, conn, strings.ToLower(name), text).all(func(step plan) {
				if step.Kind == "Seq Scan" && !slices.Contains(smallTables[name], step.Table) {
					t.Errorf("reads the whole table %s", step.Table)
				}
				if step.Kind == "Hash Join" || step.Kind == "Merge Join" {
					t.Errorf("has a %s: no index leads from one side to the other", step.Kind)
				}
			})
		})
	}
}
