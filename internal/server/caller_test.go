package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/config"
)

// X-Forwarded-For is a claim of whoever sent it: only what a trusted proxy
// added counts.
func TestBCP_5_ForwardedForOnlyFromTrustedProxies(t *testing.T) {
	tests := []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "203.0.113.9:1", nil, "203.0.113.9"},
		{"a stranger's header", "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"a stranger claims to be a proxy", "203.0.113.9:1", []string{"198.51.100.1, 10.0.0.1"}, "203.0.113.9"},
		{"a proxy without the header", "10.0.0.1:1", nil, "10.0.0.1"},
		{"a proxy", "10.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"the caller wrote hops before the proxy's", "10.0.0.1:1", []string{"127.0.0.1, 198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		{"the caller sent a header of its own", "10.0.0.1:1", []string{"127.0.0.1", "203.0.113.9"}, "203.0.113.9"},
		{"two proxies", "10.0.0.1:1", []string{"203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"two proxies and a lie", "10.0.0.1:1", []string{"10.0.0.3, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"proxies only", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"rubbish stops the walk", "10.0.0.1:1", []string{"203.0.113.9, unknown"}, "10.0.0.1"},
		{"rubbish before a proxy", "10.0.0.1:1", []string{"203.0.113.9, <script>, 10.0.0.2"}, "10.0.0.2"},
		{"a mapped peer", "[::ffff:10.0.0.1]:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"a mapped hop", "10.0.0.1:1", []string{"203.0.113.9, ::ffff:10.0.0.2"}, "203.0.113.9"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::7"}, "2001:db8::7"},
		{"no address", "@", []string{"203.0.113.9"}, "invalid IP"},
	}
	s := &Server{}
	s.cfg.Listen.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-For"] = tt.forwarded
			if got := s.address(r).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestCaller_KeepsANetworkAndAShortAgent(t *testing.T) {
	s := &Server{}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "203.0.113.9:1"
	r.Header.Set("User-Agent", strings.Repeat("ä", 256))
	addr, from := s.caller(r)
	if addr.String() != "203.0.113.9" || from.Network != "203.0.113.0/24" {
		t.Errorf("from %s in %s", addr, from.Network)
	}
	if n := len(from.UserAgent); n == 0 || n > 256 || strings.ToValidUTF8(from.UserAgent, "") != from.UserAgent {
		t.Errorf("a user agent of %d bytes", n)
	}
}

func TestOutermost(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		status  int
		lines   []string // one each, in this order
	}{
		{"an answer", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, http.StatusTeapot,
			[]string{"level=INFO msg=request method=GET path=/x status=418"}},
		{"an empty answer", func(http.ResponseWriter, *http.Request) {}, http.StatusOK,
			[]string{"level=INFO msg=request method=GET path=/x status=200"}},
		{"a panic", func(http.ResponseWriter, *http.Request) { panic("boom") }, http.StatusInternalServerError,
			[]string{`level=ERROR msg="handler panicked" panic=boom stack=`, "level=INFO msg=request method=GET path=/x status=500"}},
		{"a panic after the answer began", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted); panic("boom") }, http.StatusAccepted,
			[]string{`level=ERROR msg="handler panicked"`, "level=INFO msg=request method=GET path=/x status=202"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			s := &Server{cfg: config.Default(), metrics: newMetrics(), log: slog.New(WithRequestID(slog.NewTextHandler(&log, nil)))}
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/x?code=secret", nil)
			s.outermost(tt.handler).ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if len(lines) != len(tt.lines) {
				t.Fatalf("%d lines, want %d:\n%s", len(lines), len(tt.lines), log.String())
			}
			for i, line := range lines {
				if !strings.Contains(line, tt.lines[i]) || !strings.Contains(line, " request=") {
					t.Errorf("line %q, want %q and the request's id", line, tt.lines[i])
				}
			}
			if strings.Contains(log.String(), "secret") {
				t.Error("the log has the query")
			}
			if strings.Contains(w.Body.String(), "boom") {
				t.Error("the answer says what went wrong inside")
			}
		})
	}
}

// A handler that gives up on a connection must reach net/http, which closes it.
func TestOutermost_Abort(t *testing.T) {
	s := &Server{metrics: newMetrics(), log: slog.New(slog.DiscardHandler)}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v", p)
		}
	}()
	s.outermost(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}
