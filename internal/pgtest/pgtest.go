// Package pgtest starts a real PostgreSQL for tests and gives each of them a
// database of its own.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is for a machine that does other things as well.
const patience = time.Minute

// Server is a PostgreSQL that runs as a process of the test.
type Server struct {
	Address string // host:port

	dir     string // with everything of it
	bin     string
	as      *syscall.Credential // PostgreSQL refuses to run as root
	process *exec.Cmd
	exited  chan struct{}
	log     string
	made    atomic.Int64

	mu        sync.Mutex
	templates map[string]error // guarded by mu
}

// Start starts a server with an empty cluster. Settings, such as
// "max_connections=20", are added to the defaults. Stop it when done.
//
// The error is ErrNotInstalled where there is no PostgreSQL.
func Start(settings ...string) (_ *Server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	if s.dir, err = os.MkdirTemp("", "jeton-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if err := s.own(); err != nil {
		return nil, err
	}
	data := filepath.Join(s.dir, "data")
	initdb := s.command("initdb", "--pgdata", data, "--username", "jeton", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.Address = l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(s.Address)
	file, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0) // #nosec G304 -- made above
	if err != nil {
		return nil, err
	}
	lines := append([]string{
		"listen_addresses='127.0.0.1'", "port=" + port, "unix_socket_directories=''", "logging_collector=off",
		"shared_buffers=64MB", "max_wal_size=512MB",
		"fsync=off", // a killed process loses nothing by it, only a machine would
	}, settings...)
	_, err = file.WriteString("\n" + strings.Join(lines, "\n") + "\n")
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return s, s.Resume()
}

// ErrNotInstalled says that there is no PostgreSQL on this machine.
var ErrNotInstalled = errors.New("PostgreSQL is not installed")

// programs finds the newest version as Debian lays it out, or what is on PATH.
func programs() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int {
		version := func(path string) int { n, _ := strconv.Atoi(strings.Split(path, "/")[4]); return n }
		return version(b) - version(a)
	})
	if len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrNotInstalled
	}
	return filepath.Dir(path), nil
}

// own gives the directory to the user that the server runs as.
func (s *Server) own() error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return os.Chown(s.dir, int(uid), int(gid)) // #nosec G115 -- 32 bits
	}
	return errors.New("PostgreSQL does not run as root, and there is neither postgres nor nobody")
}

func (s *Server) command(program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(context.Background(), filepath.Join(s.bin, program), args...) // #nosec G204 -- the test's own
	c.Dir = s.dir
	c.Env = []string{"PATH=" + s.bin, "LC_ALL=C", "TZ=UTC"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return c
}

// Resume starts the server, again after Kill, and waits until it answers.
func (s *Server) Resume() error {
	s.log = filepath.Join(s.dir, "log")
	out, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) // #nosec G304 -- in our directory
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	for deadline := time.Now().Add(patience); ; {
		if err := s.begin(out); err != nil {
			return err
		}
		err := s.answers(deadline)
		// The processes of a server that was killed take a moment to notice, and a new
		// one does not start beside them.
		if !errors.Is(err, errEnded) || !strings.Contains(s.tail(), "is still in use") || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *Server) begin(out *os.File) error {
	s.process = s.command("postgres", "-D", filepath.Join(s.dir, "data"))
	s.process.Stdout, s.process.Stderr = out, out
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	process, exited := s.process, make(chan struct{})
	s.exited = exited
	go func() {
		_ = process.Wait()
		close(exited)
	}()
	return nil
}

var errEnded = errors.New("PostgreSQL ended")

// answers waits until the server does.
func (s *Server) answers(deadline time.Time) error {
	for {
		err := s.execute("SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("%w:\n%s", errEnded, s.tail())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, s.tail())
		}
	}
}

// Kill ends the server without warning (SIGKILL): what was not durable is lost.
func (s *Server) Kill() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Kill()
	<-s.exited
}

// Stop ends the server and removes its cluster.
func (s *Server) Stop() {
	if s.process != nil && s.process.Process != nil {
		_ = s.process.Process.Signal(syscall.SIGQUIT)
		<-s.exited
	}
	_ = os.RemoveAll(s.dir)
}

// Database makes an empty database, dropped when the test ends, and returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return s.database(t, "")
}

func (s *Server) database(t testing.TB, from string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", s.made.Add(1))
	if err := s.execute("CREATE DATABASE " + name + " " + from); err != nil {
		t.Fatalf("create database: %v\n%s", err, s.tail())
	}
	t.Cleanup(func() { _ = s.execute("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)") })
	return s.URL(name)
}

// Copy makes a copy of a database that prepare has filled once, dropped when the
// test ends, and returns its URL.
func (s *Server) Copy(t testing.TB, template string, prepare func(url string) error) string {
	t.Helper()
	s.mu.Lock()
	err, known := s.templates[template]
	if !known {
		if err = s.execute("CREATE DATABASE " + template); err == nil {
			err = prepare(s.URL(template))
		}
		if s.templates == nil {
			s.templates = make(map[string]error)
		}
		s.templates[template] = err
	}
	s.mu.Unlock()
	if err != nil {
		t.Fatalf("prepare database %s: %v\n%s", template, err, s.tail())
	}
	return s.database(t, "TEMPLATE "+template)
}

// URL is the URL of a database.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("jeton"), Host: s.Address, Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

func (s *Server) execute(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	_, err = c.Exec(ctx, statement)
	return err
}

func (s *Server) tail() string {
	text, _ := os.ReadFile(s.log) // #nosec G304 -- in our directory
	lines := strings.Split(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}
