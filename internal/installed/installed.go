// Package installed says what a test does when a program that it needs is not
// on the machine: it skips at a desk and fails where everything must run, which
// JETON_TEST_ALL says. scripts/install-test-packages installs them all.
package installed

import (
	"os"
	"os/exec"
	"testing"
)

// Program is where the first of the programs is that can be found. Each is a
// name to look for on PATH, or a path.
func Program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, names[0]+" is not installed")
	return ""
}

// File is the path of a file that belongs to a program, if it is there.
func File(t testing.TB, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		Missing(t, err.Error())
	}
	return path
}

// Missing skips the test, or fails it where everything must run.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("JETON_TEST_ALL") != "" {
		t.Fatal(what + "; scripts/install-test-packages installs it")
	}
	t.Skip(what)
}
