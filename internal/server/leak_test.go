package server_test

import (
	"os"
	"testing"

	"github.com/jetonhq/jeton/internal/leaktest"
	"github.com/jetonhq/jeton/internal/pgtest"
)

// watched collects every secret that the tests of this package use, and all
// that the servers under test log or refuse with.
var watched leaktest.Watch

// The whole run fails if a log line or a refusal holds a secret, whichever test
// made it.
func TestMain(m *testing.M) {
	os.Exit(watched.Main(func() int { return pgtest.Main(m) }, os.Stderr))
}
