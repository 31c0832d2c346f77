// Package redistest starts real Redis servers for tests: one, a cluster, or one
// with a replica that Sentinels watch.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/jetonhq/jeton/internal/installed"
)

// patience is for a machine that does other things as well.
const patience = 30 * time.Second

// Server is a Redis that runs as a process of the test.
type Server struct {
	Address string // host:port

	t       testing.TB
	program string
	dir     string
	file    string
	role    []string // arguments after the configuration's name
	process *exec.Cmd
	exited  chan struct{}
}

// Start starts an empty server that keeps what it has in memory alone. Settings,
// such as "appendonly yes", are added to its configuration. It is stopped when the
// test ends.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := prepare(t, freeAddress(t), append([]string{"save \"\""}, settings...))
	s.must(s.Resume())
	return s
}

// prepare makes the directory of a server that does not run yet.
func prepare(t testing.TB, address string, settings []string, role ...string) *Server {
	t.Helper()
	s := &Server{Address: address, t: t, program: installed.Program(t, "redis-server"), role: role}
	var err error
	s.dir, err = os.MkdirTemp("", "jeton-redis-")
	s.must(err)
	host, port, _ := net.SplitHostPort(address)
	lines := append([]string{"bind " + host, "port " + port, "dir " + s.dir, "logfile log", "protected-mode no", "daemonize no"}, settings...)
	s.file = filepath.Join(s.dir, "redis.conf")
	s.must(os.WriteFile(s.file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("Redis at %s:\n%s", s.Address, s.tail())
		}
		_ = os.RemoveAll(s.dir)
	})
	return s
}

// freeAddress is one that nobody listens on, and where the port of a cluster's bus,
// 10000 above, exists.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := l.Addr().(*net.TCPAddr) //nolint:forcetypeassert // asked for TCP
		_ = l.Close()
		if at.Port < 55000 {
			return at.String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// URL is where the server is, as store.registry.url takes it.
func (s *Server) URL() string { return "redis://" + s.Address }

// Resume starts the server, again after Kill, and waits until it answers.
func (s *Server) Resume() error {
	s.process = exec.CommandContext(context.Background(), s.program, append([]string{s.file}, s.role...)...) // #nosec G204 -- the test's own
	if err := s.process.Start(); err != nil {
		return err
	}
	process, exited := s.process, make(chan struct{})
	s.exited = exited
	go func() {
		_ = process.Wait()
		close(exited)
	}()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		// Sentinel refuses to be pinged for nothing else.
		reply, err := s.ask("PING")
		if err == nil && strings.HasPrefix(reply, "+PONG") {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("redis ended:\n%s", s.tail())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("redis does not answer: %s %w\n%s", reply, err, s.tail())
		}
	}
}

// ask sends a command without arguments and returns the first bytes of the answer.
func (s *Server) ask(command string) (string, error) {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", s.Address)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(c, command+"\r\n"); err != nil {
		return "", err
	}
	answer := make([]byte, 64)
	n, err := c.Read(answer)
	return string(answer[:n]), err
}

// Kill ends the server without warning (SIGKILL).
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

func (s *Server) signal(sig syscall.Signal) {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Signal(sig)
	<-s.exited
}

// Pause stops the process where it is: its connections stay, and nobody answers.
func (s *Server) Pause() { _ = s.process.Process.Signal(syscall.SIGSTOP) }

// Continue ends a Pause.
func (s *Server) Continue() { _ = s.process.Process.Signal(syscall.SIGCONT) }

// Do sends a command to this server, and to no other one of a cluster.
func (s *Server) Do(command ...string) rueidis.RedisMessage {
	s.t.Helper()
	m, err := s.Try(command...)
	s.must(err)
	return m
}

// Text is Do for an answer that is text.
func (s *Server) Text(command ...string) string {
	s.t.Helper()
	m := s.Do(command...)
	text, err := m.ToString()
	s.must(err)
	return text
}

// Try is Do for a command that may fail. An answer of nil is no failure.
func (s *Server) Try(command ...string) (rueidis.RedisMessage, error) {
	c, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{s.Address}, ForceSingleClient: true, DisableCache: true, DisableRetry: true, PipelineMultiplex: -1,
		Dialer: net.Dialer{Timeout: time.Second},
	})
	if err != nil {
		return rueidis.RedisMessage{}, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m, err := c.Do(ctx, c.B().Arbitrary(command...).Build()).ToMessage()
	if rueidis.IsRedisNil(err) {
		err = nil
	}
	if err != nil {
		return m, fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	return m, nil
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) tail() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log")) // #nosec G304 -- in our directory
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	lines := strings.Split(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// eventually waits until what is asked for is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
