package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/secret"
)

// storefront is a browser app that `jeton bff` serves in front of the example API.
type storefront struct {
	d       *running
	url     string
	manage  string
	config  string
	environ []string
}

func newFront(t *testing.T) *storefront {
	t.Helper()
	d := devFrom(t, t.TempDir())
	dir := t.TempDir()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	manage, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	f := &storefront{d: d, url: "http://127.0.0.1:" + port, manage: "http://127.0.0.1:" + manage}
	clientSecret, key := secret.Token("").Reveal(), base64.StdEncoding.EncodeToString(secret.Bytes(32))
	watched.Secret("secret of the app", clientSecret)
	watched.Secret("session key", key)
	created := launch(t, build(t), nil, "client", "create", "shop", "--grant", "authorization_code,refresh_token", "--redirect-uri", f.url+"/auth/callback", "--native",
		"--first-party", "--scope", "openid profile reports:read", "--audience", d.Resource.Audience, "--secret-file", put(t, dir, "secret", clientSecret), "--data", d.data)
	if code := created.end(); code != 0 {
		t.Fatalf("client create: %s", created.log)
	}
	files := filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "files/index.html", "<!doctype html><h1>Shop</h1>")
	put(t, dir, "files/.hidden", "hidden")
	f.config = put(t, dir, "bff.yaml", fmt.Sprintf(`
issuer: %s
client_id: shop
client_secret_file: %s
public_url: https://not.example.com
listen: 127.0.0.1:%s
manage: 127.0.0.1:%s
scope: openid profile reports:read
claims: [name]
upstreams:
  /api/: %s
static:
  dir: %s
  fallback: true
sessions:
  dir: %s
  key_file: %s
log:
  format: text
`, d.Issuer, filepath.Join(dir, "secret"), port, manage, d.API, files, filepath.Join(dir, "sessions"), put(t, dir, "key", key+"\n"+strings.Repeat("older", 8)+"\n")))
	f.environ = []string{"JETON_BFF_PUBLIC_URL=" + f.url}
	return f
}

func (f *storefront) start(t *testing.T) *process {
	t.Helper()
	p := launch(t, build(t), f.environ, "bff", "--config", f.config)
	p.eventually("ready", func() bool { return answers(t, http.DefaultClient, f.manage+"/readyz") == http.StatusOK })
	return p
}

// A person signs in and stays so while the process is killed, started again and
// stopped; the API gets the token, and the browser does not.
func TestBFF_KilledAndStartedAgain(t *testing.T) {
	f := newFront(t)
	p := f.start(t)
	browser := &http.Client{Jar: newJar(t)}
	if got := get(t, browser, f.url+"/"); !strings.Contains(got.body, "Shop") {
		t.Errorf("the app's page: %s", got.body)
	}
	page := get(t, browser, f.url+"/auth/sign-in?return_to=/reports/1")
	page = submit(t, browser, page, url.Values{"login": {f.d.User.Login}, "password": {f.d.User.Password}})
	if page.at.String() != f.url+"/reports/1" {
		t.Fatalf("signing in leads to %s: %s", page.at, page.body)
	}
	signedIn := func(when string) {
		t.Helper()
		var who struct {
			SignedIn bool              `json:"signed_in"`
			Claims   map[string]string `json:"claims"`
		}
		if body := get(t, browser, f.url+"/auth/session").body; json.Unmarshal([]byte(body), &who) != nil || !who.SignedIn || who.Claims["name"] != "Alice Example" {
			t.Errorf("%s: %s", when, body)
		}
		if body := get(t, browser, f.url+"/api/reports").body; !strings.Contains(body, "2026-10 revenue") {
			t.Errorf("%s: %s", when, body)
		}
	}
	signedIn("at first")
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.end()
	p = f.start(t)
	signedIn("after kill -9")
	if body := get(t, browser, f.manage+"/metrics").body; !strings.Contains(body, `jeton_bff_requests_total{route="/api/",status="200"} 1`) || !strings.Contains(body, "jeton_bff_refreshes_total 0") {
		t.Errorf("metrics: %s", body)
	}
	p.wantStopped()
	p = f.start(t)
	signedIn("after a stop")
	if status := answers(t, browser, f.url+"/.hidden"); status != http.StatusNotFound {
		t.Errorf("a hidden file: %d", status)
	}
	if status := answers(t, browser, f.url+"/metrics"); status != http.StatusNotFound {
		t.Errorf("metrics for everybody: %d", status)
	}
	p.wantStopped()
}

// One that is configured wrongly says everything that is wrong, and no secret.
func TestBFF_RefusesToStart(t *testing.T) {
	dir := t.TempDir()
	whole := "issuer: https://id.example.com\nclient_id: shop\nclient_secret: hunter2-hunter2\npublic_url: https://shop.example.com\n"
	for _, test := range []struct {
		name, file string
		want       []string
	}{
		{"nothing", "", []string{"Config.Issuer", "Config.ClientID", "Config.ClientSecret", "Config.PublicURL"}},
		{"unknown key", whole + "colour: red\n", []string{`bff.yaml:5: unknown key "colour"`}},
		{"no key", whole + "sessions:\n  dir: " + dir + "\n", []string{"sessions.key: is required"}},
		{"short key", whole + "sessions:\n  dir: " + dir + "\n  key: hunter2-short\n", []string{"key 1 has fewer than 32 characters"}},
		{"upstreams", whole + "upstreams:\n  /api: https://api.example.com\n  /x/: nowhere\n", []string{`upstream path "/api"`, `URL of upstream "/x/"`}},
		{"http", whole + "path: auth\nissuer: http://id.example.com\n", []string{"issuer"}},
		{"static", whole + "static:\n  dir: /nowhere/at/all\n", []string{"static.dir: /nowhere/at/all is no directory"}},
		{"log", whole + "log:\n  format: xml\n", []string{"log.format"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := launch(t, build(t), nil, "bff", "--config", put(t, t.TempDir(), "bff.yaml", test.file))
			for _, want := range test.want {
				p.wantRefused(want)
			}
			if strings.Contains(p.log.String(), "hunter2") {
				t.Errorf("the secret is in\n%s", p.log)
			}
		})
	}
}
