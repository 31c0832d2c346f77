package pgtest

import (
	"errors"
	"os"
	"sync"
	"testing"
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
	switch err := shared.err; {
	case err == nil:
	case errors.Is(err, ErrNotInstalled) && os.Getenv("JETON_TEST_ALL") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	return shared.server
}
