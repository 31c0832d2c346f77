package faults_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/faultproxy"
	"github.com/jetonhq/jeton/internal/secret"
)

// issuer is what all nodes are known as. Nobody listens there: callers reach the
// node that they choose under this name.
const issuer = "http://127.0.0.1:9"

// authority is one authority of one or more nodes.
type authority struct {
	t        testing.TB
	issuer   string
	nodes    []*node
	secret   string // of every client
	password string
}

// node is a process of jeton, and the way of callers to it.
type node struct {
	t              testing.TB
	number         int
	config         string
	public, manage string // addresses, kept over restarts
	front          *faultproxy.Proxy
	http           *http.Client
	log            string

	binary  string              // "": built from this tree
	as      *syscall.Credential // nil: as the test
	process *exec.Cmd
	ended   chan struct{}
}

// plan says how to start an authority. The zero values are what most tests want.
type plan struct {
	issuer string
	stores []string                                 // of each node
	first  string                                   // binary of the first node
	port   func(number int) (public, manage string) // addresses; nil: free ones
	notice time.Duration                            // of a stop
	redis  string                                   // of the registry; none: in the store
}

// start starts an authority, each node with its own address of the store.
func start(t testing.TB, stores ...string) *authority {
	t.Helper()
	return plan{stores: stores}.start(t)
}

func (p plan) start(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, issuer: cmp.Or(p.issuer, issuer), secret: secret.Token("").Reveal(), password: secret.Token("").Reveal()}
	watched.Secret("secret of a client", a.secret)
	watched.Secret("password", a.password)
	dir := t.TempDir()
	for file, content := range map[string]string{
		"sealing.key": base64.StdEncoding.EncodeToString(secret.Bytes(32)), "client.secret": a.secret, "password": a.password,
	} {
		must(t, os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600))
	}
	for i, store := range p.stores {
		n := &node{t: t, number: i, public: free(t), manage: free(t), config: filepath.Join(dir, fmt.Sprintf("node%d.yaml", i)), log: filepath.Join(dir, fmt.Sprintf("node%d.log", i))}
		if p.port != nil {
			n.public, n.manage = p.port(i)
		}
		text := fmt.Sprintf(configuration, a.issuer, n.public, n.manage, store, dir, p.notice, p.redis)
		for _, unset := range []string{"shutdown: {notice: 0s}\n", `, registry: {url: ""}`} {
			text = strings.Replace(text, unset, "", 1) // an earlier program may not know it by name
		}
		must(t, os.WriteFile(n.config, []byte(text), 0o600))
		if i == 0 {
			n.binary = p.first
		}
		n.front = faultproxy.New(t, n.public)
		n.http = caller(t, n.front.Address)
		a.nodes = append(a.nodes, n)
		t.Cleanup(func() {
			n.kill()
			n.told()
		})
		n.start()
		n.wantReady() // the first one makes the schema and the keys
	}
	return a
}

const configuration = `
issuer: %[1]s
listen: {address: "%[2]s", trusted_proxies: [127.0.0.0/8]}
manage: {address: "%[3]s"}
store: {url: "%[4]s", registry: {url: "%[7]s"}}
sealing_key_file: %[5]s/sealing.key
feed: {heartbeat: 100ms}
log: {level: warn}
shutdown: {notice: %[6]s}
provision:
  clients:
    - id: web
      grant_types: [authorization_code, refresh_token]
      redirect_uris: [https://app.example.com/cb]
      scope: [openid, offline_access, read]
      audience: https://api.example.com
      first_party: true
      secret_file: %[5]s/client.secret
    - id: machine
      mint: {subjects: none}
      grant_types: [client_credentials]
      scope: [read]
      audience: https://api.example.com
      secret_file: %[5]s/client.secret
    - id: api
      secret_file: %[5]s/client.secret
  resources:
    - {audience: https://api.example.com, client_id: api, scope: [read]}
  accounts:
    - {login: ada, password_file: %[5]s/password}
`

// caller is an HTTP client for which everything is at one address. Each is one
// program: its requests share connections.
func caller(t testing.TB, address string) *http.Client {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: watched.Transport("caller", transport), Timeout: 5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// free is a loopback address that nobody listens on at the moment.
func free(t testing.TB) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// start starts the process. It may be started again after it ended.
func (n *node) start() {
	n.t.Helper()
	binary := n.binary
	if binary == "" {
		var err error
		binary, err = built()
		must(n.t, err)
	}
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(n.t, err)
	defer func() { _ = log.Close() }()
	n.process = exec.CommandContext(context.WithoutCancel(n.t.Context()), binary, "serve", "--config", n.config)
	n.process.Env = []string{"HOME=" + filepath.Dir(n.config), "TMPDIR=" + os.TempDir()}
	n.process.Stderr = log
	n.process.SysProcAttr = &syscall.SysProcAttr{Credential: n.as}
	must(n.t, n.process.Start())
	process, ended := n.process, make(chan struct{})
	n.ended = ended
	go func() {
		_ = process.Wait()
		close(ended)
	}()
}

// kill is kill -9.
func (n *node) kill() {
	_ = n.process.Process.Kill()
	<-n.ended
}

// stop is SIGTERM, and waits until the process has drained.
func (n *node) stop() {
	n.t.Helper()
	must(n.t, n.process.Process.Signal(syscall.SIGTERM))
	select {
	case <-n.ended:
	case <-time.After(time.Minute):
		n.t.Fatalf("node %d does not stop:\n%s", n.number, n.told())
	}
	if code := n.process.ProcessState.ExitCode(); code != 0 {
		n.t.Errorf("node %d stopped with %d:\n%s", n.number, code, n.told())
	}
}

// readyz is the status of /readyz, 0 when nobody answers.
func (n *node) readyz() int {
	ctx, cancel := context.WithTimeout(n.t.Context(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.manage+"/readyz", http.NoBody)
	must(n.t, err)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func (n *node) wantReady() {
	n.t.Helper()
	eventually(n.t, fmt.Sprintf("node %d is ready", n.number), func() bool {
		select {
		case <-n.ended:
			n.t.Fatalf("node %d ended:\n%s", n.number, n.told())
		default:
		}
		return n.readyz() == http.StatusOK
	})
}

func (n *node) wantNotReady() {
	n.t.Helper()
	eventually(n.t, fmt.Sprintf("node %d says that it is not ready", n.number), func() bool { return n.readyz() == http.StatusServiceUnavailable })
}

// told is what the node has logged. It must hold no secret.
func (n *node) told() string {
	text, _ := os.ReadFile(n.log)
	watched.Said(n.log, string(text))
	return string(text[max(0, len(text)-4<<10):])
}
