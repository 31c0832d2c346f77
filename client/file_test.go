package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestFileStore_RoundTrip(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 678, time.FixedZone("", 3600))
	for name, want := range map[string]SignIn{
		"refresh token only": {RefreshToken: NewSecret("jr_1")},
		"signed out":         {},
		"all": {RefreshToken: NewSecret("jr_1"), Token: Token{
			AccessToken: NewSecret("at-1"), Type: "Bearer", Scope: "a b", Expiry: at.Add(time.Minute), obtained: at,
		}},
	} {
		f := NewFileStore(filepath.Join(t.TempDir(), "a", "b.json"))
		if got, err := f.Load(t.Context()); err != nil || !got.RefreshToken.Empty() {
			t.Fatalf("%s: before: %v, %v", name, got, err)
		}
		if err := f.Save(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		got, err := f.Load(t.Context())
		if err != nil || !got.RefreshToken.Equal(want.RefreshToken) || !got.Token.same(want.Token) ||
			!got.Token.Expiry.Equal(want.Token.Expiry) || !got.Token.obtained.Equal(want.Token.obtained) ||
			got.Token.Scope != want.Token.Scope || got.Token.Type != want.Token.Type {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestFileStore_OnlyTheOwnerMayUseIt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes on Windows")
	}
	path := filepath.Join(t.TempDir(), "made", "sign-in.json")
	f := NewFileStore(path)
	if err := f.Save(t.Context(), SignIn{RefreshToken: NewSecret("jr_1")}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, path + ".lock": 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
		} else if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "0600") {
			t.Errorf("mode %o: got %v", mode, err)
		}
	}
	if err := f.Save(t.Context(), SignIn{RefreshToken: NewSecret("jr_2")}); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Load(t.Context()); err != nil || got.RefreshToken.Reveal() != "jr_2" {
		t.Fatalf("a new sign-in mends it: got %v", err)
	}
}

func TestFileStore_UnreadableFileIsAnErrorThatQuotesNothing(t *testing.T) {
	for name, content := range map[string]string{
		"empty":           "",
		"half":            `{"version":1,"refresh_token":"jr_secret`,
		"another version": `{"version":2,"refresh_token":"jr_secret"}`,
		"wrong type":      `{"version":1,"refresh_token":["jr_secret"]}`,
		"wrong time":      `{"version":1,"refresh_token":"x","expires":"jr_secret"}`,
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f := NewFileStore(path)
		_, err := f.Load(t.Context())
		if err == nil || strings.Contains(err.Error(), "jr_secret") {
			t.Errorf("%s: Load: got %v", name, err)
		}
		err = f.Update(t.Context(), func(s SignIn) (SignIn, error) { return s, nil })
		if err == nil || strings.Contains(err.Error(), "jr_secret") {
			t.Errorf("%s: Update: got %v", name, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%s: the file was changed: %q, %v", name, got, err)
		}
		if err := f.Save(t.Context(), SignIn{RefreshToken: NewSecret("jr_2")}); err != nil {
			t.Errorf("%s: Save: %v", name, err)
		}
	}
}

func TestFileStore_FailedChangeWritesNothing(t *testing.T) {
	f := NewFileStore(filepath.Join(t.TempDir(), "f"))
	if err := f.Save(t.Context(), SignIn{RefreshToken: NewSecret("jr_1")}); err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("wrong")
	if err := f.Update(t.Context(), func(SignIn) (SignIn, error) { return SignIn{}, wrong }); !errors.Is(err, wrong) {
		t.Fatalf("got %v", err)
	}
	if got, err := f.Load(t.Context()); err != nil || got.RefreshToken.Reveal() != "jr_1" {
		t.Fatalf("got %v", err)
	}
}

func TestFileStore_LeftoversOfACrashAreNoObstacle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	target := filepath.Join(t.TempDir(), "elsewhere")
	// The worst leftover: a link that somebody has put there to get a copy.
	if err := os.Symlink(target, path+".new"); err != nil {
		t.Fatal(err)
	}
	f := NewFileStore(path)
	if err := f.Save(t.Context(), SignIn{RefreshToken: NewSecret("jr_1")}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(target); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the link was followed: %v", err)
	}
	if _, err := os.Lstat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a temporary file was left: %v", err)
	}
}

func TestFileStore_FailedWriteKeepsTheSignIn(t *testing.T) {
	a := newAuthority(t)
	path := filepath.Join(t.TempDir(), "f")
	f := NewFileStore(path)
	if err := f.Save(t.Context(), SignIn{RefreshToken: a.currentRefresh()}); err != nil {
		t.Fatal(err)
	}
	// A directory that is not empty cannot be removed, also not by root.
	if err := os.MkdirAll(filepath.Join(path+".new", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	k := a.refresher(t, f)
	token := wantToken(t, k, "at-1")
	if _, err := k.Refresh(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path + ".new"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := k.Refresh(t.Context(), mustToken(t, k)); err != nil {
			t.Fatal(err)
		}
	}
	wantCounts(t, a, counts{Requests: 5, Issued: 5, Steps: 3, Predecessors: 2})
}

// lockings are the two ways to lock, both tested everywhere.
func lockings() map[string]func(context.Context, string) (func(), error) {
	return map[string]func(context.Context, string) (func(), error){
		"system":    lock,
		"lock file": lockFile{beat: 20 * time.Millisecond, stale: time.Second}.acquire,
	}
}

func TestLock_OneAtATime(t *testing.T) {
	for name, lock := range lockings() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f.lock")
			inside, entered := make(chan struct{}, 1), 0
			together(10, func() {
				for range 10 {
					release, err := lock(t.Context(), path)
					if err != nil {
						t.Error(err)
						return
					}
					select {
					case inside <- struct{}{}:
					default:
						t.Error("two at once")
						release()
						return
					}
					entered++ // the race detector looks at this, too
					runtime.Gosched()
					<-inside
					release()
				}
			})
			if entered != 100 {
				t.Errorf("entered %d times, want 100", entered)
			}
		})
	}
}

func TestLock_WaitingCanBeGivenUp(t *testing.T) {
	for name, lock := range lockings() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f.lock")
			release, err := lock(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			if _, err := lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
			release()
			release, err = lock(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			release()
		})
	}
}

func TestLockFile_OfAGoneProcessIsBroken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.lock")
	if err := os.WriteFile(path, []byte("gone"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := lockFile{beat: 5 * time.Millisecond, stale: 50 * time.Millisecond}
	inside := make(chan struct{}, 1)
	together(5, func() {
		release, err := l.acquire(t.Context(), path)
		if err != nil {
			t.Error(err)
			return
		}
		defer release()
		select {
		case inside <- struct{}{}:
		default:
			t.Error("two at once")
			return
		}
		// Held for longer than the time after which one is stale: the beat keeps it.
		<-time.After(150 * time.Millisecond)
		<-inside
	})
	left, err := filepath.Glob(path + "*")
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLockFile_BrokenByMistakeIsPutBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.lock")
	if err := os.WriteFile(path, []byte("alive"), 0o600); err != nil {
		t.Fatal(err)
	}
	breakLock(path, "me", "the one I saw")
	if got, err := os.ReadFile(path); err != nil || string(got) != "alive" {
		t.Fatalf("got %q, %v", got, err)
	}
	breakLock(path, "me", "alive")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
}
