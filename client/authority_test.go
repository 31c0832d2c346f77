package client

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jetonhq/jeton/oauth"
)

// authority is a token endpoint with one grant whose refresh tokens have generations, as DESIGN 4.2 says:
// the current one rotates, its predecessor gets the same successor again until that is used, an older one
// ends the grant.
type authority struct {
	t        *testing.T
	secret   string        // of the client "app"; "" for a public client
	lifetime time.Duration // of access tokens; default 5 min
	// at is called without the lock at "received", "decided" (rotated or issued, not yet answered) and
	// "answered" (the answer is flushed). It may replace the answer by writing one, and returns true then.
	at func(stage string, w http.ResponseWriter, r *http.Request) bool

	mu           sync.Mutex
	refresh      []string // by generation; the last is the current one
	ended        bool
	requests     int // token requests of any kind
	issued       int // access tokens
	steps        int // rotations
	predecessors int // answers to the predecessor
	replays      int
	authHeader   string // of the last request
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, lifetime: 5 * time.Minute}
	a.refresh = []string{a.mint(0)}
	return a
}

func (a *authority) mint(generation int) string {
	return fmt.Sprintf("jr_%d_%s", generation, rand.Text())
}

func (a *authority) currentRefresh() Secret {
	a.mu.Lock()
	defer a.mu.Unlock()
	return NewSecret(a.refresh[len(a.refresh)-1])
}

// newGrant is another sign-in.
func (a *authority) newGrant() Secret {
	a.mu.Lock()
	a.refresh, a.ended = []string{a.mint(0)}, false
	a.mu.Unlock()
	return a.currentRefresh()
}

func (a *authority) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
}

type counts struct{ Requests, Issued, Steps, Predecessors, Replays int }

func (a *authority) counts() counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return counts{a.requests, a.issued, a.steps, a.predecessors, a.replays}
}

func (a *authority) stage(name string, w http.ResponseWriter, r *http.Request) bool {
	return a.at != nil && a.at(name, w, r)
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.URL.Path != "/token" || r.URL.RawQuery != "" {
		a.t.Errorf("authority: odd request %s %s: %v", r.Method, r.URL, err)
	}
	a.mu.Lock()
	a.requests++
	a.authHeader = r.Header.Get("Authorization")
	a.mu.Unlock()
	if a.stage("received", w, r) {
		return
	}
	status, body := a.decide(r)
	if a.stage("decided", w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
	_ = http.NewResponseController(w).Flush()
	a.stage("answered", w, r)
}

func (a *authority) decide(r *http.Request) (int, any) {
	id, secret, basic := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if !basic {
		id = r.PostForm.Get("client_id")
	}
	if id != "app" || basic == (a.secret == "") || secret != a.secret || basic && r.PostForm.Has("client_id") {
		return http.StatusUnauthorized, oauth.ErrorResponse{Error: oauth.InvalidClient}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	response := oauth.TokenResponse{TokenType: "bearer", ExpiresIn: int64(a.lifetime / time.Second), Scope: "read"}
	if r.PostForm.Get("grant_type") == oauth.RefreshToken {
		if !a.rotate(r.PostForm.Get("refresh_token")) {
			return http.StatusBadRequest, oauth.ErrorResponse{Error: oauth.InvalidGrant}
		}
		response.RefreshToken = a.refresh[len(a.refresh)-1]
	}
	a.issued++
	response.AccessToken = fmt.Sprintf("at-%d", a.issued)
	return http.StatusOK, response
}

// rotate holds a presented refresh token against the generations. The caller holds mu.
func (a *authority) rotate(presented string) bool {
	if a.ended {
		return false
	}
	c := len(a.refresh) - 1
	for g, token := range a.refresh {
		switch {
		case token != presented:
		case g == c:
			a.steps++
			a.refresh = append(a.refresh, a.mint(c+1))
			return true
		case g == c-1:
			a.predecessors++
			return true
		default:
			a.replays++
			a.ended = true
			return false
		}
	}
	return false
}

// direct is a network without sockets, for synctest. A handler that aborts is a reset connection; the answer
// written so far is then lost.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	type result struct {
		resp *http.Response
		err  error
	}
	done := make(chan result, 1)
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	inner := r.Clone(r.Context())
	inner.Body = io.NopCloser(bytes.NewReader(body))
	inner.RequestURI = r.URL.RequestURI()
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- result{nil, io.EOF}
			}
		}()
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, inner)
		resp := w.Result()
		if resp.ContentLength > int64(w.Body.Len()) {
			resp.Body = io.NopCloser(io.MultiReader(w.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
		}
		done <- result{resp, nil}
	}()
	select {
	case got := <-done:
		return got.resp, got.err
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (a *authority) config() Config {
	return Config{
		Issuer: "https://id.example.com", ID: "app", Secret: NewSecret(a.secret),
		HTTPClient: &http.Client{Transport: direct{a}},
	}
}

func (a *authority) credentials(t *testing.T, change func(*Config)) *Keeper {
	t.Helper()
	a.secret = "s3cret"
	c := a.config()
	if change != nil {
		change(&c)
	}
	k, err := Credentials(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (a *authority) refresher(t *testing.T, s Store) *Keeper {
	t.Helper()
	c := a.config()
	c.Store = s
	k, err := Refresh(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustToken(t *testing.T, k *Keeper) Token {
	t.Helper()
	token, err := k.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func wantToken(t *testing.T, k *Keeper, want string) Token {
	t.Helper()
	token := mustToken(t, k)
	if got := token.AccessToken.Reveal(); got != want {
		t.Fatalf("token: got %s, want %s", got, want)
	}
	return token
}

func wantCounts(t *testing.T, a *authority, want counts) {
	t.Helper()
	if got := a.counts(); got != want {
		t.Fatalf("authority: got %+v, want %+v", got, want)
	}
}

// busy is an authority that answers but cannot.
func busy(stage string, w http.ResponseWriter, _ *http.Request) bool {
	if stage == "received" {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.Copy(w, strings.NewReader(`{"error":"temporarily_unavailable"}`))
	}
	return stage == "received"
}

// slow takes its time before it answers.
func slow(d time.Duration) func(string, http.ResponseWriter, *http.Request) bool {
	return func(stage string, _ http.ResponseWriter, _ *http.Request) bool {
		if stage == "received" {
			time.Sleep(d)
		}
		return false
	}
}
