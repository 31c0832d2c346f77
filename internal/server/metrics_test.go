package server_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var metricName = regexp.MustCompile(`\bjeton_[a-z_]+\b`)

// exported are the names of our metrics, from the source: those with labels are
// not in an answer to a scrape before something has happened.
func exported(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	must(t, err)
	made := regexp.MustCompile(`(?:Name: |gauge\(|NewDesc\()"(jeton_[a-z_]+)"`)
	found := make(map[string]bool)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		must(t, err)
		for _, m := range made.FindAllStringSubmatch(string(source), -1) {
			found[m[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// The names that a scrape has are among those of the source, so that the tests
// below hold against what is served.
func TestMetrics_SourceIsComplete(t *testing.T) {
	w := newWorld(t, options{})
	w.machine()
	known := exported(t)
	scraped := w.do(w.request("GET", w.manage+"/metrics", "")).ok().body
	for line := range strings.Lines(scraped) {
		if name, ok := strings.CutPrefix(line, "# TYPE jeton_"); ok {
			name, _, _ = strings.Cut("jeton_"+name, " ")
			if !slices.Contains(known, name) {
				t.Errorf("%s is served and not found in the source", name)
			}
		}
	}
}

// The dashboard shows every metric there is and no other.
func TestMetrics_Dashboard(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("..", "..", "deploy", "grafana", "jeton.json"))
	must(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	must(t, json.Unmarshal(file, &dashboard))
	shown := make(map[string]bool)
	known := exported(t)
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				for _, part := range []string{"_bucket", "_sum", "_count"} {
					if base := strings.TrimSuffix(name, part); !slices.Contains(known, name) && slices.Contains(known, base) {
						name = base
					}
				}
				shown[name] = true
			}
		}
	}
	if diff := cmp.Diff(known, slices.Sorted(maps.Keys(shown))); diff != "" {
		t.Error(diff)
	}
}

func TestMetrics_Documented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	must(t, err)
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(jeton_[a-z_]+)`").FindAllStringSubmatch(string(page), -1) {
		listed = append(listed, row[1])
	}
	slices.Sort(listed)
	if diff := cmp.Diff(exported(t), listed); diff != "" {
		t.Error(diff)
	}
}
