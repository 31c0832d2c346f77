package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/internal/traces"
	"github.com/jetonhq/jeton/oauth"
)

const (
	password = "correct horse battery staple"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	wrong    = "wrong-verifier-of-the-right-length-0123456789"

	api     = "https://api.example.com"     // audience of the clients' tokens
	billing = "https://billing.example.com" // another one
)

// passwordHash is the stored form of password, made once for all tests.
var passwordHash = sync.OnceValue(func() string {
	salt := secret.Bytes(16)
	text := base64.RawStdEncoding.EncodeToString
	return "$argon2id$v=19$m=19456,t=2,p=1$" + text(salt) + "$" + text(argon2.IDKey([]byte(password), salt, 2, 19456, 1, 32))
})

// sealing opens the keys of every server under test.
var sealing = sync.OnceValue(func() secret.Value {
	return secret.New(base64.StdEncoding.EncodeToString(secret.Bytes(32)))
})

// template is a database in which a server has made its keys. Every test starts
// from a copy, because making RSA keys takes longer than most tests.
var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "jeton-template-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cfg := config.Default()
	cfg.Issuer = "http://127.0.0.1:1"
	cfg.Store.URL = "sqlite:" + filepath.Join(dir, "jeton.db")
	cfg.SealingKey = sealing()
	s, err := server.Open(context.Background(), cfg, server.Options{})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "jeton.db")) // #nosec G304 -- made above
})

// clock is a time that tests move. It stands still, or runs from when it was
// started.
type clock struct {
	mu      sync.Mutex
	now     time.Time // guarded by mu, as is started
	started time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started.IsZero() {
		return c.now.Add(time.Since(c.started))
	}
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// options of a world. The zero value is what most tests want.
type options struct {
	path string // of the issuer
	edit func(*config.Config)
	runs bool // the clock runs
	// traces of requests, for a collector of the test.
	traces *traces.Provider
}

// world is the real server on the real store, with people and clients in it.
type world struct {
	t      testing.TB
	clock  *clock
	server *server.Server
	parts  server.Parts
	origin string // scheme, host and port of the public listener
	issuer string
	manage string // of the management listener
	admin  string // token of the admin API
	file   string // the database
	log    *lockedBuffer
	http   *http.Client
	person authority.Account

	config         config.Config
	logger         *slog.Logger
	traces         *traces.Provider
	public, within atomic.Pointer[http.Handler] // of the two listeners

	mu      sync.Mutex
	secrets map[string]string // guarded by mu: what must never be printed, by what it is
	errors  []string          // guarded by mu: bodies of refusals
	keys    map[string]string // client id to secret, "" for public ones
}

func newWorld(t testing.TB, o options) *world {
	t.Helper()
	w := &world{
		t: t, clock: &clock{now: time.Now().Truncate(time.Second)}, log: &lockedBuffer{},
		secrets: make(map[string]string), keys: make(map[string]string), traces: o.traces,
	}
	if o.runs {
		w.clock.now, w.clock.started = time.Now(), time.Now()
	}
	database, err := template()
	if err != nil {
		t.Fatal(err)
	}
	w.file = filepath.Join(t.TempDir(), "jeton.db")
	if err := os.WriteFile(w.file, database, 0o600); err != nil {
		t.Fatal(err)
	}
	// The issuer is the listener's own address, which is known only now.
	w.origin = serve(t, &w.public)
	w.manage = serve(t, &w.within)
	w.issuer = w.origin + o.path
	w.admin = secret.Token("").Reveal()
	w.remember("admin token", w.admin)

	cfg := config.Default()
	cfg.Issuer = w.issuer
	cfg.Store.URL = "sqlite:" + w.file
	cfg.SealingKey = sealing()
	cfg.Manage.AdminToken = secret.New(w.admin)
	cfg.Feed.Heartbeat = 50 * time.Millisecond
	cfg.Tokens.AccessJitter = 0
	if o.edit != nil {
		o.edit(&cfg)
	}
	w.logger = slog.New(server.WithRequestID(slog.NewJSONHandler(io.MultiWriter(w.log, watched.Log("log of "+t.Name())), &slog.HandlerOptions{Level: slog.LevelDebug})))
	w.config = cfg
	w.start()
	t.Cleanup(func() {
		w.stop()
		w.wantNothingLeaked()
	})
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	w.http = &http.Client{
		Transport:     watched.Transport(t.Name(), transport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	w.populate()
	return w
}

// start opens the server on what the last one left.
func (w *world) start() {
	w.t.Helper()
	var err error
	w.server, err = server.Open(context.Background(), w.config, server.Options{Logger: w.logger, Now: w.clock.Now, Traces: w.traces})
	must(w.t, err)
	w.parts = w.server.Parts()
	public, within := w.server.Handler(), w.server.ManageHandler()
	w.public.Store(&public)
	w.within.Store(&within)
}

// stop closes the server. Requests are cut off until it starts again.
func (w *world) stop() {
	w.t.Helper()
	var nobody http.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	w.public.Store(&nobody)
	w.within.Store(&nobody)
	if w.server == nil {
		return
	}
	if err := w.server.Close(); err != nil {
		w.t.Error(err)
	}
	w.server = nil
}

// serve listens before there is something to serve.
func serve(t testing.TB, h *atomic.Pointer[http.Handler]) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*h.Load()).ServeHTTP(w, r) }))
	t.Cleanup(s.Close)
	return s.URL
}

