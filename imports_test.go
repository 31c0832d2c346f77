package jeton_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const modulePath = "github.com/jetonhq/jeton"

// layers runs from the bottom up: a package imports only from lines above its own.
// Do not move a package to make a build pass: move the code.
var layers = []string{
	"oauth jwk revocation internal/network internal/secret internal/leaktest internal/installed internal/faultproxy internal/dpop internal/answered internal/spread internal/traces",
	"jwt admin internal/authority internal/seen internal/policy internal/throttle jwk/zookeeper jwk/etcd jwk/wycheproof internal/browsertest internal/smtptest internal/coordtest internal/pgtest internal/redistest",
	". client internal/keys internal/seal internal/accounts internal/policies internal/notes internal/upkeep",
	"bff jetonprom internal/publish internal/notify internal/notme internal/tokens internal/clients internal/feed",
	"internal/store/columns internal/store/head internal/store/estimate internal/store/transfer internal/grants internal/mint internal/mail internal/flow internal/federation internal/provision",
	"internal/endpoint internal/endpoint/adminapi internal/web internal/config internal/store/sqlite internal/store/postgres internal/store/redis internal/publish/etcd internal/publish/zookeeper internal/storetest",
	"internal/server internal/agent internal/bffserver internal/doctor",
	"jetontest internal/cli",
	"cmd/jeton internal/bench internal/faults",
}

// testReach is the highest row an external test package may import, whatever its own row:
// it is no part of the package's graph, and it cannot make a cycle.
const testReach = 8

// ownDependencies lists the public packages that may import other modules. They talk to a
// coordination service or a metrics library, and a program that does not use one never imports them.
var ownDependencies = []string{"jwk/zookeeper", "jwk/etcd", "jetonprom"}

// sharedInternal lists the internal packages that the guard and the authority have in common. They
// are held to the rules of public packages, so that the guard brings nothing else with it.
var sharedInternal = []string{"internal/seen", "internal/policy", "internal/network", "internal/dpop"}

// startsAuthority is the one public package that may import internal ones: it runs the whole
// server inside a user's test. It still imports no other module by itself.
const startsAuthority = "jetontest"

func TestImports_PointDown(t *testing.T) {
	for _, problem := range upward(parseTree(t, os.DirFS("."))) {
		t.Error(problem)
	}
}

func TestImports_PublicPackagesNeedNoOtherModule(t *testing.T) {
	for _, problem := range foreign(parseTree(t, os.DirFS("."))) {
		t.Error(problem)
	}
}

// sourceFile is what the rules need to know about one Go file.
type sourceFile struct {
	path     string
	dir      string // the package's place in the module, "." for the root
	test     bool
	external bool // package x_test
	imports  []string
}

// parseTree reads the imports of every Go file of this module. It parses the files itself,
// because the result of a test that runs "go list" stays in the test cache after a bad import
// has been added.
func parseTree(t *testing.T, tree fs.FS) []sourceFile {
	t.Helper()
	var files []sourceFile
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "_") || entry.Name() == "testdata" || isModule(tree, name)) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		file, err := parseFile(tree, name)
		files = append(files, file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// isModule reports whether dir is a module of its own, with its own rules.
func isModule(tree fs.FS, dir string) bool {
	_, err := fs.Stat(tree, path.Join(dir, "go.mod"))
	return err == nil
}

func parseFile(tree fs.FS, name string) (sourceFile, error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return sourceFile{}, err
	}
	syntax, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		return sourceFile{}, err
	}
	file := sourceFile{path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go")}
	file.external = file.test && strings.HasSuffix(syntax.Name.Name, "_test")
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return sourceFile{}, fmt.Errorf("%s: %w", name, err)
		}
		file.imports = append(file.imports, imported)
	}
	return file, nil
}

