package web_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/flow"
	"github.com/jetonhq/jeton/internal/notme"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/internal/web"
	"github.com/jetonhq/jeton/oauth"
)

const (
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	password  = "correct horse battery staple"
)

// passwordHash is the stored form of password, made once for all tests.
var passwordHash = sync.OnceValue(func() string {
	salt := secret.Bytes(16)
	text := base64.RawStdEncoding.EncodeToString
	return "$argon2id$v=19$m=19456,t=2,p=1$" + text(salt) + "$" + text(argon2.IDKey([]byte(password), salt, 2, 19456, 1, 32))
})

// site is the real pages over a real store, and a stand-in for the clients
// that people return to.
type site struct {
	t        *testing.T
	url      string // the issuer
	app      string // origin of the clients' callbacks
	store    *sqlite.Store
	accounts *accounts.Service
	notMe    *notme.Service
	ada, bob authority.Account
	hints    hints
	log      *lockedBuffer
	answers  chan url.Values // what arrived at the clients
	onward   string          // where the clients' server goes on to, if anywhere
	server   *httptest.Server
}

// hints answers for ID tokens by name, so that these tests need no keys.
type hints map[string]tokens.Hint

func (h hints) IDTokenHint(_ context.Context, token string) (tokens.Hint, error) {
	if hint, ok := h[token]; ok {
		return hint, nil
	}
	return tokens.Hint{}, errors.New("not signed by us")
}

// revoker commits revocations as the mint would.
type revoker struct{ store *sqlite.Store }

func (r revoker) Revoke(ctx context.Context, v authority.Revocation) error {
	v.Now = time.Now()
	v.Until = v.Now.Add(time.Hour)
	_, err := r.store.Revoke(ctx, v)
	return err
}

type options struct {
	path   string // of the issuer
	secure bool
}

