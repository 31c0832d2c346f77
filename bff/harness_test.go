package bff_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/bff"
	"github.com/jetonhq/jeton/client"
	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/leaktest"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/oauth"
)

const (
	audience = "https://api.example.com"
	password = "correct horse battery staple"
)

// watched collects every token that the authority gave out, and everything that a browser or a log was told.
var watched leaktest.Watch

// The run fails if any of the tokens was told.
func TestMain(m *testing.M) {
	os.Exit(watched.Main(m.Run, os.Stderr))
}

// clock is a time that tests move.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// world is a real authority, an app in front of a guarded API, and people.
type world struct {
	t      *testing.T
	clock  *clock
	server *server.Server
	parts  server.Parts
	issuer string
	log    *slog.Logger

	secrets   map[string]string // of clients
	authority *gate             // in front of the authority
	api       string
	guard     *jeton.Guard
	public    string // URL of the app
	front     *gate
	app       *bff.App
	config    bff.Config
}

// gate is an HTTP server whose handler can be replaced, and whose requests are counted by path.
type gate struct {
	url     string
	handler atomic.Pointer[http.Handler]
	mu      sync.Mutex
	counts  map[string]int // guarded by mu
	said    io.Writer      // what it answers is written here too, unless nil
}

func newGate(t *testing.T, start func(http.Handler) *httptest.Server) *gate {
	g := &gate{counts: make(map[string]int)}
	g.set(http.NotFoundHandler())
	s := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.counts[r.URL.Path]++
		g.mu.Unlock()
		if g.said != nil {
			w = &overheard{w, g.said}
		}
		(*g.handler.Load()).ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	g.url = s.URL
	return g
}

// overheard is an answer that somebody else reads too.
type overheard struct {
	http.ResponseWriter
	said io.Writer
}

func (o *overheard) WriteHeader(status int) {
	_ = o.Header().Write(o.said)
	o.ResponseWriter.WriteHeader(status)
}

func (o *overheard) Write(b []byte) (int, error) {
	_, _ = o.said.Write(append(b[:len(b):len(b)], '\n'))
	return o.ResponseWriter.Write(b)
}

func (o *overheard) Unwrap() http.ResponseWriter { return o.ResponseWriter }

func (g *gate) set(h http.Handler) { g.handler.Store(&h) }

func (g *gate) count(path string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts[path]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newWorld starts everything. edit changes the app's configuration.
func newWorld(t *testing.T, edit ...func(*bff.Config)) *world {
	t.Helper()
	return worldAt(t, newGate(t, httptest.NewServer), edit...)
}

// worldAt is a world whose browsers find the app at this gate. All that is said there is searched for tokens.
func worldAt(t *testing.T, front *gate, edit ...func(*bff.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{}, authority: newGate(t, httptest.NewServer), front: front, secrets: make(map[string]string)}
	front.said = watched.Log("answers to browsers in " + t.Name())
	w.issuer, w.public = w.authority.url, w.front.url
	w.log = slog.New(slog.NewJSONHandler(watched.Log("log of "+t.Name()), &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := config.Default()
	cfg.Issuer = w.issuer
	cfg.Store.URL = "sqlite:" + filepath.Join(t.TempDir(), "jeton.db")
	cfg.SealingKey = secret.New(base64.StdEncoding.EncodeToString(secret.Bytes(32)))
	cfg.Tokens.AccessJitter = 0
	cfg.Feed.Heartbeat = 50 * time.Millisecond
	cfg.Notify.PrivateLogout = true // the app is on loopback
	var err error
	w.server, err = server.Open(context.Background(), cfg, server.Options{Logger: w.log, Now: w.clock.Now})
	must(t, err)
	t.Cleanup(func() { _ = w.server.Close() })
	t.Cleanup(w.server.Drain)
	w.parts = w.server.Parts()
	w.open()
	w.populate()

	w.config = bff.Config{
		Issuer: w.issuer, ClientID: "shop", PublicURL: w.public, Scope: "openid profile email read",
		ClientSecret: client.NewSecret(w.secrets["shop"]), Claims: []string{"name", "email"},
		HTTPClient: &http.Client{Transport: watched.Transport(t.Name()+", app to authority", nil)},
		Now:        w.clock.Now, Logger: w.log,
		Idle: 12 * time.Hour,
	}
	w.serveAPI()
	w.config.Upstreams = []bff.Upstream{{Path: "/api/", URL: w.api + "/v1"}}
	for _, f := range edit {
		f(&w.config)
	}
	w.start()
	return w
}

// handler is what answers for the authority now.
func (w *world) handler() http.Handler { return *w.authority.handler.Load() }

// open lets requests through to the authority; shut answers them with 503.
func (w *world) open() { w.authority.set(w.server.Handler()) }

func (w *world) shut() {
	w.authority.set(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) }))
}