// upward reports every package without a row and every import that does not point down.
func upward(files []sourceFile) []string {
	rows := tableRows()
	owners := embedOnly(files, rows)
	var problems []string
	for _, file := range files {
		if owners[file.dir] != "" {
			continue
		}
		row, known := rows[file.dir]
		if !known {
			problems = append(problems, fmt.Sprintf("%s: package %s has no row in layers", file.path, file.dir))
			continue
		}
		reach := row - 1
		if file.external {
			reach = max(reach, testReach)
		}
		for _, imported := range file.imports {
			target, ours := inModule(imported)
			if !ours || owners[target] == file.dir {
				continue
			}
			switch targetRow, known := rows[target]; {
			case owners[target] != "":
				problems = append(problems, fmt.Sprintf("%s: imports %s, which belongs to %s alone", file.path, target, owners[target]))
			case !known:
				problems = append(problems, fmt.Sprintf("%s: imports %s, which has no row in layers", file.path, target))
			case targetRow > reach:
				problems = append(problems, fmt.Sprintf("%s: row %d imports %s of row %d", file.path, row, target, targetRow))
			}
		}
	}
	return problems
}

// foreign reports what a public package imports beyond the standard library and other public
// packages: whoever imports the guard gets nothing else with it.
func foreign(files []sourceFile) []string {
	var problems []string
	for _, file := range files {
		if file.test || !isPublic(file.dir) || slices.Contains(ownDependencies, file.dir) {
			continue
		}
		for _, imported := range file.imports {
			target, ours := inModule(imported)
			switch {
			case ours && (isPublic(target) || file.dir == startsAuthority):
			case !ours && isStandard(imported):
			default:
				problems = append(problems, fmt.Sprintf("%s: public package %s imports %s", file.path, file.dir, imported))
			}
		}
	}
	return problems
}

func tableRows() map[string]int {
	rows := make(map[string]int)
	for i, line := range layers {
		for dir := range strings.FieldsSeq(line) {
			rows[dir] = i + 1
		}
	}
	return rows
}

// embedOnly finds the packages below one of the table that import nothing but embed, such as a
// store's migrations. They need no row: only the package above them imports them.
func embedOnly(files []sourceFile, rows map[string]int) map[string]string {
	owners := make(map[string]string)
	for _, file := range files {
		if rows[file.dir] == 0 {
			owners[file.dir] = ""
		}
	}
	for dir := range owners {
		for above := path.Dir(dir); above != "."; above = path.Dir(above) {
			if rows[above] != 0 {
				owners[dir] = above
				break
			}
		}
	}
	for _, file := range files {
		if owners[file.dir] != "" && slices.ContainsFunc(file.imports, func(p string) bool { return p != "embed" }) {
			owners[file.dir] = ""
		}
	}
	return owners
}

func inModule(imported string) (dir string, ours bool) {
	if imported == modulePath {
		return ".", true
	}
	return strings.CutPrefix(imported, modulePath+"/")
}

func isPublic(dir string) bool {
	first, _, _ := strings.Cut(dir, "/")
	return first != "internal" && first != "cmd" || slices.Contains(sharedInternal, dir)
}

// isStandard: only the standard library has paths whose first element is no host name.
// cgo ("C") is no part of it: Jeton builds without a C compiler.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") && imported != "C"
}

