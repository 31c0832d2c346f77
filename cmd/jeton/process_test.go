package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/leaktest"
)

// watched collects every secret that these tests use, and all that the servers
// under test log or refuse with.
var watched leaktest.Watch

// watching is a test run that fails when a secret was logged.
type watching struct{ *testing.M }

func (m watching) Run() int {
	http.DefaultTransport = watched.Transport("client", http.DefaultTransport)
	return watched.Main(m.M.Run, os.Stderr)
}

// process is a jeton that runs beside the test.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout *bufio.Reader
	log    *output
	ended  chan struct{}
}

// output is what a process wrote so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// launch starts the binary with only this environment. It is killed at the end
// of the test if it still runs.
func launch(t *testing.T, binary string, environ []string, args ...string) *process {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, stdout: bufio.NewReader(read), log: &output{}, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...) // #nosec G204 -- the binary under test
	p.cmd.Env = append([]string{"HOME=" + t.TempDir()}, environ...)
	p.cmd.Stdout, p.cmd.Stderr = write, io.MultiWriter(p.log, watched.Log("standard error of "+t.Name()))
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		_ = read.Close()
	})
	return p
}

// interrupt is Ctrl-C.
func (p *process) interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
}

// end waits for the process and returns its exit code.
func (p *process) end() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		p.t.Fatalf("still there after a minute:\n%s", p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

// wantRefused waits for a process that must not start.
func (p *process) wantRefused(reason string) {
	p.t.Helper()
	if code := p.end(); code != 1 {
		p.t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(p.log.String(), reason) {
		p.t.Errorf("it does not say %q:\n%s", reason, p.log)
	}
	if strings.Contains(p.log.String(), "goroutine ") {
		p.t.Errorf("it panicked:\n%s", p.log)
	}
}

// wantStopped interrupts a process that must stop in order.
func (p *process) wantStopped() {
	p.t.Helper()
	p.interrupt()
	if code := p.end(); code != 0 {
		p.t.Errorf("exit code %d, want 0:\n%s", code, p.log)
	}
	if s := p.log.String(); strings.Contains(s, "goroutine ") || strings.Contains(s, "cut off") {
		p.t.Errorf("it did not stop in order:\n%s", s)
	}
}

// eventually waits for something that the process does.
func (p *process) eventually(what string, done func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); {
		select {
		case <-p.ended:
			p.t.Fatalf("it ended before this: %s\n%s", what, p.log)
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("never: %s\n%s", what, p.log)
		}
		time.Sleep(5 * time.Millisecond) // the process has nothing else to wait on
	}
}

// answers returns the status of a URL, or 0.
func answers(t *testing.T, c *http.Client, target string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// binary builds the command once for all tests.
var buildOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "jeton-binary-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "jeton")
	cmd := exec.Command("go", "build", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return binary, nil
})

func build(t *testing.T) string {
	t.Helper()
	binary, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// trusting is a client that accepts any certificate and tells which one it got.
func trusting() *http.Client {
	return &http.Client{Transport: watched.Transport("client", &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // #nosec G402 -- the certificate is what the test looks at
		ForceAttemptHTTP2: true, DisableKeepAlives: true,
	})}
}
