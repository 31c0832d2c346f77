package server

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/bff"
	"github.com/jetonhq/jeton/client"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

//go:embed example.html
var exampleFiles embed.FS

// example is what `jeton dev` guards: an API with a few routes, and the smallest
// web app that signs people in. It knows the authority by its URL only, as any
// other app would.
type example struct {
	dev   config.DevFile
	guard *jeton.Guard
	app   *bff.App // keeps sessions, for routes that take a cookie
	mux   *http.ServeMux
	page  *template.Template
	http  *http.Client
	log   *slog.Logger

	mu      sync.Mutex
	pending map[string]pendingSignIn // guarded by mu: by state
}

// pendingSignIn is a sign-in that this app started.
type pendingSignIn struct {
	verifier string
	nonce    string
	until    time.Time
}

const (
	signInPatience = 10 * time.Minute
	maxPending     = 100
)

func newExample(_ context.Context, d config.DevFile, log *slog.Logger) (*example, error) {
	app, err := bff.New(bff.Config{
		Issuer: d.Issuer, ClientID: d.Clients.BFF.ID, ClientSecret: client.NewSecret(d.Clients.BFF.Secret),
		PublicURL: d.API, Scope: "openid profile reports:read", Claims: []string{"name"}, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("dev: sessions of the example: %w", err)
	}
	guard, err := jeton.NewGuard(jeton.Config{
		Issuer: d.Issuer, Audience: d.Resource.Audience, Client: jeton.ClientSecret(d.Resource.ID, d.Resource.Secret), Sessions: app.Sessions(),
		Logger: log, Scopes: []string{"reports:read", "admin"}, ResourceName: "Example reports API",
	})
	if err != nil {
		return nil, fmt.Errorf("dev: guard of the example API: %w", err)
	}
	page, err := template.ParseFS(exampleFiles, "example.html")
	if err != nil {
		return nil, err
	}
	e := &example{
		dev: d, guard: guard, app: app, mux: http.NewServeMux(), page: page, log: log,
		http: &http.Client{Timeout: 10 * time.Second}, pending: make(map[string]pendingSignIn),
	}
	e.mux.Handle("GET /hello", guard.Require(http.HandlerFunc(hello), jeton.AllowCookie()))
	e.mux.Handle("GET /reports", guard.Require(http.HandlerFunc(reports), jeton.Scope("reports:read"), jeton.AllowCookie()))
	e.mux.Handle("GET /reports/{id}", guard.Require(http.HandlerFunc(reports), jeton.Scope("reports:read")))
	e.mux.Handle("POST /payments", guard.Require(http.HandlerFunc(hello), jeton.SingleUse()))
	e.mux.Handle("POST /transfers", guard.Require(http.HandlerFunc(hello), jeton.AuthAge(5*time.Minute), jeton.AllowCookie()))
	e.mux.Handle("GET /admin", guard.Require(http.HandlerFunc(reports), jeton.Scope("admin")))
	e.mux.Handle("GET "+guard.MetadataPath(), guard.Metadata())
	e.mux.Handle("/auth/", app)
	e.mux.HandleFunc("GET /{$}", e.home)
	e.mux.HandleFunc("GET /login", e.login)
	e.mux.HandleFunc("GET /callback", e.callback)
	return e, nil
}

// Close stops the guard, and the refreshes of sessions.
func (e *example) Close() error { return errors.Join(e.guard.Close(), e.app.Close()) }

func (e *example) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.mux.ServeHTTP(w, r) }

func hello(w http.ResponseWriter, r *http.Request) {
	token := jeton.FromContext(r.Context())
	tell(w, map[string]string{"hello": token.Subject, "client": token.ClientID})
}

func reports(w http.ResponseWriter, r *http.Request) {
	token := jeton.FromContext(r.Context())
	tell(w, map[string]any{
		"for": token.Subject, "reports": []string{"2026-10 revenue", "2026-11 revenue"}, "path": r.URL.Path,
	})
}

// tell answers with JSON. The guard has said that nobody in between may keep it.
func tell(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// shown is what the page shows.
type shown struct {
	Title, Text string
	Issuer, API string
	Person      []claim // of /userinfo
	Claims      []claim // of the ID token
	Answer      string  // of /reports
	SignOut     string
}

// claim is a row of the page.
type claim struct{ Name, Value string }

// claims lists the members of an ID token, with times as people write them.
func claims(payload []byte) ([]claim, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(payload, &members); err != nil {
		return nil, err
	}
	var rows []claim
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := string(members[name])
		var text string
		var seconds int64
		if json.Unmarshal(members[name], &text) == nil {
			value = text
		} else if slices.Contains([]string{"auth_time", "exp", "iat"}, name) && json.Unmarshal(members[name], &seconds) == nil {
			value += "  (" + time.Unix(seconds, 0).Format(time.DateTime) + ")"
		}
		rows = append(rows, claim{name, value})
	}
	return rows, nil
}

func (e *example) show(w http.ResponseWriter, status int, s shown) {
	s.Issuer, s.API = e.dev.Issuer, e.dev.API
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if err := e.page.Execute(w, s); err != nil {
		e.log.Error("example page", "error", err)
	}
}

