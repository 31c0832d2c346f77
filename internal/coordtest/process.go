package coordtest

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Service is a server process with a data directory that survives a restart.
type Service struct {
	Address string // host:port for clients

	t       testing.TB
	name    string
	args    []string
	dir     string
	alive   func(address string) bool
	process *exec.Cmd
	exited  chan struct{}
	output  output
}

// patience is for a machine that does other things as well.
const patience = time.Minute

// Start starts the process, or starts it again, and waits until it answers.
func (s *Service) Start() {
	s.t.Helper()
	s.process = exec.CommandContext(context.Background(), s.name, s.args...) // #nosec G204 -- the test's own
	s.process.Dir = s.dir
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	if err := s.process.Start(); err != nil {
		s.t.Fatalf("start %s: %v", s.name, err)
	}
	exited := make(chan struct{})
	s.exited = exited
	go func() {
		_ = s.process.Wait()
		close(exited)
	}()
	for deadline := time.Now().Add(patience); !s.alive(s.Address); {
		select {
		case <-exited:
			s.t.Fatalf("%s ended:\n%s", s.name, s.output.tail())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not answer:\n%s", s.name, s.output.tail())
		}
	}
}

// Kill ends the process without warning (SIGKILL) and waits for its end.
func (s *Service) Kill() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Kill()
	<-s.exited
}

// run starts a service for the length of the test.
func run(s *Service) *Service {
	s.t.Helper()
	s.t.Cleanup(s.Kill)
	s.Start()
	return s
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// output keeps what a process says.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := strings.Split(o.text.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}
