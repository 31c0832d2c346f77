package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary is also the program that uses a sign-in: several of them share one file.
const (
	envURL   = "JETON_CLIENT_TEST_URL"
	envFile  = "JETON_CLIENT_TEST_FILE"
	envLock  = "JETON_CLIENT_TEST_LOCK"
	envUntil = "JETON_CLIENT_TEST_UNTIL"
	envName  = "JETON_CLIENT_TEST_NAME"
)

func TestMain(m *testing.M) {
	if os.Getenv(envURL) == "" {
		os.Exit(m.Run())
	}
	if err := program(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// program is told by every API that its token is no good, until the token has a high enough number.
func program() error {
	until, err := strconv.Atoi(os.Getenv(envUntil))
	if err != nil {
		return err
	}
	file := NewFileStore(os.Getenv(envFile))
	file.lock = lockings()[os.Getenv(envLock)]
	named := roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("User-Agent", os.Getenv(envName))
		return http.DefaultTransport.RoundTrip(r)
	})
	k, err := Refresh(Config{TokenURL: os.Getenv(envURL), ID: "app", Store: file, HTTPClient: &http.Client{Transport: named}})
	if err != nil {
		return err
	}
	k.pace.burst, k.pace.left = 1e9, 1e9
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	token, err := k.Token(ctx)
	for err == nil {
		_, number, _ := strings.Cut(token.AccessToken.Reveal(), "-")
		if n, _ := strconv.Atoi(number); n >= until {
			return nil
		}
		if os.Getenv(envName) == "survivor" {
			<-time.After(5 * time.Millisecond) // leaves the others a turn: the lock is not fair
		}
		used := token
		token, err = k.Refresh(ctx, used)
		if err == nil && token.same(used) {
			return errors.New("got the refused token again")
		}
	}
	return err
}

// world is an authority on the network and a file with a sign-in.
type world struct {
	*authority
	server *httptest.Server
	path   string
	lock   string
}

func newWorld(t *testing.T, lock string, at func(string, http.ResponseWriter, *http.Request) bool) *world {
	t.Helper()
	w := &world{authority: newAuthority(t), path: filepath.Join(t.TempDir(), "sign-in.json"), lock: lock}
	w.at = at // before anything can ask
	w.server = httptest.NewServer(w)
	t.Cleanup(w.server.Close)
	if err := NewFileStore(w.path).Save(t.Context(), SignIn{RefreshToken: w.currentRefresh()}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) start(t *testing.T, name string, until int) *exec.Cmd {
	t.Helper()
	program := exec.Command(os.Args[0])
	program.Env = append(os.Environ(),
		envURL+"="+w.server.URL+"/token", envFile+"="+w.path, envLock+"="+w.lock, envUntil+"="+strconv.Itoa(until), envName+"="+name)
	program.Stderr = &strings.Builder{}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Process.Kill(); _ = program.Wait() })
	return program
}

func wantSuccess(t *testing.T, program *exec.Cmd) {
	t.Helper()
	if err := program.Wait(); err != nil {
		t.Errorf("program: %v: %s", err, program.Stderr)
	}
}

func TestREF_6_TenProcessesShareOneFile(t *testing.T) {
	for lock := range lockings() {
		t.Run(lock, func(t *testing.T) {
			w := newWorld(t, lock, nil)
			const until = 300
			var programs []*exec.Cmd
			for range 10 {
				programs = append(programs, w.start(t, "one of ten", until))
			}
			for _, program := range programs {
				wantSuccess(t, program)
			}
			got := w.counts()
			// Whoever has an older token when the last one is issued may not see it before it refreshes once more.
			n := got.Requests
			if want := (counts{Requests: n, Issued: n, Steps: n}); got != want || n < until || n >= until+10 {
				t.Fatalf("got %+v, want %d steps, each for one request, and no request in vain", got, until)
			}
			if held, err := NewFileStore(w.path).Load(t.Context()); err != nil || !held.RefreshToken.Equal(w.currentRefresh()) {
				t.Fatalf("the file does not have the current refresh token: %v", err)
			}
		})
	}
}

// Each round kills a process at one of the moments that matter, while another one goes on.
func TestREF_6_KilledProcessNeverLosesTheSignIn(t *testing.T) {
	for lock, rounds := range map[string]int{"system": 28, "lock file": 4} {
		t.Run(lock, func(t *testing.T) {
			var mu sync.Mutex // guards moment and kill
			moment, kill := "", func() {}
			at := func(stage string, _ http.ResponseWriter, r *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				if r.UserAgent() != "victim" || stage != moment {
					return false
				}
				kill()
				panic(http.ErrAbortHandler) // nothing is decided for, or answered to, a dead process
			}
			w := newWorld(t, lock, at)
			survivor := w.start(t, "survivor", 1<<30) // goes on through all of it
			for round := range rounds {
				victim := w.start(t, "victim", 1<<30)
				dead := make(chan struct{})
				mu.Lock()
				kill = sync.OnceFunc(func() { _ = victim.Process.Kill(); close(dead) })
				mu.Unlock()
				// After a moment of work: at one of three points of a request of its own, or anywhere.
				time.AfterFunc(time.Duration(rand.N(60_000))*time.Microsecond, func() {
					mu.Lock()
					defer mu.Unlock()
					if moment = []string{"received", "decided", "answered", ""}[round%4]; moment == "" {
						kill()
					}
				})
				<-dead
				_ = victim.Wait()
				mu.Lock()
				moment = ""
				mu.Unlock()

				// A process that starts now can go on at once.
				until := w.counts().Issued + 3
				wantSuccess(t, w.start(t, "successor", until))
				if got := w.counts(); got.Replays != 0 || t.Failed() {
					t.Fatalf("round %d: %+v", round, got)
				}
			}
			if err := survivor.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = survivor.Wait()
			if out := fmt.Sprint(survivor.Stderr); out != "" {
				t.Errorf("the survivor gave up: %s", out)
			}
			wantSuccess(t, w.start(t, "last", w.counts().Issued+2))
			t.Logf("%+v", w.counts())
		})
	}
}
