package jeton_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	// What the snippets import, so that a change there runs this test again.
	_ "github.com/jetonhq/jeton/admin"
	_ "github.com/jetonhq/jeton/bff"
	_ "github.com/jetonhq/jeton/client"
	_ "github.com/jetonhq/jeton/jwk/zookeeper"
)

// snippetImports are the packages that a snippet may use by name.
var snippetImports = map[string]string{
	"context": "context", "json": "encoding/json", "fmt": "fmt", "io": "io", "http": "net/http", "os": "os", "time": "time",
	"jeton": modulePath, "admin": modulePath + "/admin", "bff": modulePath + "/bff", "client": modulePath + "/client",
	"jwk": modulePath + "/jwk", "zookeeper": modulePath + "/jwk/zookeeper", "oauth": modulePath + "/oauth",
	"oidc": "github.com/coreos/go-oidc/v3/oidc", "oauth2": "golang.org/x/oauth2",
}

// snippetNames are what a snippet may use without saying where it comes from: it
// is the reader's own, or stands above on the page.
var snippetNames = map[string]string{
	"ctx": "context.Context", "w": "http.ResponseWriter", "r": "*http.Request", "resp": "*http.Response",
	"query": "map[string][]string", "state": "string", "nonce": "string", "verifier": "string",
	"secret": "client.Secret", "secrets": "[]string", "mux": "*http.ServeMux", "guard": "*jeton.Guard", "app": "*bff.App",
}

// snippetHandlers are the reader's handlers.
var snippetHandlers = []string{"reports", "pay", "admin", "orders", "photo", "transfer", "chat", "list", "remove"}

// foreignSnippet is the one that shows routers which are no dependency of ours.
const foreignSnippet = "echo.WrapHandler"

var (
	goBlock   = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	topLevel  = regexp.MustCompile(`(?ms)^func .*?^}\n`)
	qualifier = regexp.MustCompile(`\b([a-z]\w*)\.[A-Z]`)
)

// TestDocs_SnippetsCompile builds every piece of Go on the pages against this
// tree, each as the body of a function.
func TestDocs_SnippetsCompile(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for _, page := range append(pages, "README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range goBlock.FindAllSubmatchIndex(text, -1) {
			snippet, line := string(text[at[2]:at[3]]), 1+strings.Count(string(text[:at[2]]), "\n")
			if strings.Contains(snippet, foreignSnippet) {
				continue
			}
			name := fmt.Sprintf("snippet%d.go", len(overlay.Replace))
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, []byte(snippetFile(t, page, line, snippet)), 0o600); err != nil {
				t.Fatal(err)
			}
			overlay.Replace[filepath.Join("internal", "snippets", name)] = file
		}
	}
	if len(overlay.Replace) < 20 {
		t.Fatalf("only %d snippets were found", len(overlay.Replace))
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-gcflags=-e", "-overlay", filepath.Join(dir, "overlay.json"), "./internal/snippets") // #nosec G204 -- the test's own
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// snippetFile makes a Go file of a snippet, whose errors name the page's lines.
func snippetFile(t *testing.T, page string, line int, snippet string) string {
	t.Helper()
	names := maps.Clone(snippetNames)
	for _, name := range snippetHandlers {
		names[name] = "http.Handler"
	}
	functions := topLevel.FindAllString(snippet, -1)
	body := topLevel.ReplaceAllStringFunc(snippet, func(f string) string { return strings.Repeat("\n", strings.Count(f, "\n")) })
	for _, m := range qualifier.FindAllStringSubmatch(snippet, -1) {
		if snippetImports[m[1]] != "" {
			delete(names, m[1]) // it is the package here
		}
	}
	var params []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		params = append(params, name+" "+names[name])
	}
	signature := "func _(" + strings.Join(params, ", ") + ") error "
	used := map[string]bool{}
	for _, m := range qualifier.FindAllStringSubmatch(signature+snippet, -1) {
		used[m[1]] = snippetImports[m[1]] != ""
	}
	var b strings.Builder
	b.WriteString("package snippets\n\n")
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if used[name] {
			fmt.Fprintf(&b, "import %s %q\n", name, snippetImports[name])
		}
	}
	at, err := filepath.Abs(page)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "%s{ {\n//line %s:%d\n%s\n%s\n}; return nil }\n%s", signature, at, line, body, uses(t, body), strings.Join(functions, "\n"))
	return b.String()
}

// uses makes use of what a body declares: a snippet ends where the reader goes on.
func uses(t *testing.T, body string) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "", "package p; func _() {\n"+body+"\n}", parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	var used strings.Builder
	for _, statement := range f.Decls[0].(*ast.FuncDecl).Body.List {
		assign, ok := statement.(*ast.AssignStmt)
		if !ok || assign.Tok != token.DEFINE {
			continue
		}
		for _, left := range assign.Lhs {
			if name, ok := left.(*ast.Ident); ok && name.Name != "_" {
				fmt.Fprintf(&used, "_ = %s; ", name.Name)
			}
		}
	}
	return used.String()
}