// start makes the app of the configuration, in place of the one before.
func (w *world) start() {
	w.t.Helper()
	app, err := bff.New(w.config)
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, app.Close()) })
	w.app = app
	mux := http.NewServeMux()
	mux.Handle("/auth/", app)
	mux.Handle("/api/", app)
	mux.HandleFunc("GET /{$}", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, "<!doctype html><h1>Shop</h1>")
	})
	w.front.set(mux)
}

func (w *world) populate() {
	ctx := w.t.Context()
	both := []string{oauth.AuthorizationCode, oauth.RefreshToken}
	for _, s := range []clients.Spec{
		{ID: "shop", Name: "Shop", GrantTypes: both, RedirectURIs: []string{w.public + "/auth/callback"}, Native: true, // for http on loopback
			PostLogoutRedirectURIs: []string{w.public + "/"}, BackchannelLogoutURI: w.public + "/auth/back-channel", Scope: []string{"openid", "profile", "email", "read", "write"}, Audience: audience, FirstParty: true},
		{ID: "api"},
	} {
		_, plain, err := w.parts.Clients.Create(ctx, authority.System, s, "test")
		must(w.t, err)
		w.secrets[s.ID] = plain.Reveal()
		watched.Secret("client secret", plain.Reveal())
	}
	_, _, err := w.parts.Clients.PutResource(ctx, authority.System, clients.ResourceSpec{Audience: audience, Scope: []string{"read", "write"}, ClientID: "api"}, "test")
	must(w.t, err)
	_, err = w.parts.Accounts.Create(ctx, authority.System, accounts.NewAccount{
		Login: "ada", Name: "Ada Lovelace", Email: "ada@example.com", EmailVerified: true, Password: secret.New(password),
	}, "test")
	must(w.t, err)
}

// guardOf is a guard of the API.
func (w *world) guardOf(edit ...func(*jeton.Config)) *jeton.Guard {
	w.t.Helper()
	c := jeton.Config{Issuer: w.issuer, Audience: audience, Client: jeton.ClientSecret("api", w.secrets["api"]), Logger: slog.New(slog.DiscardHandler), Now: w.clock.Now}
	for _, f := range edit {
		f(&c)
	}
	g, err := jeton.NewGuard(c)
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, g.Close()) })
	return g
}

// seen is what the API saw of a request.
type seen struct {
	Method, Path, Query, Body string
	Subject, Scope            string
	Header                    http.Header
	Claims                    json.RawMessage
}

// echo answers with what it saw, but for the token itself.
func echo(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	t := jeton.FromContext(r.Context())
	h := r.Header.Clone()
	h.Del("Authorization")
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(seen{r.Method, r.URL.Path, r.URL.RawQuery, string(body), t.Subject, t.Scope, h, t.Claims().Payload()})
}

// serveAPI starts the guarded API behind the app.
func (w *world) serveAPI() {
	w.guard = w.guardOf()
	mux := http.NewServeMux()
	mux.Handle("/v1/", w.guard.Require(http.HandlerFunc(echo), jeton.Scope("read")))
	mux.Handle("/v1/fresh", w.guard.Require(http.HandlerFunc(echo), jeton.MaxAge(time.Minute)))
	mux.Handle("/v1/never", w.guard.Require(http.HandlerFunc(echo), jeton.Scope("write")))
	mux.HandleFunc("/v1/talks", func(rw http.ResponseWriter, _ *http.Request) {
		h := rw.Header()
		h.Set("Set-Cookie", "jeton-bff=planted; Path=/")
		h.Set("Access-Control-Allow-Origin", "https://evil.example")
		h.Set("Cache-Control", "public, max-age=60, s-maxage=600")
	})
	s := httptest.NewServer(mux)
	w.t.Cleanup(s.Close)
	w.api = s.URL
}

