package pgtest

import (
	"errors"
	"sync"
	"testing"

	"github.com/jetonhq/jeton/internal/installed"
)

// shared is the one server of a test binary.
var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Main runs a package's tests and stops the server that they shared. Call it
// from TestMain, with what it returns for os.Exit.
func Main(m *testing.M) int {
	defer func() {
		if shared.server != nil {
			shared.server.Stop()
		}
	}()
	return m.Run()
}

// Database makes an empty database on the server that the tests of a package
// share (see [Main]), and returns its URL. A machine without PostgreSQL skips
// the test, or fails it where everything must run (JETON_TEST_ALL).
func Database(t testing.TB) string {
	t.Helper()
	return running(t).Database(t)
}

// Copy is [Server.Copy] on that server.
func Copy(t testing.TB, template string, prepare func(url string) error) string {
	t.Helper()
	return running(t).Copy(t, template, prepare)
}

func running(t testing.TB) *Server {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = Start() })
	check(t, shared.err)
	return shared.server
}

// Own starts a server that this test alone uses, with settings as [Start] takes
// them, and stops it when the test ends.
func Own(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := Start(settings...)
	check(t, err)
	t.Cleanup(s.Stop)
	return s
}

func check(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, ErrNotInstalled):
		installed.Missing(t, err.Error())
	case err != nil:
		t.Fatal(err)
	}
}
