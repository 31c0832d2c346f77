package server_test

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/redistest"
	"github.com/jetonhq/jeton/internal/traces"
)

// spanSeen is a span as a collector reads it.
type spanSeen struct {
	trace, id, parent, name string
	kind, status            uint64
	attributes              map[string]string
}

// collector takes OTLP over HTTP.
type collector struct {
	t      *testing.T
	url    string
	status int

	mu    sync.Mutex
	raw   strings.Builder // guarded by mu: everything that came
	spans []spanSeen      // guarded by mu
}

func newCollector(t *testing.T, status int) *collector {
	c := &collector{t: t, status: status}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

// ServeHTTP takes an ExportTraceServiceRequest.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("X-Key") != "a b" {
		c.t.Errorf("the collector got %s %v, %v", r.URL.Path, r.Header, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	for _, resource := range parts(c.t, body)[1] {
		for _, scope := range parts(c.t, resource)[2] {
			for _, span := range parts(c.t, scope)[2] {
				c.spans = append(c.spans, c.span(span))
			}
		}
	}
	w.WriteHeader(c.status)
}

func (c *collector) span(b []byte) spanSeen {
	f := parts(c.t, b)
	s := spanSeen{trace: hex.EncodeToString(f[1][0]), id: hex.EncodeToString(f[2][0]), name: string(f[5][0]), attributes: map[string]string{}}
	if len(f[4]) > 0 {
		s.parent = hex.EncodeToString(f[4][0])
	}
	s.kind, _ = protowire.ConsumeVarint(f[6][0])
	for _, a := range f[9] {
		pair := parts(c.t, a)
		for field, v := range parts(c.t, pair[2][0]) {
			s.attributes[string(pair[1][0])] = string(v[0])
			if n, size := protowire.ConsumeVarint(v[0]); field == 3 && size > 0 {
				s.attributes[string(pair[1][0])] = http.StatusText(int(n))
			}
		}
	}
	if len(f[15]) > 0 {
		s.status, _ = protowire.ConsumeVarint(parts(c.t, f[15][0])[3][0])
	}
	return s
}

// parts are the fields of a message by number, undecoded.
func parts(t *testing.T, b []byte) map[protowire.Number][][]byte {
	found := map[protowire.Number][][]byte{}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Error("not protobuf")
			return found
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(number, kind, b)
		if size < 0 {
			t.Error("not protobuf")
			return found
		}
		value := b[:size]
		if kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(value)
		}
		found[number] = append(found[number], value)
		b = b[size:]
	}
	return found
}

// open is a provider that knows this collector by the standard variables.
func (c *collector) open() *traces.Provider {
	c.t.Helper()
	environ := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.url, "OTEL_EXPORTER_OTLP_HEADERS": "X-Key=a%20b"}
	p, err := traces.Open(c.t.Context(), func(name string) string { return environ[name] }, slog.New(slog.DiscardHandler))
	must(c.t, err)
	return p
}

func (c *collector) close(p *traces.Provider) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	must(c.t, p.Close(ctx))
}

// below are the names of the spans below one.
func (c *collector) below(id string) (names []string) {
	for _, s := range c.spans {
		if s.parent == id {
			names = append(names, s.name)
		}
	}
	return names
}

const theirTrace, theirSpan = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

// A collector sees what a refresh does, in the caller's trace and on every store, and
// no secret and nobody's id.
func TestTraces_Refresh(t *testing.T) {
	for name, on := range map[string]func(*testing.T) options{
		"sqlite":   func(*testing.T) options { return options{} },
		"postgres": func(t *testing.T) options { return onPostgres(pgtest.Database(t)) },
		"redis":    func(t *testing.T) options { return onRedis(redistest.Start(t).URL()) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t, http.StatusOK)
			o := on(t)
			o.traces = c.open()
			w := newWorld(t, o)
			first := w.signedIn("web")
			r := w.form("/token", "web", "grant_type", "refresh_token", "refresh_token", first.text("refresh_token"))
			r.Header.Set("Traceparent", "00-"+theirTrace+"-"+theirSpan+"-01")
			r.Header.Set("Tracestate", "vendor=something-private")
			r.URL.RawQuery = "hint=private-query"
			w.do(r).ok()
			v := w.visitor()
			v.signIn()
			w.get("/nowhere-that-is-private?x=private-query")
			c.close(o.traces)

			c.mu.Lock()
			defer c.mu.Unlock()
			at := slices.IndexFunc(c.spans, func(s spanSeen) bool { return s.parent == theirSpan })
			if at < 0 {
				t.Fatalf("no span below the caller's: %+v", c.spans)
			}
			s := c.spans[at]
			if s.trace != theirTrace || s.name != "POST /token" || s.kind != 2 || s.status != 0 ||
				s.attributes["http.route"] != "/token" || s.attributes["http.response.status_code"] != "OK" {
				t.Errorf("the span of the refresh: %+v", s)
			}
			below := strings.Join(c.below(s.id), "\n")
			if !strings.Contains(below, "store: ") || strings.Count(below, "store: ") < 2 {
				t.Errorf("below the refresh: %q", below)
			}
			if there := strings.Contains(below, "registry: write rows"); there != (name == "redis") {
				t.Errorf("below the refresh: %q", below)
			}
			if !slices.ContainsFunc(c.spans, func(s spanSeen) bool { return s.name == "password: argon2id" && s.parent != "" }) {
				t.Error("no span of the password")
			}
			all := c.raw.String()
			w.mu.Lock()
			defer w.mu.Unlock()
			for value, what := range w.secrets {
				if strings.Contains(all, value) {
					t.Errorf("the collector was told a %s", what)
				}
			}
			for _, private := range []string{"private", "ada", w.person.ID.String(), string(w.person.ID[:]), "127.0.0.1"} {
				if strings.Contains(all, private) {
					t.Errorf("the collector was told %q", private)
				}
			}
		})
	}
}

// A collector that refuses, or is not there, holds nobody up.
func TestTraces_CollectorFails(t *testing.T) {
	for name, c := range map[string]*collector{"refuses": newCollector(t, http.StatusServiceUnavailable), "is gone": {t: t, url: "http://127.0.0.1:1"}} {
		p := c.open()
		w := newWorld(t, options{traces: p})
		w.refresh("web", w.signedIn("web").text("refresh_token")).ok()
		c.close(p)
		t.Log(name)
	}
}