// browser keeps cookies.
type browser struct {
	*world
	http *http.Client
}

type told struct {
	status int
	header http.Header
	body   string
	at     *url.URL
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	return &browser{w, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// do sends a request as a page of the app's own would.
func (b *browser) do(method, address, body string, headers ...string) told {
	b.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.public + address
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(body))
	must(b.t, err)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != "" || method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.http.Do(r)
	if err != nil {
		b.t.Error(err)
		return told{header: http.Header{}}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	must(b.t, err)
	return told{resp.StatusCode, resp.Header, string(text), r.URL}
}

var (
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	action = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
)

// follow goes where an answer leads, and fills in the authority's pages, until an answer leads nowhere.
func (b *browser) follow(a told) told {
	b.t.Helper()
	unescape := strings.NewReplacer("&amp;", "&", "&#34;", `"`, "&#39;", "'", "&#43;", "+").Replace
	for range 12 {
		if to := a.header.Get("Location"); to != "" {
			next, err := a.at.Parse(to)
			must(b.t, err)
			a = b.do(http.MethodGet, next.String(), "")
			continue
		}
		form := url.Values{}
		for _, m := range hidden.FindAllStringSubmatch(a.body, -1) {
			form.Set(unescape(m[1]), unescape(m[2]))
		}
		switch {
		case strings.Contains(a.body, `name="password"`):
			form.Set("login", "ada")
			form.Set("password", password)
		case strings.Contains(a.body, `value="allow"`):
			form.Set("answer", "allow")
		default:
			return a
		}
		to := a.at
		if m := action.FindStringSubmatch(a.body); m != nil {
			var err error
			to, err = to.Parse(unescape(m[1]))
			must(b.t, err)
		}
		a = b.do(http.MethodPost, to.String(), form.Encode())
	}
	b.t.Fatal("redirects without end")
	return a
}

// signIn takes the browser through the real pages.
func (b *browser) signIn() *browser {
	b.t.Helper()
	if a := b.follow(b.do(http.MethodGet, "/auth/sign-in?return_to=/", "")); a.status != http.StatusOK || !strings.Contains(a.body, "Shop") {
		b.t.Fatalf("signing in ends with %d at %s: %s", a.status, a.at, a.body)
	}
	return b
}

// cookie is the session cookie's value, "" without one.
func (b *browser) cookie() string {
	u, err := url.Parse(b.public)
	must(b.t, err)
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == "jeton-bff" {
			return c.Value
		}
	}
	return ""
}

// who is the answer of the session route.
func (b *browser) who() map[string]any {
	b.t.Helper()
	a := b.do(http.MethodGet, "/auth/session", "")
	var v map[string]any
	if json.Unmarshal([]byte(a.body), &v) != nil || a.status != http.StatusOK {
		b.t.Fatalf("%d %s", a.status, a.body)
	}
	return v
}

// wantSession checks that the cookie and the session behind it are there, or are not.
func (b *browser) wantSession(what string, want bool) {
	b.t.Helper()
	if got := b.who()["signed_in"] == true; got != want {
		b.t.Errorf("%s: signed in %v, want %v", what, got, want)
	}
}

func (a told) wants(t *testing.T, status int, reason string) {
	t.Helper()
	if a.status != status || a.header.Get("Jeton-Reason") != reason {
		t.Errorf("%s: %d %q, want %d %q: %s", a.at.Path, a.status, a.header.Get("Jeton-Reason"), status, reason, a.body)
	}
	if a.status >= 400 && a.header.Get("Set-Cookie") != "" {
		t.Errorf("%s: a refusal touches the cookie", a.at.Path)
	}
}

func (a told) seen(t *testing.T) seen {
	t.Helper()
	var s seen
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.status != http.StatusOK {
		t.Fatalf("%s: %d %s", a.at.Path, a.status, a.body)
	}
	return s
}
