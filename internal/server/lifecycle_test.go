package server_test

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/config"
)

func TestManage_Health(t *testing.T) {
	w := newWorld(t, options{})
	for _, path := range []string{"/livez", "/readyz", "/healthz"} {
		a := w.get(w.manage + path).ok()
		if a.text("status") != "ok" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %v", path, a.body, a.header)
		}
	}
	// Nothing of it is public.
	for _, path := range []string{"/livez", "/readyz", "/healthz", "/metrics", "/admin/v1/accounts"} {
		if a := w.get(path); a.status != http.StatusNotFound {
			t.Errorf("%s on the public listener: %d", path, a.status)
		}
	}
	w.server.Drain()
	if a := w.get(w.manage + "/readyz"); a.status != http.StatusServiceUnavailable {
		t.Errorf("ready while draining: %d", a.status)
	}
	w.get(w.manage + "/livez").ok()
	w.machine() // requests are answered still
}

// A node that cannot write is not ready, and acknowledges nothing.
func TestManage_NotReadyWhenTheStoreCannotWrite(t *testing.T) {
	w := newWorld(t, options{})
	other, err := sql.Open("sqlite", "file:"+w.file)
	must(t, err)
	defer func() { _ = other.Close() }()
	other.SetMaxOpenConns(1)
	_, err = other.ExecContext(t.Context(), "BEGIN IMMEDIATE") // nobody else can write now
	must(t, err)
	if a := w.get(w.manage + "/readyz"); a.status != http.StatusServiceUnavailable || !strings.HasPrefix(a.text("reason"), "store: ") {
		t.Errorf("ready: %d %s", a.status, a.body)
	}
	w.get(w.manage + "/livez").ok() // a restart would not help
	_, err = other.ExecContext(t.Context(), "ROLLBACK")
	must(t, err)
	for deadline := time.Now().Add(30 * time.Second); w.get(w.manage+"/readyz").status != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatal("never ready again")
		}
	}
	w.machine()
}

func TestManage_AdminAPINeedsItsToken(t *testing.T) {
	w := newWorld(t, options{})
	for name, header := range map[string]string{
		"none": "", "wrong": "Bearer " + strings.Repeat("x", 43), "a prefix": "Bearer " + w.admin[:40], "another scheme": "Basic " + w.admin,
		"an access token": "Bearer " + w.machine(),
	} {
		r := w.request(http.MethodGet, w.manage+"/admin/v1/clients", "")
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		if a := w.do(r); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	r := w.request(http.MethodGet, w.manage+"/admin/v1/clients", "")
	r.Header.Set("Authorization", "Bearer "+w.admin)
	w.do(r).ok()

	without := newWorld(t, options{edit: func(c *config.Config) { c.Manage.AdminToken = config.Default().Manage.AdminToken }})
	r = without.request(http.MethodGet, without.manage+"/admin/v1/clients", "")
	r.Header.Set("Authorization", "Bearer ")
	if a := without.do(r); a.status != http.StatusNotFound {
		t.Errorf("without a token configured: %d", a.status)
	}
}

func TestManage_Metrics(t *testing.T) {
	w := newWorld(t, options{})
	token := w.machine()
	w.post("/revoke", "machine", "token", token).ok()
	w.get("/no/such/place?token=" + url.QueryEscape(token))
	text := w.get(w.manage + "/metrics").ok().body
	watched.Said("metrics of "+t.Name(), text)
	for _, want := range []string{
		`jeton_http_requests_total{route="/token",status="200"} 1`,
		`jeton_http_requests_total{route="/revoke",status="200"} 1`,
		`jeton_http_request_seconds_count{route="/token"} 1`,
		"jeton_store_commit_group_size_count ", "jeton_store_commit_seconds_count ",
		"jeton_feed_subscribers 0", "jeton_feed_lag_seconds ", "jeton_feed_view_entries 1", "jeton_feed_seq 1", "jeton_feed_entries_total 1", "jeton_feed_bytes_total ",
		"go_goroutines ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no series %s", want)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "jeton_") {
				t.Log(line)
			}
		}
	}
	if strings.Contains(text, "/no/such/place") {
		t.Error("a path that a stranger chose is a label")
	}
}

// One line per request, with the path and never the query.
func TestAccessLog(t *testing.T) {
	w := newWorld(t, options{})
	w.get("/authorize?state=mark-in-the-query&client_id=web")
	w.post("/token?mark-in-the-query", "machine", "grant_type", "client_credentials", "scope", "mark-in-the-body")
	w.post("/token", "machine", "grant_type", "client_credentials").ok()
	log := w.log.String()
	if strings.Contains(log, "mark-in") {
		t.Errorf("the log has a query or a body:\n%s", log)
	}
	var lines []map[string]any
	for line := range strings.Lines(log) {
		var entry map[string]any
		must(t, json.Unmarshal([]byte(line), &entry))
		if entry["msg"] == "request" {
			lines = append(lines, entry)
		}
	}
	if len(lines) != 3 {
		t.Fatalf("%d access lines for 3 requests:\n%s", len(lines), log)
	}
	last := lines[2]
	for _, name := range []string{"time", "method", "path", "status", "bytes", "took", "from", "request"} {
		if _, ok := last[name]; !ok {
			t.Errorf("the line has no %s: %v", name, last)
		}
	}
	if last["method"] != "POST" || last["path"] != "/token" || last["status"] != float64(200) || last["from"] != "127.0.0.1" {
		t.Errorf("line %v", last)
	}
	if lines[0]["request"] == lines[1]["request"] {
		t.Error("two requests have one id")
	}
}