func (e *example) home(w http.ResponseWriter, _ *http.Request) {
	e.show(w, http.StatusOK, shown{
		Title: "Nobody is signed in",
		Text:  "This app sends you to the authority to sign in, gets a code back, redeems it, and calls an API for you.",
	})
}

// login starts the authorization code flow with PKCE, state and nonce.
func (e *example) login(w http.ResponseWriter, r *http.Request) {
	p := pendingSignIn{verifier: secret.Token("").Reveal(), nonce: secret.Token("").Reveal(), until: time.Now().Add(signInPatience)}
	state := secret.Token("").Reveal()
	e.remember(state, p)
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // not Secure: the example is served over http on loopback
		Name: "example_state", Value: state, Path: "/callback", MaxAge: int(signInPatience.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, e.dev.Issuer+"/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {e.dev.Clients.Web.ID}, "redirect_uri": {e.dev.Clients.Web.RedirectURI},
		"scope": {"openid profile email offline_access reports:read"}, "state": {state}, "nonce": {p.nonce},
		"code_challenge": {oauth.Challenge(p.verifier)}, "code_challenge_method": {oauth.S256},
	}.Encode(), http.StatusSeeOther)
}

func (e *example) remember(state string, p pendingSignIn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s, old := range e.pending {
		if len(e.pending) >= maxPending || time.Now().After(old.until) {
			delete(e.pending, s)
		}
	}
	e.pending[digest(state)] = p
}

// take returns the sign-in that a callback belongs to, once.
func (e *example) take(state string) (pendingSignIn, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := e.pending[digest(state)]
	delete(e.pending, digest(state))
	return p, ok && time.Now().Before(p.until)
}

func digest(s string) string {
	d := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(d[:])
}

// callback finishes a sign-in that login started in this browser. A code that
// was asked for by somebody else (a script that uses the same redirect URI) is
// left alone.
func (e *example) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	cookie, err := r.Cookie("example_state")
	if err != nil || q.Get("state") == "" || cookie.Value != q.Get("state") {
		e.show(w, http.StatusOK, shown{Title: "A code arrived", Text: "This app did not ask for it, so it did not use it."})
		return
	}
	p, ok := e.take(q.Get("state"))
	switch {
	case !ok || q.Get("iss") != e.dev.Issuer: // RFC 9207
		e.show(w, http.StatusBadRequest, shown{Title: "Not signed in", Text: "This sign-in is too old, or was finished already."})
		return
	case q.Get("error") != "":
		e.show(w, http.StatusOK, shown{Title: "Not signed in", Text: "The authority answered: " + q.Get("error")})
		return
	}
	s, err := e.finish(r.Context(), q.Get("code"), p)
	if err != nil {
		e.log.ErrorContext(r.Context(), "example sign-in", "error", err)
		e.show(w, http.StatusBadGateway, shown{Title: "Not signed in", Text: "The code could not be redeemed."})
		return
	}
	e.show(w, http.StatusOK, s)
}

func (e *example) finish(ctx context.Context, code string, p pendingSignIn) (shown, error) {
	form := url.Values{
		"grant_type": {oauth.AuthorizationCode}, "code": {code}, "redirect_uri": {e.dev.Clients.Web.RedirectURI}, "code_verifier": {p.verifier},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.dev.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return shown{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(e.dev.Clients.Web.ID), url.QueryEscape(e.dev.Clients.Web.Secret))
	var tokens oauth.TokenResponse
	if err := e.fetch(req, &tokens); err != nil {
		return shown{}, err
	}
	// The ID token came straight from the authority (OpenID Connect Core section
	// 3.1.3.7, item 6), so reading it is enough; the nonce ties it to this browser.
	id, err := jwt.Parse(tokens.IDToken, 0)
	if err != nil {
		return shown{}, err
	}
	if id.Claims.Nonce != p.nonce || id.Claims.Issuer != e.dev.Issuer {
		return shown{}, fmt.Errorf("the ID token is not for this sign-in")
	}
	answer, err := e.with(ctx, tokens.AccessToken, e.dev.API+"/reports")
	if err != nil {
		return shown{}, err
	}
	info, err := e.with(ctx, tokens.AccessToken, e.dev.Issuer+"/userinfo")
	if err != nil {
		return shown{}, err
	}
	person, err := claims(info)
	if err != nil {
		return shown{}, err
	}
	rows, err := claims(id.Claims.Payload())
	if err != nil {
		return shown{}, err
	}
	return shown{
		Title: "Signed in", Text: "The code was redeemed on the server. The access token stays there.",
		Person: person, Claims: rows, Answer: indent(answer),
		SignOut: e.dev.Issuer + "/end_session?" + url.Values{
			"id_token_hint": {tokens.IDToken}, "post_logout_redirect_uri": {e.dev.API + "/"},
		}.Encode(),
	}, nil
}

// with gets a document with an access token.
func (e *example) with(ctx context.Context, accessToken, address string) (json.RawMessage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	var answer json.RawMessage
	err = e.fetch(req, &answer)
	return answer, err
}

func (e *example) fetch(req *http.Request, into any) error {
	resp, err := e.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d", req.URL.Path, resp.StatusCode)
	}
	return json.Unmarshal(body, into)
}

func indent(b []byte) string {
	var v any
	if json.Unmarshal(b, &v) != nil {
		return string(b)
	}
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return string(b)
	}
	return string(out)
}
