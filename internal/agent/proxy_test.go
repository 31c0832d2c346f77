package agent_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/installed"
	"github.com/jetonhq/jeton/jetontest"
)

// The configurations on the page are run as they stand there, but for addresses.
const page = "../../docs/agent.md"

func TestProxy_Nginx(t *testing.T) {
	program := installed.Program(t, "nginx", "/usr/sbin/nginx")
	proxied(t, func(t *testing.T, dir string, w world) *exec.Cmd {
		site := w.fill(t, block(t, "nginx"), "listen 80;", "listen "+w.proxy+";")
		config := `daemon off; master_process off; pid nginx.pid; error_log stderr warn;
events {}
http {
	access_log off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
` + site + "}\n"
		return exec.Command(program, "-p", dir, "-c", write(t, dir, "nginx.conf", config))
	})
}

func TestProxy_Caddy(t *testing.T) {
	program := installed.Program(t, "caddy")
	proxied(t, func(t *testing.T, dir string, w world) *exec.Cmd {
		site := w.fill(t, block(t, "caddyfile"), ":80 {", "http://"+w.proxy+" {")
		config := "{\n\tadmin off\n\tauto_https off\n}\n\n" + site
		cmd := exec.Command(program, "run", "--adapter", "caddyfile", "--config", write(t, dir, "Caddyfile", config))
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
		return cmd
	})
}

// block is the one code block of a language on the page.
func block(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "\n```"+language+"\n")
	if len(parts) != 2 {
		t.Fatalf("%d blocks of %s in %s, want 1", len(parts)-1, language, page)
	}
	code, _, _ := strings.Cut(parts[1], "\n```\n")
	return code + "\n"
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// world is the addresses of a test.
type world struct{ proxy, agent, api string }

// fill puts the addresses of the test in place of those on the page.
func (w world) fill(t *testing.T, config string, more ...string) string {
	t.Helper()
	for _, pair := range [][2]string{{"127.0.0.1:8090", w.agent}, {"127.0.0.1:3000", w.api}, {more[0], more[1]}} {
		if !strings.Contains(config, pair[0]) {
			t.Fatalf("the configuration does not have %q", pair[0])
		}
		config = strings.ReplaceAll(config, pair[0], pair[1])
	}
	return config
}

// api is the service behind the proxy. It tells what reached it.
type api struct{ hits atomic.Int64 }

