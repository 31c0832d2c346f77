// Package leaktest finds secrets where they must not be. A test binary makes
// one Watch, wraps its HTTP clients and its logs with it, and at the end holds
// everything that was said (log lines, and the bodies and headers of refusals)
// against every secret that was used.
package leaktest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Secrets shorter than shortest are not looked for: they are made-up values of
// tests, and words like them are everywhere. Of longer ones the last tail bytes
// are looked for, so that a shortened secret is found too.
const (
	shortest = 16
	tail     = 20
)

// Watch collects secrets and what was said. The zero value is ready, and safe
// for concurrent use.
type Watch struct {
	mu      sync.Mutex
	needles map[string]string        // guarded by mu: what to look for, and what it is
	said    map[string]*bytes.Buffer // guarded by mu: by where it was said
}

// Secret adds a value that must turn up nowhere.

func (w *Watch) Secret(what, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, form := range []string{value, url.QueryEscape(value), url.PathEscape(value)} {
		if len(form) < shortest {
			continue
		}
		if w.needles == nil {
			w.needles = make(map[string]string)
		}
		w.needles[form[max(0, len(form)-tail):]] = what
	}
}

// Said adds text that must hold no secret.
func (w *Watch) Said(where, text string) {
	_, _ = w.Log(where).Write([]byte(text + "\n"))
}

// Log is a writer of such text.
func (w *Watch) Log(where string) io.Writer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said == nil {
		w.said = make(map[string]*bytes.Buffer)
	}
	if w.said[where] == nil {
		w.said[where] = new(bytes.Buffer)
	}
	return &log{w, w.said[where]}
}

type log struct {
	watch *Watch
	text  *bytes.Buffer // guarded by watch.mu
}

func (l *log) Write(p []byte) (int, error) {
	l.watch.mu.Lock()
	defer l.watch.mu.Unlock()
	return l.text.Write(p)
}

// Leaks names every line that holds a secret, without the secret.
func (w *Watch) Leaks() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lengths := make(map[int]bool)
	for needle := range w.needles {
		lengths[len(needle)] = true
	}
	var found []string
	for _, where := range slices.Sorted(maps.Keys(w.said)) {
		number := 0
		for line := range strings.Lines(w.said[where].String()) {
			number++
			for n := range lengths {
				for i := 0; i+n <= len(line); i++ {
					if what, ok := w.needles[line[i:i+n]]; ok {
						found = append(found, fmt.Sprintf("%s, line %d: a %s, after %q", where, number, what, before(line[:i])))
					}
				}
			}
		}
	}
	return found
}

// before is enough of a line to find it in the code, and ends well before the
// secret begins.
func before(line string) string {
	return line[:min(len(line)/2, 80)]
}

// Counts are how many secrets are looked for, and in how many bytes.
func (w *Watch) Counts() (secrets, text int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.said {
		text += b.Len()
	}
	return len(w.needles), text
}

// Main runs tests and then reports the leaks. It returns the exit code.
func (w *Watch) Main(run func() int, out io.Writer) int {
	code := run()
	leaks := w.Leaks()
	for _, leak := range leaks {
		_, _ = fmt.Fprintln(out, "leak:", leak)
	}
	secrets, text := w.Counts()
	_, _ = fmt.Fprintf(out, "leaktest: %d secrets looked for in %d bytes of logs and refusals, %d found\n", secrets, text, len(leaks))
	if len(leaks) > 0 {
		return max(code, 1)
	}
	return code
}
