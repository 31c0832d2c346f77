package faults_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/leaktest"
	"github.com/jetonhq/jeton/internal/pgtest"
)

var (
	seed = flag.Int64("seed", 0, "of what happens when (default: another one each time)")
	long = flag.Duration("long", 0, "how long each test goes on breaking things (default: the short form)")
)

// watched collects the secrets that the callers use, and all that the servers log
// or refuse with.
var watched leaktest.Watch

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = time.Now().UnixNano()
	}
	fmt.Fprintln(os.Stderr, "faults: -seed", *seed)
	code := watched.Main(func() int { return pgtest.Main(m) }, os.Stderr)
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(dir))
	}
	os.Exit(code)
}

// lasting is how long a test goes on: for so long, or as long as -long says.
func lasting(short time.Duration) time.Duration {
	if *long > 0 {
		return *long
	}
	return short
}

// dice are the same for the same seed and name.
func dice(name string) *rand.Rand {
	var sum uint64
	for _, c := range name {
		sum = sum*31 + uint64(c)
	}
	return rand.New(rand.NewPCG(uint64(*seed), sum))
}

// built is the binary under test, made once for all tests.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "jeton-binary-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "jeton")
	build := exec.Command("go", "build", "-o", binary, "github.com/jetonhq/jeton/cmd/jeton")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return binary, nil
})

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for something that other processes do.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
