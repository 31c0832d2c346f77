package postgres

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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

// sources are the files of this package, without its tests.
func sources(t *testing.T) (files *token.FileSet, parsed []*ast.File) {
	t.Helper()
	files = token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
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
	return files, parsed
}

// statements finds every constant of this package whose name starts with sql.
func statements(t *testing.T) map[string]string {
	t.Helper()
	files, parsed := sources(t)
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

// verbs are what a statement that has a plan begins with.
var verbs = []string{"SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "}

func isVerb(text string) bool {
	text = strings.TrimSpace(text)
	return slices.ContainsFunc(verbs, func(verb string) bool { return strings.HasPrefix(text, verb) })
}

// unnamed are texts of statements that no constant named sql... holds whole.
var unnamed = []string{
	"SELECT coalesce(max(exp), 0) FROM ", // of a partition that is about to go, as a whole
	"SELECT version_id, tstamp FROM goose_db_version WHERE version_id > 0 AND is_applied",
	"SELECT id FROM events ORDER BY id DESC LIMIT 1", // while a copy is made
}

// TestStatements_AreNamed finds texts of statements that the tests below would not
// look at.
func TestStatements_AreNamed(t *testing.T) {
	files, parsed := sources(t)
	for _, file := range parsed {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				return !strings.HasPrefix(n.Names[0].Name, "sql") && n.Names[0].Name != "endGrants" // begins several
			case *ast.BasicLit:
				if n.Kind != token.STRING {
					return true
				}
				if text := constant.StringVal(constant.MakeFromLiteral(n.Value, n.Kind, 0)); isVerb(text) && !slices.Contains(unnamed, text) {
					t.Errorf("%s: a statement that is no constant named sql...: %s", files.Position(n.Pos()), text)
				}
			}
			return true
		})
	}
}