type arrived struct {
	Method string
	Body   string
	Header http.Header
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.hits.Add(1)
	body, _ := io.ReadAll(r.Body)
	_ = json.NewEncoder(w).Encode(arrived{r.Method, string(body), r.Header})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// run starts the proxy and stops it with the test.
func run(t *testing.T, cmd *exec.Cmd, address string) {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, &output)
		}
	})
	until(t, "listening", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s ended at once", cmd.Path)
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// proxied holds a proxy to everything the page promises.
func proxied(t *testing.T, command func(*testing.T, string, world) *exec.Cmd) {
	authority := jetontest.New(t)
	a := start(t, authority)
	var asked atomic.Pointer[string] // which request the proxy last asked about
	agentServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		about := strings.Join(r.Header.Values("X-Forwarded-Method"), ",") + " " + strings.Join(r.Header.Values("X-Forwarded-Uri"), ",")
		asked.Store(&about)
		a.Handler().ServeHTTP(w, r)
	}))
	defer agentServer.Close()
	service := &api{}
	apiServer := httptest.NewServer(service)
	defer apiServer.Close()
	w := world{freeAddress(t), agentServer.Listener.Addr().String(), apiServer.Listener.Addr().String()}
	run(t, command(t, t.TempDir(), w), w.proxy)
	base := "http://" + w.proxy

	reader := authority.Token(t, jetontest.Subject("ada"), jetontest.Scope("reports:read", "profile"))
	plain := authority.Token(t, jetontest.Subject("bob"))
	ada := map[string]string{"Jeton-Subject": authority.Account("ada"), "Jeton-Client": "app", "Jeton-Scope": "reports:read profile"}
	spoofed := http.Header{}
	for _, name := range append(slices.Clone(identityHeaders), "jeton_subject", "Jeton_Scope") {
		spoofed[name] = []string{"admin"}
	}
	with := func(token string, more http.Header) http.Header {
		h := more.Clone()
		if h == nil {
			h = http.Header{}
		}
		if token != "" {
			h.Set("Authorization", "Bearer "+token)
		}
		return h
	}

	for _, test := range []struct {
		name      string
		method    string
		path      string
		header    http.Header
		body      string
		status    int
		reason    string
		challenge string            // part of WWW-Authenticate, "" for none
		identity  map[string]string // of what reaches the service
	}{
		{name: "allowed", path: "/reports", header: with(reader, nil), status: 200, identity: ada},
		{name: "allowed again", path: "/reports/7?x=1", header: with(reader, nil), status: 200, identity: ada},
		{name: "with a body", method: "POST", path: "/reports", header: with(reader, nil), body: "quarter=3", status: 200, identity: ada},
		{name: "spoofed identity", path: "/reports", header: with(reader, spoofed), status: 200, identity: ada},
		{name: "spoofed identity where no token is needed", path: "/health", header: spoofed, status: 200},
		{name: "spoofed identity and no token", path: "/reports", header: spoofed, status: 401, reason: "missing_token", challenge: "Bearer"},
		{name: "no token", path: "/reports", status: 401, reason: "missing_token", challenge: "Bearer"},
		{name: "no token, any route", path: "/else", status: 401, reason: "missing_token", challenge: "Bearer"},
		{name: "token in the query", path: "/reports?access_token=" + reader, status: 401, reason: "token_in_url", challenge: "Bearer"},
		{name: "another scheme", path: "/reports", header: http.Header{"Authorization": {"Basic YTpi"}}, status: 401, reason: "missing_token", challenge: "Bearer"},
		{name: "no token after the scheme", path: "/reports", header: http.Header{"Authorization": {"Bearer a b"}}, status: 401, reason: "malformed_request", challenge: "invalid_request"},
		{name: "garbage", path: "/reports", header: with("garbage", nil), status: 401, reason: "malformed", challenge: "invalid_token"},
		{name: "altered", path: "/reports", header: with(reader[:len(reader)-8]+"AAAAAAAA", nil), status: 401, reason: "bad_signature", challenge: "invalid_token"},
		{name: "wrong scope", path: "/reports", header: with(plain, nil), status: 403, reason: "insufficient_scope", challenge: `scope="reports:read"`},
		{name: "scope not needed", path: "/else", header: with(plain, nil), status: 200, identity: map[string]string{"Jeton-Subject": authority.Account("bob"), "Jeton-Scope": ""}},
		{name: "demands of the client's own", path: "/reports?scope=openid", header: with(plain, http.Header{"X-Jeton-Scope": {"openid"}}), status: 403, reason: "insufficient_scope", challenge: "reports:read"},
		{name: "a request of the client's own", path: "/reports?x=1", header: with(reader, http.Header{"X-Forwarded-Uri": {"/health"}, "X-Forwarded-Method": {"HEAD"}}),
			status: 200, identity: ada},
		{name: "odd path", path: "/reports/..//a%2Fb", header: with(plain, nil), status: 200},
		{name: "the question itself", path: "/jeton/any", header: nil, status: -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := service.hits.Load()
			asked.Store(nil)
			resp, body := call(t, test.method, base+test.path, test.header, test.body)
			if test.status == -1 {
				if resp.StatusCode == 200 {
					t.Error("200")
				}
				return
			}
			if resp.StatusCode != test.status {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, test.status, body)
			}
			if got := resp.Header.Get("Jeton-Reason"); got != test.reason {
				t.Errorf("reason %q, want %q", got, test.reason)
			}
			challenges := resp.Header.Values("WWW-Authenticate")
			if len(challenges) == 2 && strings.HasPrefix(challenges[1], "DPoP ") { // beside Bearer, where both schemes are offered; not every proxy passes on two
				challenges = challenges[:1]
			}
			switch {
			case test.challenge == "" && len(challenges) != 0, test.challenge != "" && (len(challenges) != 1 || !strings.Contains(challenges[0], test.challenge)):
				t.Errorf("challenge %q, want one with %q", challenges, test.challenge)
			}
			if about := asked.Load(); about == nil && test.path != "/health" || about != nil && *about != cmp.Or(test.method, "GET")+" "+test.path {
				t.Errorf("the agent was asked about %v", about)
			}
			if hits := service.hits.Load() - before; (hits == 1) != (test.status == 200) {
				t.Errorf("reached the service %d times", hits)
			}
			if test.status != 200 || t.Failed() {
				return
			}
			var got arrived
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			if want := cmp.Or(test.method, "GET"); got.Method != want || got.Body != test.body {
				t.Errorf("%s %q arrived, want %s %q", got.Method, got.Body, want, test.body)
			}
			for name, values := range got.Header {
				if slices.Contains(values, "admin") {
					t.Errorf("%s of the client arrived", name)
				}
			}
			for name, want := range test.identity {
				if got := got.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}

	t.Run("metadata", func(t *testing.T) {
		resp, body := call(t, "", base+"/.well-known/oauth-protected-resource", nil, "")
		if resp.StatusCode != 200 || !bytes.Contains(body, []byte(authority.Issuer)) {
			t.Errorf("status %d: %s", resp.StatusCode, body)
		}
	})
	t.Run("revoked", func(t *testing.T) {
		if resp, _ := call(t, "", base+"/reports", with(reader, nil), ""); resp.StatusCode != 200 {
			t.Fatalf("status %d before", resp.StatusCode)
		}
		authority.Revoke(t, reader)
		began := time.Now()
		for {
			resp, _ := call(t, "", base+"/reports", with(reader, nil), "")
			if resp.StatusCode == 401 {
				if got := resp.Header.Get("Jeton-Reason"); got != "revoked" {
					t.Errorf("reason %q", got)
				}
				break
			}
			if time.Since(began) > time.Second {
				t.Fatalf("status %d a second after the revocation", resp.StatusCode)
			}
		}
		t.Logf("refused %v after the revocation", time.Since(began))
	})
	t.Run("agent down", func(t *testing.T) {
		agentServer.Close()
		before := service.hits.Load()
		resp, _ := call(t, "", base+"/else", with(plain, nil), "")
		if resp.StatusCode < 500 || service.hits.Load() != before {
			t.Errorf("status %d, %d hits", resp.StatusCode, service.hits.Load()-before)
		}
		if resp, _ := call(t, "", base+"/health", nil, ""); resp.StatusCode != 200 {
			t.Errorf("a route without a token: status %d", resp.StatusCode)
		}
	})
}

func call(t *testing.T, method, target string, header http.Header, body string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", target, err))
	}
	return resp, answer
}
