package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func TestOpen_Durability(t *testing.T) {
	s := openTest(t)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2"} {
		var got string
		if err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("got %s = %s, %v, want %s", pragma, got, err, want)
		}
	}
	if _, err := s.reads.Exec("DELETE FROM tokens"); err == nil {
		t.Error("a reader's connection wrote")
	}
}

func TestOpen_PrivateModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	path := filepath.Join(dir, "jeton.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	standingGrants(t, s, 1)
	modes := map[string]fs.FileMode{dir: 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, path + ".lock": 0o600}
	for name, want := range modes {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: got mode %o, want %o", filepath.Base(name), got, want)
		}
	}
}

// What a path holds is part of its name, not of the driver's.
func TestOpen_StrangePaths(t *testing.T) {
	for _, name := range []string{"a b", "a?mode=memory", "a#b", "a%41", "a&_pragma=synchronous(0)", "ü"} {
		path := filepath.Join(t.TempDir(), name)
		s, err := Open(t.Context(), Config{Path: path})
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		standingGrants(t, s, 1)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%q: the file is not there: %v", name, err)
		}
	}
}

func TestOpen_Twice(t *testing.T) {
	s := openTest(t)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(s.path, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{s.path, link} {
		if _, err := Open(t.Context(), Config{Path: path}); !errors.Is(err, ErrLocked) {
			t.Errorf("got %v, want ErrLocked", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), Config{Path: s.path})
	if err != nil {
		t.Fatalf("after the first has closed: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpen_KeepsItsData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jeton.db")
	var id secret.ID
	var name string
	for round := range 3 {
		s, err := Open(t.Context(), Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		incarnation, _, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			id, name = standingGrants(t, s, 1)[0].ID, incarnation
		}
		if _, err := s.Grant(t.Context(), id); err != nil || incarnation != name {
			t.Errorf("round %d: %v, incarnation %q, want %q", round, err, incarnation, name)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if left, err := filepath.Glob(path + "-*"); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestOpen_Refused(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 300)), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, path := range map[string]string{"no path": "", "a directory": dir, "no database": text, "below a file": filepath.Join(text, "x.db")} {
		if s, err := Open(t.Context(), Config{Path: path}); err == nil {
			t.Errorf("%s was opened", what)
			_ = s.Close()
		}
	}
}

// pragma sets something on the writer's connection while the writer is idle.
func pragma(t *testing.T, s *Store, text string) {
	t.Helper()
	if _, err := s.writer.conn.ExecContext(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

func TestReadOnly(t *testing.T) {
	s := openTest(t)
	g := standingGrants(t, s, 1)[0]
	pragma(t, s, "PRAGMA query_only = 1")
	now := time.Now()
	for i, err := range together(20, func(int) error {
		return s.Issue(t.Context(), authority.Issue{Token: newToken(g.ID, now, time.Minute), Now: now})
	}) {
		if err == nil || errors.Is(err, authority.ErrEnded) || errors.Is(err, authority.ErrConflict) || !strings.Contains(err.Error(), "readonly") {
			t.Errorf("call %d: got %v, want an error that says read-only", i, err)
		}
	}
	if err := s.Ready(t.Context(), now); err == nil {
		t.Error("a store that cannot write is ready")
	}
	if _, err := s.Grant(t.Context(), g.ID); err != nil {
		t.Errorf("reading: %v", err)
	}
	pragma(t, s, "PRAGMA query_only = 0")
	if err := s.Ready(t.Context(), now); err != nil {
		t.Errorf("after the cause is gone: %v", err)
	}
}

// When the disk is full, what is answered is still there, what is refused is
// not, and the store goes on once there is room.
func TestDiskFull(t *testing.T) {
	s := openTest(t)
	g := standingGrants(t, s, 1)[0]
	var pages int64
	if err := s.reads.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	pragma(t, s, fmt.Sprint("PRAGMA max_page_count = ", pages+20))
	now := time.Now()
	var mu sync.Mutex
	var answered, refused []secret.ID
	var full atomic.Bool
	for _, err := range together(32, func(int) error {
		for !full.Load() {
			v := newToken(g.ID, now, time.Minute)
			err := s.Issue(context.Background(), authority.Issue{Token: v, Now: now})
			mu.Lock()
			if err == nil {
				answered = append(answered, v.ID)
			} else {
				refused = append(refused, v.ID)
				if full.Store(true); !strings.Contains(err.Error(), "full") {
					mu.Unlock()
					return err
				}
			}
			mu.Unlock()
		}
		return nil
	}) {
		if err != nil {
			t.Errorf("got %v, want an error that says the disk is full", err)
		}
	}
	check := func(what string, ids []secret.ID, want int) {
		t.Helper()
		found, err := s.Tokens(t.Context(), ids)
		if err != nil || len(found) != want {
			t.Errorf("%s: got %d of %d, %v", what, len(found), want, err)
		}
	}
	check("answered", answered, len(answered))
	check("refused", refused, 0)
	if len(answered) == 0 || len(refused) == 0 {
		t.Fatalf("%d answered, %d refused: the test has no power", len(answered), len(refused))
	}
	pragma(t, s, "PRAGMA max_page_count = 1000000")
	if err := s.Issue(t.Context(), authority.Issue{Token: newToken(g.ID, now, time.Minute), Now: now}); err != nil {
		t.Errorf("after there is room again: %v", err)
	}
	check("answered, later", answered, len(answered))
}

func TestBackup_WhileServing(t *testing.T) {
	s := openTest(t)
	grants := standingGrants(t, s, 10)
	now := time.Now()
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for !stop.Load() {
				if err := s.Issue(context.Background(), authority.Issue{Token: newToken(grants[i].ID, now, time.Minute), Now: now}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	v := newToken(grants[9].ID, now, time.Minute)
	if err := s.Issue(t.Context(), authority.Issue{Token: v, Now: now}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	err := s.Backup(t.Context(), path)
	stop.Store(true)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an existing file: got %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v", info.Mode(), err)
	}
	name, _, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	restored, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = restored.Close() })
	if found, err := restored.Tokens(t.Context(), []secret.ID{v.ID}); err != nil || len(found) != 1 {
		t.Errorf("the copy misses what was answered before it: %v", err)
	}
	if other, _, err := restored.Head(t.Context()); err != nil || other == name {
		t.Errorf("the copy's log goes by the same name %q, %v", other, err)
	}
}

// A token costs at most 150 bytes on disk, all in.
func TestTokens_BytesOnDisk(t *testing.T) {
	s := openTest(t)
	grants := standingGrants(t, s, 100)
	size := func() int64 {
		t.Helper()
		db, err := sql.Open("sqlite", source(s.path, "rw", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(sqlCheckpoint); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(s.path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	const callers, each = 50, 400
	for _, err := range together(callers, func(caller int) error {
		for range each {
			now := time.Now()
			if err := s.Issue(context.Background(), authority.Issue{Token: newToken(grants[caller].ID, now, time.Minute), Now: now}); err != nil {
				return err
			}
		}
		return nil
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	per := float64(size()-before) / (callers * each)
	t.Logf("%.1f bytes for each token", per)
	if per > 150 {
		t.Errorf("got %.1f bytes for each token, want at most 150", per)
	}
}

// together runs n calls at the same time and returns their errors.
func together(n int, call func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = call(i) })
	}
	wg.Wait()
	return errs
}