var everything = []string{"openid", "profile", "email", "offline_access", "read", "write"}

// populate registers the cast of most tests.
func (w *world) populate() {
	w.t.Helper()
	both := []string{oauth.AuthorizationCode, oauth.RefreshToken}
	callback := []string{"https://app.example.com/cb"}
	w.client(clients.Spec{ID: "web", Name: "Web", GrantTypes: both, RedirectURIs: callback, Scope: everything, Audience: api,
		PostLogoutRedirectURIs: []string{"https://app.example.com/bye"}})
	w.client(clients.Spec{ID: "other", GrantTypes: both, RedirectURIs: callback, Scope: everything, Audience: api})
	w.client(clients.Spec{ID: "spa", AuthMethod: oauth.NoAuthentication, GrantTypes: both,
		RedirectURIs: []string{"https://spa.example.com/cb"}, Scope: everything, Audience: api})
	w.client(clients.Spec{ID: "machine", GrantTypes: []string{oauth.ClientCredentials}, Scope: []string{"read", "write"}, Audience: api})
	w.client(clients.Spec{ID: "post", AuthMethod: oauth.ClientSecretPost, GrantTypes: []string{oauth.ClientCredentials}, Scope: []string{"read"}})
	w.client(clients.Spec{ID: "reports-api"})
	w.client(clients.Spec{ID: "billing-api"})
	for id, audience := range map[string]string{"reports-api": api, "billing-api": billing} {
		_, _, err := w.parts.Clients.PutResource(w.t.Context(), authority.System,
			clients.ResourceSpec{Audience: audience, Scope: []string{"read", "write"}, ClientID: id}, "test")
		must(w.t, err)
	}
	w.person = w.account("ada", "Ada Lovelace")
}

func (w *world) client(s clients.Spec) {
	w.t.Helper()
	c, plain, err := w.parts.Clients.Create(w.t.Context(), authority.System, s, "test")
	must(w.t, err)
	w.keys[c.ID] = plain.Reveal()
	w.remember("secret of "+c.ID, plain.Reveal())
}

func (w *world) account(login, name string) authority.Account {
	w.t.Helper()
	w.remember("password", password)
	a, err := w.parts.Accounts.Create(w.t.Context(), authority.System, accounts.NewAccount{
		Login: login, Name: name, Email: login + "@example.com", EmailVerified: true, PasswordHash: passwordHash(),
	}, "test")
	must(w.t, err)
	return a
}

// session signs a person in, without the pages.
func (w *world) session(of authority.Account) authority.Session {
	w.t.Helper()
	now := w.clock.Now()
	s := authority.Session{
		ID: secret.NewID(now), AccountID: of.ID, Digest: secret.Digest(secret.Token("").Reveal()), AuthTime: now, AMR: []string{"pwd"},
		CreatedAt: now, LastSeen: now, IdleUntil: now.Add(24 * time.Hour), ExpiresAt: now.Add(24 * time.Hour),
	}
	must(w.t, w.parts.Store.CreateSession(w.t.Context(), s, secret.ID{}, w.event(authority.EventSignedIn)))
	return s
}

func (w *world) event(kind authority.EventType) authority.Event {
	return authority.Event{ID: secret.NewID(w.clock.Now()), Type: kind, Actor: authority.System}
}

