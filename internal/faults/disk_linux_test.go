package faults_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// While the disk takes nothing, whatever writes is refused with a 5xx, reading goes
// on, and /readyz says no; when there is room again, so does all, by itself.
//
// The full disk is a limit on the size of files, which needs no rights and exists
// everywhere, and, where file systems may be mounted, a small one.
func TestSQLite_DiskFull(t *testing.T) {
	t.Run("limit", func(t *testing.T) {
		a := start(t, "sqlite:"+filepath.Join(t.TempDir(), "jeton.db"))
		limit := func(soft uint64) {
			t.Helper()
			must(t, unix.Prlimit(a.nodes[0].process.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: soft, Max: unix.RLIM_INFINITY}, nil))
		}
		a.outOfRoom(func() { limit(1) }, func() { limit(unix.RLIM_INFINITY) })
	})
	t.Run("small", func(t *testing.T) {
		dir := t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
			t.Logf("no file system can be mounted here (%v): the limit is the test", err)
			return
		}
		t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
		a := start(t, "sqlite:"+filepath.Join(dir, "jeton.db"))
		filler := filepath.Join(dir, "filler")
		a.outOfRoom(func() { fill(t, filler) }, func() { must(t, os.Remove(filler)) })
	})
}

// fill writes until nothing more goes in.
func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	must(t, err)
	defer func() { _ = f.Close() }()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else {
			must(t, err)
		}
	}
}

func (a *authority) outOfRoom(begin, end func()) {
	t, n := a.t, a.nodes[0]
	t.Helper()
	l := a.crowd()
	l.progress("refresh yes", 20)
	known, err := a.tokens(t.Context(), n, "machine", "grant_type", "client_credentials")
	must(t, err)
	begin()
	n.wantNotReady()
	for range 5 {
		if _, err := a.tokens(t.Context(), n, "machine", "grant_type", "client_credentials"); err == nil {
			t.Error("a token was issued that cannot have been stored")
		}
		if err := a.revoke(t.Context(), n, "machine", known.access); err == nil {
			t.Error("a revocation was answered that cannot have been stored")
		}
		if alive, err := a.active(t.Context(), n, known.access); err != nil || !alive {
			t.Errorf("introspection while the disk is full: %v, %v", alive, err)
		}
	}
	end()
	n.wantReady()
	l.progress("refresh yes", 20)
	if alive, err := a.active(t.Context(), n, known.access); err != nil || !alive {
		t.Errorf("a token whose revocation was refused: %v, %v", alive, err)
	}
	l.wantNothingLost()
}

// A start on a database that may only be read ends with an error that names the
// file, and changes nothing.
func TestSQLite_ReadOnly(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "jeton.db")
	a := start(t, "sqlite:"+file)
	n := a.nodes[0]
	n.stop()
	must(t, filepath.WalkDir(filepath.Dir(filepath.Dir(n.config)), func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chmod(path, 0o755))
	}))
	binary, err := built()
	must(t, err)
	must(t, os.Chmod(filepath.Dir(binary), 0o755))
	before, err := os.ReadFile(file)
	must(t, err)
	must(t, os.Chmod(file, 0o444))
	must(t, os.Chmod(dir, 0o555))
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	if os.Geteuid() == 0 {
		n.as = &syscall.Credential{Uid: 65534, Gid: 65534} // root may write to any file
	}
	n.start()
	<-n.ended
	if code := n.process.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if told := n.told(); !strings.Contains(told, file) || strings.Contains(told, "goroutine ") {
		t.Errorf("it does not name the file:\n%s", told)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("the file was changed, or is gone: %v", err)
	}
	n.as = nil
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chmod(file, 0o600))
	n.start()
	n.wantReady()
}
