package doctor_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/doctor"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/server"
)

// site is a running server, and what stands between it and its issuer URL.
type site struct {
	config doctor.Config
	public http.Handler
	manage http.Handler
	way    http.Handler // replaced by tests before they examine
}

func newSite(t *testing.T, edit ...func(*config.Config)) *site {
	t.Helper()
	s := &site{}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.way.ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	cfg := config.Default()
	cfg.Issuer = front.URL
	cfg.Store.URL = "sqlite:" + filepath.Join(t.TempDir(), "jeton.db")
	cfg.SealingKey = secret.New(base64.StdEncoding.EncodeToString(secret.Bytes(32)))
	cfg.Manage.AdminToken = secret.Token("")
	cfg.Listen.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Feed.Heartbeat = 50 * time.Millisecond
	for _, f := range edit {
		f(&cfg)
	}
	running, err := server.Open(t.Context(), cfg, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Close() })
	s.public, s.manage = running.Handler(), running.ManageHandler()
	manage := httptest.NewServer(s.manage)
	t.Cleanup(manage.Close)
	back := httptest.NewServer(s.public)
	t.Cleanup(back.Close)
	target, err := url.Parse(back.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.way = &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}
	s.config = doctor.Config{Config: cfg, Admin: &admin.Client{BaseURL: manage.URL, Token: cfg.Manage.AdminToken.Reveal()}}
	return s
}

// levels are the worst level of each check.
func levels(t *testing.T, c doctor.Config) map[string]doctor.Level {
	t.Helper()
	rank := map[doctor.Level]int{doctor.OK: 0, doctor.Warning: 1, doctor.Problem: 2}
	worst := make(map[string]doctor.Level)
	for _, f := range doctor.Examine(t.Context(), c) {
		t.Logf("%s %s: %s (%s)", f.Check, f.Level, f.Found, f.Do)
		if (f.Do == "") != (f.Level == doctor.OK) {
			t.Errorf("%s: %s with the advice %q", f.Check, f.Level, f.Do)
		}
		if old, ok := worst[f.Check]; !ok || rank[f.Level] > rank[old] {
			worst[f.Check] = f.Level
		}
	}
	return worst
}

func TestExamine_AllIsWell(t *testing.T) {
	s := newSite(t)
	got := levels(t, s.config)
	for _, check := range []string{
		"configuration", "server", "sealing key", "database file", "schema", "durability", "keys", "deliveries", "metadata", "key set", "clock",
		"management", "proxy", "large headers", "feed",
	} {
		if got[check] != doctor.OK {
			t.Errorf("%s: %q", check, got[check])
		}
	}
}

// Each fault on the way is found, and under its own name.
func TestExamine_FaultsOnTheWay(t *testing.T) {
	for name, test := range map[string]struct {
		check string
		level doctor.Level
		fault func(s *site)
	}{
		"buffering": {"feed", doctor.Problem, func(s *site) {
			next := s.way
			s.way = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				rec := httptest.NewRecorder()
				next.ServeHTTP(rec, r)
				maps.Copy(w.Header(), rec.Header())
				w.WriteHeader(rec.Code)
				_, _ = io.Copy(w, rec.Body)
			})
		}},
		"small headers": {"large headers", doctor.Problem, func(s *site) {
			next := s.way
			s.way = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, values := range r.Header {
					if len(values[0]) > 2000 {
						http.Error(w, "too large", http.StatusRequestHeaderFieldsTooLarge)
						return
					}
				}
				next.ServeHTTP(w, r)
			})
		}},
		"no X-Forwarded-For": {"proxy", doctor.Problem, func(s *site) { s.way = s.public }},
		"another host": {"proxy", doctor.Problem, func(s *site) {
			next := s.way
			s.way = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Host = "backend.internal"
				next.ServeHTTP(w, r)
			})
		}},
		"management in the open": {"management", doctor.Problem, func(s *site) {
			next := s.way
			s.way = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/metrics" {
					s.manage.ServeHTTP(w, r)
					return
				}
				next.ServeHTTP(w, r)
			})
		}},
		"old keys from a cache": {"key set", doctor.Problem, func(s *site) {
			next := s.way
			s.way = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/jwks" {
					_, _ = w.Write([]byte(`{"keys":[]}`))
					return
				}
				next.ServeHTTP(w, r)
			})
		}},
		"a wrong clock": {"clock", doctor.Problem, func(s *site) {
			s.config.Now = func() time.Time { return time.Now().Add(time.Minute) }
		}},
		"nobody there": {"issuer", doctor.Problem, func(s *site) {
			s.way = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			test.fault(s)
			if got := levels(t, s.config)[test.check]; got != test.level {
				t.Errorf("%s: got %q, want %q", test.check, got, test.level)
			}
		})
	}
}

// Faults of the configuration, the database and the services beside it, which
// need no server.
func TestExamine_FaultsBeside(t *testing.T) {
	s := newSite(t)
	path := strings.TrimPrefix(s.config.Config.Store.URL, "sqlite:")
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	_ = closed.Close()
	for name, test := range map[string]struct {
		check string
		level doctor.Level
		fault func(c *doctor.Config)
	}{
		"another sealing key": {"sealing key", doctor.Problem, func(c *doctor.Config) {
			c.Config.SealingKey = secret.New(base64.StdEncoding.EncodeToString(secret.Bytes(32)))
		}},
		"no server":    {"server", doctor.Warning, func(c *doctor.Config) { c.Admin = &admin.Client{BaseURL: "http://" + nobody} }},
		"no mail":      {"mail", doctor.Problem, func(c *doctor.Config) { c.Config.Notify.SMTP = smtp(nobody) }},
		"no zookeeper": {"zookeeper", doctor.Problem, func(c *doctor.Config) { c.Config.Publish.ZooKeeper.Servers = []string{nobody} }},
		"no etcd":      {"etcd", doctor.Problem, func(c *doctor.Config) { c.Config.Publish.Etcd.Endpoints = []string{"http://" + nobody} }},
		"readable by others": {"database file", doctor.Problem, func(*doctor.Config) {
			if err := os.Chmod(path, 0o644); err != nil { // #nosec G302 -- the fault
				t.Fatal(err)
			}
		}},
		"no database": {"schema", doctor.Problem, func(c *doctor.Config) {
			other := filepath.Join(t.TempDir(), "text.db")
			if err := os.WriteFile(other, bytes.Repeat([]byte("no database\n"), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
			c.Config.Store.URL = "sqlite:" + other
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.config
			test.fault(&c)
			if got := levels(t, c)[test.check]; got != test.level {
				t.Errorf("%s: got %q, want %q", test.check, got, test.level)
			}
		})
	}
}

func smtp(address string) config.SMTP {
	host, port, _ := net.SplitHostPort(address)
	n, _ := net.LookupPort("tcp", port)
	return config.SMTP{Host: host, Port: n, TLS: "none", From: "id@example.com"}
}
