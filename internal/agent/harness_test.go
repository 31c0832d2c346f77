package agent_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/agent"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jetontest"
)

// settings say what a test's agent differs in. The zero value is an agent for
// the whole API of the authority.
type settings struct {
	agent.Config
	line *line // to the authority
	log  io.Writer
}

// start makes an agent that is ready.
func start(t *testing.T, authority *jetontest.Authority) *agent.Agent {
	t.Helper()
	a := open(t, authority, settings{})
	until(t, "ready", a.Ready)
	return a
}

// open makes an agent whose guard has the authority's own credentials.
func open(t *testing.T, authority *jetontest.Authority, s settings) *agent.Agent {
	t.Helper()
	guard := authority.Guard()
	guard.FailMode, guard.MaxStaleness = s.FailMode, s.MaxStaleness
	guard.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")} // the latter is httptest's
	guard.Audience = cmp.Or(s.Audience, guard.Audience)
	if s.line != nil {
		guard.HTTPClient = s.line.client()
	}
	if s.log == nil {
		s.log = io.Discard
	}
	s.Issuer, s.Audience, s.ClientID, s.ClientSecret = guard.Issuer, guard.Audience, "api", secret.New("the guard has it")
	a, err := agent.NewWith(s.Config, guard, slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// until waits for something that other goroutines or processes bring about.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never %s", what)
		}
	}
}

// line is the way to the authority. It can be cut.
type line struct {
	mu    sync.Mutex
	cut   bool // mu guards the fields
	conns []net.Conn
}

func (l *line) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.cut {
			return nil, errors.Join(errors.New("the line is cut"), conn.Close())
		}
		l.conns = append(l.conns, conn)
		return conn, nil
	}}}
}

func (l *line) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for _, conn := range l.conns {
			_ = conn.Close()
		}
		l.conns = nil
	}
}

// ask sends a request straight to the agent's handler.
func ask(a *agent.Agent, method, target string, header http.Header, form url.Values) *httptest.ResponseRecorder {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, target, body)
	for name, values := range header {
		r.Header[name] = values
	}
	// As proxies do; a test that wants neither sets them to nothing.
	for name, value := range map[string]string{"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/reports"} {
		if _, there := header[name]; !there {
			r.Header.Set(name, value)
		}
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r)
	return w
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func introspect(a *agent.Agent, token string) *httptest.ResponseRecorder {
	return ask(a, http.MethodPost, "/introspect", nil, url.Values{"token": {token}})
}