func TestImports_RulesRefuse(t *testing.T) {
	const own = modulePath + "/"
	tests := []struct {
		name    string
		file    string
		pkg     string
		imports []string
		upward  []string
		foreign []string
	}{
		{name: "down", file: "jwt/verify.go", pkg: "jwt", imports: []string{"crypto", own + "jwk"}},
		{name: "own row", file: "oauth/error.go", pkg: "oauth", imports: []string{own + "jwk"},
			upward: []string{"oauth/error.go: row 1 imports jwk of row 1"}},
		{name: "up", file: "internal/tokens/mint.go", pkg: "tokens", imports: []string{own + "internal/grants"},
			upward: []string{"internal/tokens/mint.go: row 4 imports internal/grants of row 5"}},
		{name: "up to the root", file: "jwk/set.go", pkg: "jwk", imports: []string{modulePath},
			upward: []string{"jwk/set.go: row 1 imports . of row 3"}},
		{name: "up from a test of the package itself", file: "internal/tokens/mint_test.go", pkg: "tokens", imports: []string{own + "internal/store/sqlite"},
			upward: []string{"internal/tokens/mint_test.go: row 4 imports internal/store/sqlite of row 6"}},
		{name: "anything below main from an external test", file: "jwk/set_test.go", pkg: "jwk_test", imports: []string{own + "jwk", own + "jetontest", "github.com/go-jose/go-jose/v4"}},
		{name: "main from an external test", file: "jwk/set_test.go", pkg: "jwk_test", imports: []string{own + "cmd/jeton"},
			upward: []string{"jwk/set_test.go: row 1 imports cmd/jeton of row 9"}},
		{name: "package without a row", file: "internal/util/util.go", pkg: "util",
			upward: []string{"internal/util/util.go: package internal/util has no row in layers"}},
		{name: "import without a row", file: "internal/server/open.go", pkg: "server", imports: []string{own + "internal/util"},
			upward: []string{"internal/server/open.go: imports internal/util, which has no row in layers"}},
		{name: "code below a package of the table", file: "internal/store/sqlite/rows/rows.go", pkg: "rows", imports: []string{"embed", "fmt"},
			upward: []string{"internal/store/sqlite/rows/rows.go: package internal/store/sqlite/rows has no row in layers"}},
		{name: "files below a package of the table", file: "internal/store/sqlite/migrations/files.go", pkg: "migrations", imports: []string{"embed"}},
		{name: "other module in the library", file: "jwt/verify.go", pkg: "jwt", imports: []string{"golang.org/x/crypto/sha3"},
			foreign: []string{"jwt/verify.go: public package jwt imports golang.org/x/crypto/sha3"}},
		{name: "internal package in the library", file: "guard.go", pkg: "jeton", imports: []string{own + "internal/secret"},
			foreign: []string{"guard.go: public package . imports " + own + "internal/secret"}},
		{name: "what guard and authority share", file: "guard.go", pkg: "jeton", imports: []string{own + "internal/seen"}},
		{name: "other module in what they share", file: "internal/seen/cache.go", pkg: "seen", imports: []string{"golang.org/x/sync/singleflight"},
			foreign: []string{"internal/seen/cache.go: public package internal/seen imports golang.org/x/sync/singleflight"}},
		{name: "cgo in the library", file: "jwt/verify.go", pkg: "jwt", imports: []string{"C"},
			foreign: []string{"jwt/verify.go: public package jwt imports C"}},
		{name: "other module in a server package", file: "internal/store/sqlite/open.go", pkg: "sqlite", imports: []string{"modernc.org/sqlite"}},
		{name: "other module in a key source", file: "jwk/etcd/watch.go", pkg: "etcd", imports: []string{"go.etcd.io/etcd/client/v3"}},
		{name: "server in jetontest", file: "jetontest/new.go", pkg: "jetontest", imports: []string{own + "internal/server"}},
		{name: "other module in jetontest", file: "jetontest/new.go", pkg: "jetontest", imports: []string{"github.com/google/go-cmp/cmp"},
			foreign: []string{"jetontest/new.go: public package jetontest imports github.com/google/go-cmp/cmp"}},
		{name: "fixtures and hidden directories", file: "internal/cli/testdata/util/util.go", pkg: "util", imports: []string{own + "cmd/jeton"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var source strings.Builder
			fmt.Fprintf(&source, "package %s\n", test.pkg)
			for _, imported := range test.imports {
				fmt.Fprintf(&source, "import _ %q\n", imported)
			}
			files := parseTree(t, fstest.MapFS{test.file: {Data: []byte(source.String())}})
			if got, want := upward(files), test.upward; !cmp.Equal(got, want) {
				t.Errorf("upward: %s", cmp.Diff(want, got))
			}
			if got, want := foreign(files), test.foreign; !cmp.Equal(got, want) {
				t.Errorf("foreign: %s", cmp.Diff(want, got))
			}
		})
	}
}

// A package that only embeds files belongs to the package above it.
func TestImports_EmbeddedFilesHaveOneImporter(t *testing.T) {
	const migrations = modulePath + "/internal/store/sqlite/migrations"
	files := parseTree(t, fstest.MapFS{
		"internal/store/sqlite/migrations/files.go": {Data: []byte("package migrations\nimport _ \"embed\"\n")},
		"internal/store/sqlite/open.go":             {Data: []byte("package sqlite\nimport _ \"" + migrations + "\"\n")},
		"internal/server/open.go":                   {Data: []byte("package server\nimport _ \"" + migrations + "\"\n")},
	})
	want := []string{"internal/server/open.go: imports internal/store/sqlite/migrations, which belongs to internal/store/sqlite alone"}
	if got := upward(files); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}