// code makes an authorization code as internal/flow does, changed by edit.
func (w *world) code(client string, edit ...func(*authority.Code)) string {
	w.t.Helper()
	c, err := w.parts.Clients.Lookup(w.t.Context(), client)
	must(w.t, err)
	now := w.clock.Now()
	id := secret.NewID(now)
	value := tokens.NewCode(id)
	code := authority.Code{
		ID: id, Digest: secret.Digest(value.Reveal()), ClientID: client, AccountID: w.person.ID,
		Challenge: oauth.Challenge(verifier), Scope: []string{"read", "write"}, Audience: []string{w.parts.Clients.AudienceOf(c)},
		AuthTime: now, AMR: []string{"pwd"}, CreatedAt: now, ExpiresAt: now.Add(time.Minute),
	}
	if len(c.RedirectURIs) > 0 {
		code.RedirectURI = c.RedirectURIs[0]
	}
	for _, f := range edit {
		f(&code)
	}
	if code.SessionID.IsZero() {
		code.SessionID = w.session(w.person).ID
	}
	must(w.t, w.parts.Store.CreateCode(w.t.Context(), code, nil, nil))
	w.remember("code", value.Reveal())
	return value.Reveal()
}

func scope(names ...string) func(*authority.Code) {
	return func(c *authority.Code) { c.Scope = names }
}

func in(s authority.Session) func(*authority.Code) {
	return func(c *authority.Code) { c.SessionID, c.AccountID = s.ID, s.AccountID }
}

// remember keeps a secret that must turn up in no log and no refusal.
func (w *world) remember(what, value string) {
	if value == "" {
		return
	}
	watched.Secret(what, value)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets[value] = what
	if parts := strings.Split(value, "."); len(parts) == 3 {
		w.secrets[parts[2]] = "signature of " + what
	}
}

// wantNothingLeaked holds every log line and every refusal of the test against
// every secret it used.
func (w *world) wantNothingLeaked() {
	w.t.Helper()
	log := w.log.String()
	w.mu.Lock()
	defer w.mu.Unlock()
	refusals := strings.Join(w.errors, "\n")
	for value, what := range w.secrets {
		if strings.Contains(log, value) {
			w.t.Errorf("the log has a %s", what)
		}
		if strings.Contains(refusals, value) {
			w.t.Errorf("a refusal has a %s", what)
		}
	}
}

// answer is what came back.
type answer struct {
	t      testing.TB
	what   string
	status int
	header http.Header
	body   string
	json   map[string]any // nil unless the body is a JSON object
}