func newSite(t *testing.T, o options) *site {
	t.Helper()
	ctx := t.Context()
	s := &site{t: t, hints: hints{}, log: &lockedBuffer{}, answers: make(chan url.Values, 10)}
	var err error
	if s.store, err = sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.store.Close() })
	logger := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if s.accounts, err = accounts.New(accounts.Config{Accounts: s.store, Sessions: s.store, Events: s.store, Revoker: revoker{s.store}, Apps: s.store, Logger: logger}); err != nil {
		t.Fatal(err)
	}
	s.ada, s.bob = s.person("ada", "Ada Lovelace"), s.person("bob", "")

	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		s.answers <- r.Form
		if s.onward != "" {
			http.Redirect(w, r, s.onward, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "<!doctype html><title>arrived</title><h1>arrived</h1>")
	}))
	t.Cleanup(app.Close)
	s.app = app.URL
	registered, err := clients.New(clients.Config{Store: s.store, Revoker: revoker{s.store}, DefaultAudience: "https://api.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	s.client(authority.Client{ID: "reports", Name: "Reports", AuthMethod: oauth.ClientSecretBasic})
	s.client(authority.Client{ID: "own", Name: "Intranet", AuthMethod: oauth.ClientSecretBasic, FirstParty: true})
	s.client(authority.Client{ID: "evil", Name: `<script>alert("x")</script>`, AuthMethod: oauth.ClientSecretBasic})
	s.client(authority.Client{ID: "phone", Name: "Phone", AuthMethod: oauth.NoAuthentication, Native: true, RedirectURIs: []string{"com.example.phone:/cb"}})

	mux := http.NewServeMux()
	s.server = httptest.NewUnstartedServer(mux)
	if o.secure {
		s.server.StartTLS()
	} else {
		s.server.Start()
	}
	t.Cleanup(s.server.Close)
	s.url = s.server.URL + o.path
	key := secret.Bytes(32)
	decider, err := flow.New(flow.Config{
		Issuer: s.url, Clients: registered, Store: s.store, Hints: s.hints,
		Key:     func() (string, []byte) { return "k1", key },
		KeyByID: func(id string) ([]byte, bool) { return key, id == "k1" },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.notMe = notme.New(notme.Config{Store: s.store, Revoker: revoker{s.store}, Keys: linkKey(key)})
	pages, err := web.New(web.Config{
		Issuer: s.url, Flow: decider, Accounts: s.accounts, NotMe: s.notMe, Name: "Example ID", Logger: logger,
		Addr:      func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") },
		RequestID: func(context.Context) string { return "req-4711" },
		Scopes:    map[string]string{"reports:read": "Read your reports"},
	})
	if err != nil {
		t.Fatal(err)
	}
	pages.Mount(mux)
	return s
}

func (s *site) person(login, name string) authority.Account {
	s.t.Helper()
	a, err := s.accounts.Create(s.t.Context(), authority.System, accounts.NewAccount{
		Login: login, Name: name, Email: login + "@example.com", PasswordHash: passwordHash(),
	}, "test")
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *site) client(c authority.Client) {
	s.t.Helper()
	now := time.Now()
	if c.RedirectURIs == nil {
		c.RedirectURIs = []string{s.app + "/cb"}
	}
	c.PostLogoutRedirectURIs = []string{s.app + "/bye"}
	c.GrantTypes = []string{oauth.AuthorizationCode, oauth.RefreshToken}
	c.Scope = []string{"openid", "profile", "email", "offline_access", "reports:read", "x:y"}
	c.CreatedAt, c.UpdatedAt = now, now
	event := authority.Event{ID: secret.NewID(now), Type: authority.EventClientCreated, Actor: authority.System}
	if err := s.store.CreateClient(s.t.Context(), c, event); err != nil {
		s.t.Fatal(err)
	}
}

// authorize is the address of a good request, changed by pairs of name and value.
func (s *site) authorize(client string, pairs ...string) string {
	return s.url + "/authorize?" + s.request(client, pairs...).Encode()
}

func (s *site) request(client string, pairs ...string) url.Values {
	v := url.Values{
		"client_id": {client}, "redirect_uri": {s.app + "/cb"}, "response_type": {"code"}, "scope": {"openid reports:read"},
		"state": {"s1"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// visitor is a browser without a screen: it keeps cookies, and follows
// redirects one at a time.
type visitor struct {
	*site
	http *http.Client
	page *page
}

type page struct {
	status int
	header http.Header
	url    *url.URL
	body   string
}

func (s *site) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &visitor{site: s, http: &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, // #nosec G402 -- the test's own server
	}}
}

func (v *visitor) do(r *http.Request) *page {
	v.t.Helper()
	response, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.page = &page{response.StatusCode, response.Header, r.URL, string(body)}
	return v.page
}

func (v *visitor) new(method, address, body string) *http.Request {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// get opens an address and follows redirects within the site.
func (v *visitor) get(address string) *page {
	v.t.Helper()
	return v.follow(v.do(v.new(http.MethodGet, address, "")))
}

// follow goes on while redirects stay within the site.
func (v *visitor) follow(p *page) *page {
	v.t.Helper()
	for range 10 {
		location := p.header.Get("Location")
		if location == "" {
			return p
		}
		if p.status != http.StatusSeeOther {
			v.t.Errorf("%s redirects with %d, want 303", p.url.Path, p.status)
		}
		next, err := p.url.Parse(location)
		if err != nil {
			v.t.Fatal(err)
		}
		if !strings.HasPrefix(next.String(), v.server.URL+"/") {
			return p
		}
		p = v.do(v.new(http.MethodGet, next.String(), ""))
	}
	v.t.Fatal("redirects without end")
	return nil
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
var action = regexp.MustCompile(`<form method="post" action="([^"]*)"`)

// submit posts the page's form, as a browser would, and follows.
func (v *visitor) submit(pairs ...string) *page {
	v.t.Helper()
	return v.follow(v.do(v.form(pairs...)))
}

func (v *visitor) form(pairs ...string) *http.Request {
	v.t.Helper()
	fields := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(v.page.body, -1) {
		fields.Set(unescape(m[1]), unescape(m[2]))
	}
	for i := 0; i < len(pairs); i += 2 {
		fields.Set(pairs[i], pairs[i+1])
	}
	address := v.page.url
	if m := action.FindStringSubmatch(v.page.body); m != nil {
		var err error
		if address, err = address.Parse(unescape(m[1])); err != nil {
			v.t.Fatal(err)
		}
	}
	r := v.new(http.MethodPost, address.String(), fields.Encode())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func unescape(s string) string {
	return strings.NewReplacer("&amp;", "&", "&#34;", `"`, "&#39;", "'", "&#43;", "+", "&lt;", "<", "&gt;", ">").Replace(s)
}

// signIn signs ada in at the page the visitor is on.
func (v *visitor) signIn() *page { return v.submit("login", "ada", "password", password) }

// signedIn is a visitor who has signed in as ada.
func (s *site) signedIn() *visitor {
	s.t.Helper()
	v := s.visitor()
	v.get(s.url + "/signin")
	if p := v.signIn(); !strings.Contains(p.body, "You are signed in") {
		s.t.Fatalf("sign-in led to %d %s", p.status, p.body)
	}
	return v
}

func (v *visitor) cookie() string {
	u, err := url.Parse(v.server.URL)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.http.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "jeton") {
			return c.Value
		}
	}
	return ""
}

// answer is what the page sends to the client by redirect.
func (p *page) answer(t *testing.T) url.Values {
	t.Helper()
	u, err := url.Parse(p.header.Get("Location"))
	if err != nil || u.Path != "/cb" && u.Opaque == "" && p.header.Get("Location") == "" {
		t.Fatalf("no answer but %d at %s: %s", p.status, p.url.Path, p.body)
	}
	return u.Query()
}

func (p *page) wantPage(t *testing.T, status int, text string) {
	t.Helper()
	if p.status != status || !strings.Contains(p.body, text) || p.header.Get("Location") != "" {
		t.Errorf("%s: got %d, Location %q, want %d with %q in\n%s", p.url.Path, p.status, p.header.Get("Location"), status, text, p.body)
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
