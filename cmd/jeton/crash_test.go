package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"html"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // reads the file the server left behind

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/oauth"
)

// crashRounds is how often the server is killed. Short runs do a few.
func crashRounds() int {
	if testing.Short() {
		return 5
	}
	return 50
}

// What was answered is there after kill -9: every issued token is active unless
// its revocation was asked for, every answered revocation holds, every last
// answered refresh token works, and the file is sound.
func TestKill_NothingAnsweredIsLost(t *testing.T) {
	binary := build(t)
	data := t.TempDir()
	ports := [3]string{freeAddress(t), freeAddress(t), freeAddress(t)} // kept, because the issuer is in the tokens
	w := &crashWorld{t: t, asked: make(map[string]bool), revoked: make(map[string]bool)}
	var rng = rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano()))) // #nosec G404 -- when to kill
	for round := range crashRounds() {
		d, kill := startDev(t, binary, data, ports)
		w.verify(d, round)
		if len(w.chains) == 0 {
			for range 4 {
				w.chains = append(w.chains, &chain{token: signIn(t, d)})
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { w.issue(ctx, d) })
		}
		for _, c := range w.chains {
			wg.Go(func() { c.refresh(ctx, d) })
		}
		time.Sleep(time.Duration(20+rng.IntN(400)) * time.Millisecond) // the moment of death is the input
		kill()
		cancel()
		wg.Wait()
	}
	d, kill := startDev(t, binary, data, ports)
	w.verify(d, crashRounds())
	kill()
	integrity(t, filepath.Join(data, "jeton.db"))
	if w.issued == 0 || len(w.revoked) == 0 || w.chains[0].steps == 0 {
		t.Fatalf("the load did nothing: %d issued, %d revoked, %d refreshed", w.issued, len(w.revoked), w.chains[0].steps)
	}
	t.Logf("%d tokens, %d revocations, %d refreshes over %d kills", w.issued, len(w.revoked), w.chains[0].steps, crashRounds())
}

// startDev runs jeton dev and waits until it has written dev.json
// and answers. kill is kill -9.
func startDev(t *testing.T, binary, data string, ports [3]string) (d config.DevFile, kill func()) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, "dev", "--data", data, // #nosec G204 -- the binary under test
		"--listen", ports[0], "--api-listen", ports[1], "--manage-listen", ports[2])
	cmd.Stderr = io.MultiWriter(&log, watched.Log("standard error of "+t.Name()))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill = func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	t.Cleanup(kill)
	// The transcript is printed when everything is in place.
	first := make([]byte, 1)
	if _, err := io.ReadFull(out, first); err != nil {
		kill()
		t.Fatalf("jeton dev did not start: %v\n%s", err, log.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if d, err = config.ReadDevFile(data); err != nil {
		t.Fatal(err)
	}
	return d, kill
}

// freeAddress is a loopback address that nobody listens on at the moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

type crashWorld struct {
	t *testing.T

	mu      sync.Mutex
	tokens  []answered      // guarded by mu, as are the fields below
	asked   map[string]bool // revocation was asked for
	revoked map[string]bool // revocation was answered
	issued  int

	chains []*chain
}

type answered struct {
	token string
	at    time.Time
}

// issue gets tokens and revokes every third, until the server is gone.
func (w *crashWorld) issue(ctx context.Context, d config.DevFile) {
	for i := 0; ctx.Err() == nil; i++ {
		var token oauth.TokenResponse
		if !post(ctx, d.Issuer+"/token", d.Clients.Machine, url.Values{"grant_type": {"client_credentials"}}, &token) {
			return
		}
		w.mu.Lock()
		w.issued++
		w.tokens = append(w.tokens, answered{token.AccessToken, time.Now()})
		if i%3 == 0 {
			w.asked[token.AccessToken] = true
		}
		w.mu.Unlock()
		if i%3 != 0 {
			continue
		}
		if !post(ctx, d.Issuer+"/revoke", d.Clients.Machine, url.Values{"token": {token.AccessToken}}, nil) {
			return
		}
		w.mu.Lock()
		w.revoked[token.AccessToken] = true
		w.mu.Unlock()
	}
}

// verify holds the restarted server to everything it answered before.
func (w *crashWorld) verify(d config.DevFile, round int) {
	w.t.Helper()
	resource := config.DevClient{ID: d.Resource.ID, Secret: d.Resource.Secret}
	for _, a := range w.tokens {
		if time.Since(a.at) > 4*time.Minute {
			continue // may have expired
		}
		var state oauth.Introspection
		if !post(w.t.Context(), d.Issuer+"/introspect", resource, url.Values{"token": {a.token}}, &state) {
			w.t.Fatalf("round %d: introspection failed", round)
		}
		switch {
		case w.revoked[a.token] && state.Active:
			w.t.Fatalf("round %d: an answered revocation is lost", round)
		case !w.asked[a.token] && !state.Active:
			w.t.Fatalf("round %d: an answered token is not active", round)
		}
	}
	w.tokens = nil
	for _, c := range w.chains {
		c.mu.Lock()
		if c.lost {
			w.t.Fatalf("round %d: an answered refresh token was refused", round)
		}
		c.mu.Unlock()
	}
}

// chain is one sign-in that is refreshed on and on, across kills.
type chain struct {
	mu    sync.Mutex
	token string // guarded by mu, as are the fields below: the last that was answered
	steps int
	lost  bool
}

func (c *chain) refresh(ctx context.Context, d config.DevFile) {
	for ctx.Err() == nil {
		c.mu.Lock()
		token := c.token
		c.mu.Unlock()
		var next oauth.TokenResponse
		req := request(ctx, d.Issuer+"/token", d.Clients.Web, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return // killed under way
		}
		err = json.NewDecoder(resp.Body).Decode(&next)
		_ = resp.Body.Close()
		if err != nil {
			return
		}
		c.mu.Lock()
		if resp.StatusCode == http.StatusOK {
			c.token = next.RefreshToken
			c.steps++
		} else if resp.StatusCode == http.StatusBadRequest {
			c.lost = true
		}
		c.mu.Unlock()
	}
}

func request(ctx context.Context, target string, c config.DevClient, form url.Values) *http.Request {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	return req
}

// post reports whether the server answered 200.
func post(ctx context.Context, target string, c config.DevClient, form url.Values, into any) bool {
	resp, err := http.DefaultClient.Do(request(ctx, target, c, form))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return false
	}
	return into == nil || json.Unmarshal(body, into) == nil
}

