package agent_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/agent"
	"github.com/jetonhq/jeton/jetontest"
)

// An agent on a socket answers, finishes what is under way when it is told to
// stop, and leaves nothing behind.
func TestServe_Socket(t *testing.T) {
	authority := jetontest.New(t)
	a := start(t, authority)
	path := filepath.Join(t.TempDir(), "agent.sock")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cfg := agent.Config{Listen: "unix:" + path}
	ln, err := agent.Listen(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := agent.Listen(ctx, cfg); err == nil || !strings.Contains(err.Error(), "somebody answers") {
		t.Errorf("a second agent: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, ln) }()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
		ExpectContinueTimeout: time.Minute,
	}}
	token := authority.Token(t)
	// The body is held back until after the stop. None of it is sent before the handler reads it.
	body, release := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://agent/introspect", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Expect", "100-continue")
	answered := make(chan string, 1)
	go func() {
		resp, err := client.Do(r)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		answered <- string(text)
	}()
	if _, err := release.Write([]byte("token=")); err != nil {
		t.Fatal(err)
	}
	stop()
	until(t, "closed", func() bool {
		_, err := os.Stat(path)
		return err != nil
	})
	if _, err := release.Write([]byte(token)); err != nil {
		t.Fatal(err)
	}
	release.Close()
	if got := <-answered; !strings.Contains(got, `"active":true`) {
		t.Errorf("the question under way: %s", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A killed agent's socket is taken over; anything else in its place is left alone.
func TestListen_Leftovers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	ln, err := agent.Listen(t.Context(), agent.Config{Listen: "unix:" + path})
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	file := write(t, dir, "precious", "data")
	if _, err := agent.Listen(t.Context(), agent.Config{Listen: "unix:" + file}); err == nil {
		t.Error("took the place of a file")
	}
	if text, _ := os.ReadFile(file); string(text) != "data" {
		t.Errorf("the file holds %q", text)
	}
}

func TestListen_Loopback(t *testing.T) {
	if ln, err := agent.Listen(t.Context(), agent.Config{Listen: "0.0.0.0:0"}); err == nil {
		ln.Close()
		t.Error("listens everywhere")
	}
	ln, err := agent.Listen(t.Context(), agent.Config{Listen: "0.0.0.0:0", InsecureListenAnywhere: true})
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}

func metrics(a *agent.Agent) string { return ask(a, "GET", "/metrics", nil, nil).Body.String() }

func TestMetrics(t *testing.T) {
	authority := jetontest.New(t)
	a := start(t, authority)
	token := authority.Token(t)
	for range 3 {
		ask(a, "GET", "/check", bearer(token), nil)
	}
	ask(a, "GET", "/check/x", bearer("garbage"), nil)
	ask(a, "GET", "/nowhere", nil, nil)
	introspect(a, token)
	got := metrics(a)
	for _, want := range []string{
		`jeton_agent_requests_total{route="/check",status="200"} 3`,
		`jeton_agent_requests_total{route="/check/",status="401"} 1`,
		`jeton_agent_requests_total{route="POST /introspect",status="200"} 1`,
		`jeton_agent_requests_total{route="none",status="404"} 1`,
		`jeton_guard_ready{guard="agent"} 1`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestMetadata(t *testing.T) {
	authority := jetontest.New(t)
	a := start(t, authority)
	w := ask(a, "GET", "/.well-known/oauth-protected-resource", nil, nil)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"resource":"`+jetontest.Audience+`"`) || !strings.Contains(w.Body.String(), authority.Issuer) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
