package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const (
	asNobody = "JETON_TEST_AS_NOBODY" // the directory of a child that gives up root
	nobody   = 65534
)

// A file that may not be written is refused, and the error names the permission.
// Root may write to any file, so under root a child checks it as somebody else.
func TestOpen_ReadOnlyFile(t *testing.T) {
	dir := os.Getenv(asNobody)
	switch {
	case dir != "":
		if err := errors.Join(syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			t.Fatal(err)
		}
	case os.Geteuid() == 0:
		withoutRoot(t)
		return
	default:
		dir = t.TempDir()
	}
	s, err := Open(t.Context(), Config{Path: filepath.Join(dir, "new.db")})
	if err != nil {
		t.Fatalf("beside it a database can be made: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "jeton.db")
	if err := os.WriteFile(path, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Path: path}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want a refusal that names the permission", err)
	}
}

// withoutRoot runs the test in a child that has a directory to write to and no
// more rights than anybody. The child starts as root: nobody else can reach the
// test's program.
func withoutRoot(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "jeton-readonly-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOpen_ReadOnlyFile$") // #nosec G204 -- this test
	child.Env = append(os.Environ(), asNobody+"="+dir)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