// do sends a request and reads the whole answer. It may be called from any
// goroutine.
func (w *world) do(r *http.Request) answer {
	response, err := w.http.Do(r)
	if err != nil {
		w.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		return answer{t: w.t, what: r.URL.Path}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	a := answer{t: w.t, what: r.Method + " " + r.URL.Path, status: response.StatusCode, header: response.Header, body: string(body)}
	if strings.Contains(a.header.Get("Content-Type"), "json") {
		_ = json.Unmarshal(body, &a.json)
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		w.remember(name, a.text(name))
	}
	if reason := a.header.Get("Jeton-Reason"); reason != "" {
		_, atAPI := oauth.ReasonAt(oauth.AtAPI, reason)
		_, atAuthority := oauth.ReasonAt(oauth.AtAuthority, reason)
		if !atAPI && !atAuthority {
			w.t.Errorf("%s: the reason %q is in no table", a.what, reason)
		}
	}
	if a.status >= 400 {
		w.mu.Lock()
		w.errors = append(w.errors, a.body+fmt.Sprint(a.header))
		w.mu.Unlock()
	}
	return a
}

func (w *world) request(method, path, body string) *http.Request {
	w.t.Helper()
	address := path
	if !strings.HasPrefix(path, "http://") {
		address = w.issuer + path
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(body))
	must(w.t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func (w *world) get(path string) answer {
	w.t.Helper()
	return w.do(w.request(http.MethodGet, path, ""))
}

// form is a POST by a client with its credentials: Basic for a confidential
// one, its id alone for a public one, nothing for "".
func (w *world) form(path, as string, pairs ...string) *http.Request {
	w.t.Helper()
	form := values(pairs...)
	key, known := w.keys[as]
	if known && key == "" {
		form.Set("client_id", as)
	}
	r := w.request(http.MethodPost, path, form.Encode())
	if key != "" {
		r.SetBasicAuth(url.QueryEscape(as), url.QueryEscape(key))
	}
	return r
}

func (w *world) post(path, as string, pairs ...string) answer {
	w.t.Helper()
	return w.do(w.form(path, as, pairs...))
}

func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// redeem presents a code with the right verifier.
func (w *world) redeem(client, code string, pairs ...string) answer {
	w.t.Helper()
	return w.post("/token", client, append([]string{"grant_type", "authorization_code", "code", code, "code_verifier", verifier}, pairs...)...)
}

func (w *world) refresh(client, token string, pairs ...string) answer {
	w.t.Helper()
	return w.post("/token", client, append([]string{"grant_type", "refresh_token", "refresh_token", token}, pairs...)...)
}

// signedIn is the answer to a fresh code of the client.
func (w *world) signedIn(client string, edit ...func(*authority.Code)) answer {
	w.t.Helper()
	return w.redeem(client, w.code(client, edit...)).ok()
}

func (w *world) machine() string {
	w.t.Helper()
	return w.post("/token", "machine", "grant_type", "client_credentials").ok().text("access_token")
}

// introspect asks as the resource of the clients' audience.
func (w *world) introspect(token string) answer {
	w.t.Helper()
	return w.post("/introspect", "reports-api", "token", token).ok()
}

func (w *world) wantAlive(what, token string) {
	w.t.Helper()
	if a := w.introspect(token); a.json["active"] != true {
		w.t.Errorf("%s is dead, want alive", what)
	}
}

func (w *world) wantDead(what, token string) {
	w.t.Helper()
	if a := w.introspect(token); strings.TrimSpace(a.body) != `{"active":false}` {
		w.t.Errorf("%s: introspection says %s, want exactly {\"active\":false}", what, a.body)
	}
}

func (w *world) userinfo(token string) answer {
	w.t.Helper()
	r := w.request(http.MethodGet, "/userinfo", "")
	r.Header.Set("Authorization", "Bearer "+token)
	return w.do(r)
}

// events are the events of a type, newest first.
func (w *world) events(kind authority.EventType) []authority.Event {
	w.t.Helper()
	found, err := w.parts.Store.Events(w.t.Context(), authority.EventFilter{Type: kind}, authority.Page{})
	must(w.t, err)
	return found
}

func (w *world) wantEvents(kind authority.EventType, n int) {
	w.t.Helper()
	if got := len(w.events(kind)); got != n {
		w.t.Errorf("%d events %s, want %d", got, kind, n)
	}
}

// sessionAlive reports whether a session can still be used.
func (w *world) sessionAlive(id secret.ID) bool {
	w.t.Helper()
	s, err := w.parts.Store.Session(w.t.Context(), id)
	must(w.t, err)
	return s.Live(w.clock.Now())
}

func (a answer) text(name string) string {
	s, _ := a.json[name].(string)
	return s
}

// ok fails the test at once unless the answer is 200.
func (a answer) ok() answer {
	a.t.Helper()
	if a.status != http.StatusOK {
		a.t.Fatalf("%s: got %d %s, want 200", a.what, a.status, a.body)
	}
	return a
}

// refused checks an error of RFC 6749 section 5.2 with everything that must be
// true of each.
func (a answer) refused(status int, code oauth.Code) {
	a.t.Helper()
	if a.status != status || a.json["error"] != string(code) {
		a.t.Errorf("%s: got %d %s, want %d %s", a.what, a.status, a.body, status, code)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		a.t.Errorf("%s: Cache-Control %q", a.what, a.header.Get("Cache-Control"))
	}
	if a.header.Get("Content-Type") != "application/json" {
		a.t.Errorf("%s: Content-Type %q", a.what, a.header.Get("Content-Type"))
	}
	if code == oauth.InvalidClient && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), `Basic realm="`) {
		a.t.Errorf("%s: WWW-Authenticate %q", a.what, a.header.Get("WWW-Authenticate"))
	}
	reason, known := oauth.ReasonAt(oauth.AtAuthority, a.text("reason"))
	if !known || reason.Error != code || reason.Status != status && status != http.StatusForbidden || a.header.Get("Jeton-Reason") != reason.Code {
		a.t.Errorf("%s: reason %q (header %q) is not that of the table for %d %s", a.what, a.text("reason"), a.header.Get("Jeton-Reason"), status, code)
	}
	for name, value := range a.json {
		text, isText := value.(string)
		if !isText || !slices.Contains([]string{"error", "error_description", "error_uri", "reason"}, name) {
			a.t.Errorf("%s: the body has %s: %v", a.what, name, value)
		}
		if text != oauth.Printable(text) {
			a.t.Errorf("%s: %s has characters that it must not have: %q", a.what, name, text)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lockedBuffer collects the log of handlers that run at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
