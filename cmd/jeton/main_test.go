package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/oauth"
)

func TestMain(m *testing.M) {
	testscript.Main(watching{m}, map[string]func(){"jeton": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status,
			"until":  until,
			"token":  token,
		},
	})
}

// setup gives a script whose name starts with "admin" a server of its own, and
// the environment that finds it.
func setup(env *testscript.Env) error {
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("XDG_STATE_HOME", "")
	env.Setenv("KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	for _, name := range []string{"PORT", "MANAGE_PORT"} {
		port, err := freePort()
		if err != nil {
			return err
		}
		env.Setenv(name, port)
	}
	// testscript names the directory after the script.
	if !strings.Contains(filepath.Base(env.WorkDir), "-admin") {
		return nil
	}
	c := config.Default()
	c.Issuer = "http://127.0.0.1:8080"
	c.Store.URL = "sqlite:" + filepath.Join(env.WorkDir, "server", "jeton.db")
	c.SealingKey = secret.New(env.Getenv("KEY"))
	c.Manage.AdminToken = secret.Token("jat_")
	s, err := server.Open(context.Background(), c, server.Options{})
	if err != nil {
		return err
	}
	web, public := httptest.NewServer(s.ManageHandler()), httptest.NewServer(s.Handler())
	env.Defer(func() {
		web.Close()
		public.Close()
		if err := s.Close(); err != nil {
			env.T().Log(err)
		}
	})
	env.Setenv("JETON_MANAGE_URL", web.URL)
	env.Setenv("ISSUER", public.URL)
	env.Setenv("JETON_ADMIN_TOKEN", c.Manage.AdminToken.Reveal())
	return nil
}

func freePort() (string, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, errors.Join(err, ln.Close())
}

// status runs a command that must end with the given exit code.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// until waits for a URL to answer 200, or for a file to be there.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: until URL|FILE")
	}
	deadline := time.Now().Add(time.Minute)
	for there := false; !there; {
		if time.Now().After(deadline) {
			ts.Fatalf("%s: not there after a minute", args[0])
		}
		if strings.HasPrefix(args[0], "http") {
			resp, err := http.Get(args[0])
			if err == nil {
				resp.Body.Close()
			}
			there = err == nil && resp.StatusCode == http.StatusOK
		} else {
			_, err := os.Stat(ts.MkAbs(args[0]))
			there = !errors.Is(err, fs.ErrNotExist)
		}
		if !there {
			time.Sleep(20 * time.Millisecond) // the other process has nothing else to wait on
		}
	}
}

// token asks the authority of a `jeton dev` for a token of its example program,
// and writes it to a file.
func token(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: token DATA FILE")
	}
	dev, err := config.ReadDevFile(ts.MkAbs(args[0]))
	ts.Check(err)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, dev.Issuer+"/token", strings.NewReader("grant_type=client_credentials"))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(dev.Clients.Machine.ID, dev.Clients.Machine.Secret)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	var answer oauth.TokenResponse
	ts.Check(json.NewDecoder(resp.Body).Decode(&answer))
	if answer.AccessToken == "" {
		ts.Fatalf("status %d instead of a token", resp.StatusCode)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(answer.AccessToken+"\n"), 0o600))
}
