package server_test

import (
	"flag"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tests that docs/checks.md names")

const (
	checksFile = "../../docs/checks.md"
	root       = "../.."
)

var (
	testFunc  = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	checkName = regexp.MustCompile(`(?:^Test|_)([A-Z]{2,4})((?:_\d+)+)`)
	checkID   = regexp.MustCompile(`^[A-Z]{2,4}-\d+$`)
	testRef   = regexp.MustCompile("`([\\w/.]+)\\.(Test\\w+)`")
)

// tests are the names of every test function, by the directory of its package.
func tests(t *testing.T) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && name != root {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(name) // #nosec G304 -- of this repository
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		for _, m := range testFunc.FindAllStringSubmatch(string(source), -1) {
			found[filepath.ToSlash(dir)] = append(found[filepath.ToSlash(dir)], m[1])
		}
		return nil
	})
	must(t, err)
	return found
}

// checksOf are the ids in a test's name: TestJW_30_31_Set has JW-30 and JW-31.
func checksOf(name string) []string {
	var ids []string
	for _, m := range checkName.FindAllStringSubmatch(name, -1) {
		for number := range strings.SplitSeq(strings.TrimPrefix(m[2], "_"), "_") {
			ids = append(ids, m[1]+"-"+number)
		}
	}
	return ids
}

// reference is how the table names a test. The root package is called jeton.
func reference(dir, name string) string {
	if dir == "." {
		dir = "jeton"
	}
	return "`" + path.Clean(dir) + "." + name + "`"
}

// TestChecksTable holds docs/checks.md against the repository: every test it
// names exists, and every check has a test or a reason why not. With -update the
// column of tests is written anew, by the ids in their names; tests with other
// names are kept if they exist.
func TestChecksTable(t *testing.T) {
	page, err := os.ReadFile(checksFile)
	must(t, err)
	exists := make(map[string]bool)
	byCheck := make(map[string][]string)
	for dir, names := range tests(t) {
		for _, name := range names {
			ref := reference(dir, name)
			exists[ref] = true
			for _, id := range checksOf(name) {
				byCheck[id] = append(byCheck[id], ref)
			}
		}
	}
	rows := 0
	var lines []string
	for line := range strings.SplitSeq(string(page), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !checkID.MatchString(strings.TrimSpace(cells[1])) && !strings.HasPrefix(strings.TrimSpace(cells[1]), "20.7") {
			lines = append(lines, line)
			continue
		}
		rows++
		id := strings.TrimSpace(cells[1])
		if *update {
			cells[3] = " " + strings.Join(merged(byCheck[id], cells[3], exists), ", ") + " "
		}
		refs := testRef.FindAllString(cells[3], -1)
		for _, ref := range refs {
			if !exists[ref] {
				t.Errorf("%s: there is no test %s", id, ref)
			}
		}
		if len(refs) == 0 && strings.TrimSpace(cells[4]) == "" {
			t.Errorf("%s has neither a test nor a reason why not", id)
		}
		lines = append(lines, strings.Join(cells, "|"))
	}
	if rows < 100 {
		t.Errorf("the table has %d rows: was it read?", rows)
	}
	if *update {
		must(t, os.WriteFile(checksFile, []byte(strings.Join(lines, "\n")), 0o600))
	}
}

func merged(named []string, cell string, exists map[string]bool) []string {
	for _, ref := range testRef.FindAllString(cell, -1) {
		if exists[ref] {
			named = append(named, ref)
		}
	}
	slices.Sort(named)
	return slices.Compact(named)
}