// signIn takes the example's person through the real pages and redeems the
// code.
func signIn(t *testing.T, d config.DevFile) (refreshToken string) {
	t.Helper()
	var code string
	browser := &http.Client{Jar: newJar(t), CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), d.Clients.Web.RedirectURI) {
			code = r.URL.Query().Get("code")
			return http.ErrUseLastResponse
		}
		return nil
	}}
	verifier := strings.Repeat("v", 43)
	page := get(t, browser, d.Issuer+"/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {d.Clients.Web.ID}, "redirect_uri": {d.Clients.Web.RedirectURI},
		"scope": {"reports:read offline_access openid"}, "prompt": {"consent"},
		"code_challenge": {oauth.Challenge(verifier)}, "code_challenge_method": {"S256"},
	}.Encode())
	page = submit(t, browser, page, url.Values{"login": {d.User.Login}, "password": {d.User.Password}})
	submit(t, browser, page, url.Values{"answer": {"allow"}})
	if code == "" {
		t.Fatal("no code arrived")
	}
	var tokens oauth.TokenResponse
	if !post(t.Context(), d.Issuer+"/token", d.Clients.Web, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {d.Clients.Web.RedirectURI}, "code_verifier": {verifier},
	}, &tokens) {
		t.Fatal("the code was not redeemed")
	}
	return tokens.RefreshToken
}

func newJar(t *testing.T) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return jar
}

// page is an HTML page and where it is.
type page struct {
	at   *url.URL
	body string
}

func get(t *testing.T, c *http.Client, target string) page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return load(t, c, req)
}

func load(t *testing.T, c *http.Client, req *http.Request) page {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return page{resp.Request.URL, string(body)}
}

var (
	hiddenInput = regexp.MustCompile(`<input[^>]*type="hidden"[^>]*name="([^"]*)"[^>]*value="([^"]*)"`)
)

// submit posts the form of a page, which goes to the page's own address, with
// its hidden fields and ours.
func submit(t *testing.T, c *http.Client, p page, fields url.Values) page {
	t.Helper()
	for _, m := range hiddenInput.FindAllStringSubmatch(p.body, -1) {
		if !fields.Has(m[1]) {
			fields.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.at.String(), strings.NewReader(fields.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return load(t, c, req)
}

func integrity(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("integrity_check: %q, %v", verdict, err)
	}
}
