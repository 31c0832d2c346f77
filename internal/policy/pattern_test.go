package policy_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/policy"
)

var patterns = []string{
	"/", "/{$}", "/a", "/a/", "/a/{$}", "/a/{id}", "/a/{id}/", "/a/{id}/b", "/{x}", "/{x}/{y}", "/{rest...}", "/a/{rest...}",
	"/a/{id}/c/{rest...}", "/a%2Fb", "/a%20b", "/é", "/a/b/c", "/%7Ea/",
}

var paths = []string{
	"/", "/a", "/a/", "/a//", "/a/1", "/a/1/", "/a/1/b", "/a/1/b/", "/a/1/c", "/a/1/c/", "/a/1/c/2/3", "/b", "/b/", "/b/c",
	"/a%2Fb", "/a%2fb", "/a%20b", "/%61", "/%61/1", "/é", "/%C3%A9", "/~a/x", "/%7Ea/x", "/a/b/c", "/a/%2e%2e/b", "/A",
	"//a", "/a/../b", "/./a", "/a/./1", "/x/../a", "/a/..", "/..", "/a/.", "/a/...", "/.a", "/a/%2F",
}

// A policy means the paths that ServeMux means.
func TestPattern_MatchesWhatServeMuxMatches(t *testing.T) {
	for _, text := range patterns {
		p, err := policy.ParsePattern(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, at := range paths {
			compare(t, text, &p, at)
		}
	}
}

func compare(t *testing.T, text string, p *policy.Pattern, at string) {
	t.Helper()
	u, err := url.ParseRequestURI(at)
	if err != nil {
		return
	}
	// What would be redirected is asked about by its clean form, as the handler then is.
	clean := policy.Clean(u.EscapedPath())
	if again := policy.Clean(clean); again != clean {
		t.Errorf("%s: cleaned to %s, and that to %s", at, clean, again)
	}
	mux := http.NewServeMux()
	mux.Handle(text, http.NotFoundHandler())
	if u, err = url.ParseRequestURI(clean); err != nil {
		t.Fatalf("%s: cleaned to %s: %v", at, clean, err)
	}
	_, found := mux.Handler(&http.Request{Method: http.MethodPost, URL: u})
	if got, want := p.Match(u.EscapedPath()), found == text && !redirects(text, u.EscapedPath()); got != want && !(got && strings.HasSuffix(strings.ToUpper(clean), "/%2F")) {
		t.Errorf("%s on %s (%s): got %v, want %v", text, at, clean, got, want)
	}
}

// redirects reports whether ServeMux answers with a redirect to the same path with a slash.
func redirects(pattern, at string) bool {
	p, _ := policy.ParsePattern(pattern)
	return at[len(at)-1] != '/' && !p.Match(at) && p.Match(at+"/")
}

func FuzzPattern(f *testing.F) {
	for i, text := range patterns {
		f.Add(text, paths[i])
	}
	f.Fuzz(func(t *testing.T, text, at string) {
		p, err := policy.ParsePattern(text)
		if err != nil || at == "" || at[0] != '/' {
			return
		}
		u := &url.URL{Path: at}
		if u.EscapedPath() == "" {
			return
		}
		compare(t, text, &p, u.EscapedPath())
	})
}

func TestParsePattern_Refuses(t *testing.T) {
	for _, bad := range []string{
		"", "reports", "GET /reports", "example.com/reports", "/{", "/{}", "/{x}/{x}", "/{x...}/y", "/a{x}", "/{$}/a", "/{1}", "/a?b", "/a#b", "/a//b",
		"/a/../b", "/%zz", "/a b",
	} {
		if _, err := policy.ParsePattern(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
