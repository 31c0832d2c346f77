package flow_test

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/flow"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

const (
	issuer    = "https://id.example.com"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 appendix B
	callback  = "https://app.example.com/cb"

	pwd, mfa = "urn:example:pwd", "urn:example:mfa" // ways to sign in
)

// hints answers for ID tokens by name, so that these tests need no keys.
type hints map[string]tokens.Hint

func (h hints) IDTokenHint(_ context.Context, token string) (tokens.Hint, error) {
	hint, ok := h[token]
	if !ok {
		return tokens.Hint{}, errors.New("not signed by us")
	}
	return hint, nil
}

// failing lets a test break the store between two steps.
type failing struct {
	flow.Store
	err error
}

func (f *failing) Consent(ctx context.Context, a secret.ID, c string) (authority.Consent, error) {
	if f.err != nil {
		return authority.Consent{}, f.err
	}
	return f.Store.Consent(ctx, a, c)
}

func (f *failing) CreateCode(ctx context.Context, c authority.Code, consent *authority.Consent, e *authority.Event) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.CreateCode(ctx, c, consent, e)
}

type fixture struct {
	*flow.Flow
	t       *testing.T
	store   *sqlite.Store
	broken  *failing
	hints   hints
	now     time.Time
	account authority.Account
	browser flow.Browser // signed in a minute ago
	keys    map[string][]byte
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	ctx := t.Context()
	f := &fixture{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), hints: hints{}}
	now := func() time.Time { return f.now }
	var err error
	if f.store, err = sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.store.Close() })
	f.account = authority.Account{ID: secret.NewID(f.now), Login: "ada", Name: "Ada", CreatedAt: f.now, UpdatedAt: f.now}
	if err := f.store.CreateAccount(ctx, f.account, f.event(authority.EventAccountCreated)); err != nil {
		t.Fatal(err)
	}
	f.browser = f.signIn(f.now.Add(-time.Minute))
	everything := []string{oauth.AuthorizationCode, oauth.RefreshToken}
	for _, c := range []authority.Client{
		{ID: "web", AuthMethod: oauth.ClientSecretBasic, RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{"https://app.example.com/bye"}, Audience: "https://api.example.com"},
		{ID: "spa", AuthMethod: oauth.NoAuthentication, RedirectURIs: []string{"https://spa.example.com/cb", "https://spa.example.com/cb?tenant=7"}},
		{ID: "own", AuthMethod: oauth.ClientSecretBasic, RedirectURIs: []string{callback}, FirstParty: true},
		{ID: "cli", AuthMethod: oauth.NoAuthentication, RedirectURIs: []string{"http://127.0.0.1/cb", "com.example.cli:/cb"}, Native: true},
		{ID: "nonce", AuthMethod: oauth.ClientSecretBasic, RedirectURIs: []string{callback}, WithoutPKCE: true},
		{ID: "careless", AuthMethod: oauth.NoAuthentication, RedirectURIs: []string{callback}, WithoutPKCE: true},
		{ID: "machine", AuthMethod: oauth.ClientSecretBasic, RedirectURIs: []string{callback}, GrantTypes: []string{oauth.ClientCredentials}},
		{ID: "brief", AuthMethod: oauth.ClientSecretBasic, RedirectURIs: []string{callback}, GrantTypes: []string{oauth.AuthorizationCode}},
		{ID: "off", AuthMethod: oauth.ClientSecretBasic, RedirectURIs: []string{callback}, Disabled: true},
	} {
		if c.GrantTypes == nil {
			c.GrantTypes = everything
		}
		c.Scope = []string{"openid", "profile", "email", "offline_access", "read"}
		c.CreatedAt, c.UpdatedAt = f.now, f.now
		if err := f.store.CreateClient(ctx, c, f.event(authority.EventClientCreated)); err != nil {
			t.Fatal(err)
		}
	}
	registered, err := clients.New(clients.Config{Store: f.store, Now: now, Revoker: noRevoker{}, DefaultAudience: "https://default.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	f.keys = map[string][]byte{"k1": []byte("first key of the ring, 32 bytes.")}
	f.broken = &failing{Store: f.store}
	f.Flow, err = flow.New(flow.Config{
		Issuer: issuer, Clients: registered, Store: f.broken, Hints: f.hints, Now: now,
		ACRValues: []string{pwd, mfa},
		Key:       func() (string, []byte) { return "k1", f.keys["k1"] },
		KeyByID:   func(id string) ([]byte, bool) { k, ok := f.keys[id]; return k, ok },
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

type noRevoker struct{}

func (noRevoker) Revoke(context.Context, authority.Revocation) error { return nil }

func (f *fixture) event(kind authority.EventType) authority.Event {
	return authority.Event{ID: secret.NewID(f.now), Type: kind, Actor: authority.System}
}

// signIn makes a session that began at the given time.
func (f *fixture) signIn(at time.Time) flow.Browser {
	f.t.Helper()
	s := authority.Session{
		ID: secret.NewID(at), AccountID: f.account.ID, Digest: secret.Digest(at.String()), AuthTime: at, AMR: []string{"pwd"}, ACR: pwd,
		CreatedAt: at, LastSeen: at, IdleUntil: at.Add(time.Hour), ExpiresAt: at.Add(24 * time.Hour),
	}
	if err := f.store.CreateSession(f.t.Context(), s, secret.ID{}, f.event(authority.EventSignedIn)); err != nil {
		f.t.Fatal(err)
	}
	return flow.Browser{Session: s, Account: f.account}
}

// request is a good one of the client, changed by pairs of name and value; a
// value of "-" removes the parameter.
func request(client string, pairs ...string) url.Values {
	redirect := callback
	switch client {
	case "spa":
		redirect = "https://spa.example.com/cb"
	case "cli":
		redirect = "http://127.0.0.1:53682/cb"
	}
	v := url.Values{
		"client_id": {client}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid read"},
		"state": {"s1"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "-" {
			v.Del(pairs[i])
		} else {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

// allow records the account's consent.
func (f *fixture) allow(client string, scope ...string) {
	f.t.Helper()
	s := flow.Consent{Request: &flow.Request{Client: authority.Client{ID: client}}, Scope: scope}.Allow()
	if r := f.Issue(f.t.Context(), s, f.browser); r.Error != "" {
		f.t.Fatalf("consent not recorded: %v", r.Cause)
	}
}

// outcome says in one word what Decide decided.
func (f *fixture) outcome(query string, b flow.Browser) string {
	f.t.Helper()
	step, err := f.Decide(f.t.Context(), query, b)
	if _, ok := errors.AsType[*flow.Problem](err); ok {
		return "page"
	}
	if err != nil {
		f.t.Fatalf("Decide: %v", err)
	}
	switch s := step.(type) {
	case flow.Respond:
		if s.Issuer != issuer {
			f.t.Errorf("iss is %q, want %q", s.Issuer, issuer)
		}
		return string(s.Error)
	case flow.SignIn:
		if s.Again {
			return "sign in again"
		}
		return "sign in"
	case flow.SelectAccount:
		return "select account"
	case flow.Consent:
		return "consent to " + s.Scope.String()
	case flow.Issue:
		if s.Record {
			return "record and issue " + s.Scope.String()
		}
		return "issue " + s.Scope.String()
	}
	f.t.Fatalf("unknown step %T", step)
	return ""
}

type decision struct {
	name  string
	query string
	want  string
}

func (f *fixture) check(b flow.Browser, decisions []decision) {
	f.t.Helper()
	for _, d := range decisions {
		f.t.Run(d.name, func(t *testing.T) {
			if got := f.outcome(d.query, b); got != d.want {
				t.Errorf("got %q, want %q", got, d.want)
			}
		})
	}
}

func q(client string, pairs ...string) string { return request(client, pairs...).Encode() }

func TestAZ_1_ClientDecidesPageBeforeAnythingElse(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{
		{"unknown", q("nobody"), "page"},
		{"missing", q("web", "client_id", "-"), "page"},
		{"empty", q("web", "client_id", ""), "page"},
		{"repeated", q("web") + "&client_id=web", "page"},
		{"disabled", q("off"), "page"},
		{"other case", q("web", "client_id", "Web"), "page"},
		{"unknown with every other fault", q("nobody", "response_type", "token", "scope", "\""), "page"},
	})
}

func TestAZ_2_RedirectURIDecidesPage(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{
		{"trailing slash", q("web", "redirect_uri", callback+"/"), "page"},
		{"host in upper case", q("web", "redirect_uri", "https://APP.example.com/cb"), "page"},
		{"query added", q("web", "redirect_uri", callback+"?a=b"), "page"},
		{"query removed", q("spa", "redirect_uri", "https://spa.example.com/cb?tenant="), "page"},
		{"default port", q("web", "redirect_uri", "https://app.example.com:443/cb"), "page"},
		{"escaped", q("web", "redirect_uri", "https://app.example.com/%63b"), "page"},
		{"fragment", q("web", "redirect_uri", callback+"#x"), "page"},
		{"another host", q("web", "redirect_uri", "https://evil.example.com/cb"), "page"},
		{"of another client", q("web", "redirect_uri", "https://spa.example.com/cb"), "page"},
		{"repeated", q("web") + "&redirect_uri=" + url.QueryEscape(callback), "page"},
		{"missing, two registered", q("spa", "redirect_uri", "-", "scope", "read"), "page"},
		{"missing, openid", q("web", "redirect_uri", "-"), "page"},
		{"missing, one registered", q("web", "redirect_uri", "-", "scope", "read"), "consent to read"},
		{"loopback with any port", q("cli"), "consent to openid read"},
		{"loopback with another path", q("cli", "redirect_uri", "http://127.0.0.1:5/cb2"), "page"},
		{"loopback look-alike", q("cli", "redirect_uri", "http://127.0.0.1.evil.example/cb"), "page"},
		{"loopback as user name", q("cli", "redirect_uri", "http://127.0.0.1:80@evil.example/cb"), "page"},
	})
}

func TestAZ_3_LaterFaultsGoToTheClientWithStateAndIss(t *testing.T) {
	f := newFixture(t)
	for _, query := range []string{
		q("web", "response_type", "-"), q("web", "response_type", "token"), q("web", "code_challenge", "-"),
		q("web", "scope", "-"), q("web", "request", "x"), q("web", "prompt", "none login"), q("web") + "&nonce=a&nonce=b",
	} {
		step, err := f.Decide(t.Context(), query, flow.Browser{})
		if err != nil {
			t.Fatal(err)
		}
		r := step.(flow.Respond)
		u, err := url.Parse(r.Location())
		if err != nil {
			t.Fatal(err)
		}
		got := u.Query()
		if !strings.HasPrefix(r.Location(), callback+"?error=") || got.Get("state") != "s1" || got.Get("iss") != issuer || got.Has("code") {
			t.Errorf("%s: answered with %s", query, r.Location())
		}
		if d := got.Get("error_description"); strings.ContainsAny(d, "\"\\") || d == "" {
			t.Errorf("%s: description %q", query, d)
		}
	}
}

func TestAZ_4_ResponseType(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{
		{"missing", q("web", "response_type", "-"), "invalid_request"},
		{"token", q("web", "response_type", "token"), "unsupported_response_type"},
		{"code token", q("web", "response_type", "code token"), "unsupported_response_type"},
		{"id_token", q("web", "response_type", "id_token"), "unsupported_response_type"},
		{"case", q("web", "response_type", "Code"), "unsupported_response_type"},
		{"none", q("web", "response_type", "none"), "unsupported_response_type"},
	})
}

func TestAZ_5_GrantNotRegistered(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{{"machine", q("machine"), "unauthorized_client"}})
}

func TestAZ_6_PK_3_Challenge(t *testing.T) {
	f := newFixture(t)
	decisions := []decision{
		{"WithoutPKCE, with nonce", q("nonce", "code_challenge", "-", "code_challenge_method", "-", "nonce", "n"), "consent to openid read"},
		{"WithoutPKCE, no nonce", q("nonce", "code_challenge", "-", "code_challenge_method", "-"), "invalid_request"},
		{"WithoutPKCE, no openid", q("nonce", "code_challenge", "-", "code_challenge_method", "-", "nonce", "n", "scope", "read"), "invalid_request"},
		{"WithoutPKCE, method without challenge", q("nonce", "code_challenge", "-", "nonce", "n"), "invalid_request"},
		{"WithoutPKCE, public", q("careless", "code_challenge", "-", "code_challenge_method", "-", "nonce", "n"), "invalid_request"},
		{"WithoutPKCE does not excuse a bad one", q("nonce", "code_challenge", "short", "nonce", "n"), "invalid_request"},
	}
	for _, client := range []string{"web", "spa"} {
		decisions = append(decisions, []decision{
			{client + " no challenge", q(client, "code_challenge", "-", "code_challenge_method", "-"), "invalid_request"},
			{client + " no challenge, with nonce", q(client, "code_challenge", "-", "code_challenge_method", "-", "nonce", "n"), "invalid_request"},
			{client + " method missing means plain", q(client, "code_challenge_method", "-"), "invalid_request"},
			{client + " plain", q(client, "code_challenge_method", "plain"), "invalid_request"},
			{client + " s256 in lower case", q(client, "code_challenge_method", "s256"), "invalid_request"},
			{client + " unknown method", q(client, "code_challenge_method", "S512"), "invalid_request"},
			{client + " 42 characters", q(client, "code_challenge", challenge[:42]), "invalid_request"},
			{client + " 44 characters", q(client, "code_challenge", challenge+"A"), "invalid_request"},
			{client + " padded", q(client, "code_challenge", challenge[:42]+"="), "invalid_request"},
			{client + " not base64url", q(client, "code_challenge", challenge[:42]+"+"), "invalid_request"},
			{client + " good", q(client), "consent to openid read"},
		}...)
	}
	f.check(f.browser, decisions)
}

// thumbprint is of a key in RFC 9449.
const thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

func TestDP_22_ThumbprintAtAuthorize(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{
		{"good", q("spa", "dpop_jkt", thumbprint), "consent to openid read"},
		{"short", q("spa", "dpop_jkt", thumbprint[:42]), "invalid_request"},
		{"long", q("spa", "dpop_jkt", thumbprint+"A"), "invalid_request"},
		{"padded", q("spa", "dpop_jkt", thumbprint[:42]+"="), "invalid_request"},
		{"left over bits", q("spa", "dpop_jkt", thumbprint[:42]+"J"), "invalid_request"},
	})
}

func TestAZ_7_Scope(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{
		{"double space", q("web", "scope", "read  openid"), "invalid_scope"},
		{"quote", q("web", "scope", "read \""), "invalid_scope"},
		{"absent", q("web", "scope", "-"), "invalid_scope"},
		{"nothing usable", q("web", "scope", "write admin"), "invalid_scope"},
		{"unregistered dropped", q("web", "scope", "read write"), "consent to read"},
		{"unknown dropped", q("web", "scope", "openid x:y read"), "consent to openid read"},
		{"case matters", q("web", "scope", "Read openid"), "consent to openid"},
		{"repeated token", q("web", "scope", "read read"), "consent to read"},
	})
}

func TestAZ_8_RefusalsAndFaultsReachTheClient(t *testing.T) {
	f := newFixture(t)
	step, err := f.Decide(t.Context(), q("web"), f.browser)
	if err != nil {
		t.Fatal(err)
	}
	ask := step.(flow.Consent)
	if got := f.Deny(ask); got.Error != oauth.AccessDenied || got.State != "s1" {
		t.Errorf("denied: %+v", got)
	}
	for _, tt := range []struct {
		err  error
		want oauth.Code
	}{{errors.New("disk"), oauth.ServerError}, {authority.ErrBusy, oauth.TemporarilyUnavailable}} {
		f.broken.err = tt.err
		got := f.Issue(t.Context(), ask.Allow(), f.browser)
		if got.Error != tt.want {
			t.Errorf("%v at issue: got %s, want %s", tt.err, got.Error, tt.want)
		}
		if !got.Code.Empty() || strings.Contains(got.Location(), "code=") || strings.Contains(got.Location(), "disk") {
			t.Errorf("%v: %s", tt.err, got.Location())
		}
		if failed, err := f.Fail(t.Context(), q("web"), tt.err); err != nil || failed.(flow.Respond).State != "s1" {
			t.Errorf("Fail(%v) = %v, %v", tt.err, failed, err)
		}
	}
	if _, err := f.Fail(t.Context(), q("nobody"), errors.New("disk")); err == nil {
		t.Error("a fault was sent to nobody's redirect URI")
	}
}

func TestAZ_8_SessionThatEndedMeanwhile(t *testing.T) {
	f := newFixture(t)
	step, err := f.Decide(t.Context(), q("web"), f.browser)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Revoke(t.Context(), authority.Revocation{
		Session: f.browser.Session.ID, Reason: "signed out", Now: f.now, Until: f.now.Add(time.Hour), Event: f.event(authority.EventSignedOut),
	}); err != nil {
		t.Fatal(err)
	}
	if got := f.Issue(t.Context(), step.(flow.Consent).Allow(), f.browser); got.Error != oauth.LoginRequired {
		t.Errorf("got %q (%v), want login_required", got.Error, got.Cause)
	}
}

func TestAZ_9_QueryOfTheRedirectURIIsKept(t *testing.T) {
	for _, tt := range []struct{ uri, want string }{
		{"https://a/cb", "https://a/cb?error=access_denied&state=x%20y&iss=https%3A%2F%2Fi"},
		{"https://a/cb?t=7", "https://a/cb?t=7&error=access_denied&state=x%20y&iss=https%3A%2F%2Fi"},
		{"https://a/cb?", "https://a/cb?error=access_denied&state=x%20y&iss=https%3A%2F%2Fi"},
		{"https://a/cb?t=7&", "https://a/cb?t=7&error=access_denied&state=x%20y&iss=https%3A%2F%2Fi"},
		{"com.example.app:/cb", "com.example.app:/cb?error=access_denied&state=x%20y&iss=https%3A%2F%2Fi"},
	} {
		got := flow.Respond{RedirectURI: tt.uri, Error: oauth.AccessDenied, State: "x y", Issuer: "https://i"}.Location()
		if got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestAZ_12_ErrorsOfRegisteredClientsGoAtOnce(t *testing.T) {
	f := newFixture(t)
	f.check(flow.Browser{}, []decision{{"nobody signed in", q("web", "scope", "\""), "invalid_scope"}})
}

func TestAZ_13_Consent(t *testing.T) {
	f := newFixture(t)
	f.allow("web", "openid", "read")
	f.allow("cli", "openid", "read")
	f.allow("spa", "openid", "read")
	f.check(f.browser, []decision{
		{"remembered", q("web"), "issue openid read"},
		{"narrower", q("web", "scope", "read"), "issue read"},
		{"wider asks again", q("web", "scope", "openid read email"), "consent to openid read email"},
		{"public https client is assured", q("spa"), "issue openid read"},
		{"public loopback always asks", q("cli"), "consent to openid read"},
		{"public own scheme always asks", q("cli", "redirect_uri", "com.example.cli:/cb"), "consent to openid read"},
		{"public loopback cannot be silent", q("cli", "prompt", "none"), "consent_required"},
		{"first party", q("own"), "issue openid read"},
		{"first party asked to ask", q("own", "prompt", "consent"), "consent to openid read"},
		{"another client", q("nonce"), "consent to openid read"},
	})
}

func TestAZ_13_AnswerCountsOnlyForWhatWasShown(t *testing.T) {
	ask := flow.Consent{Request: &flow.Request{Client: authority.Client{ID: "web"}}, Scope: oauth.Scope{"read"}}
	ada, eve := secret.NewID(time.Now()), secret.NewID(time.Now())
	wider, other := ask, ask
	wider.Scope = oauth.Scope{"read", "email"}
	other.Request = &flow.Request{Client: authority.Client{ID: "spa"}}
	same := ask
	if ask.Seen(ada) != same.Seen(ada) || ask.Seen(ada) == ask.Seen(eve) || ask.Seen(ada) == wider.Seen(ada) || ask.Seen(ada) == other.Seen(ada) {
		t.Error("two questions have one name, or one has two")
	}
}

func TestAZ_20_CodeIsBoundToEverything(t *testing.T) {
	f := newFixture(t)
	f.browser.Context = authority.Context{Network: "192.0.2.0/24", UserAgent: "test"}
	step, err := f.Decide(t.Context(), q("web", "nonce", "n-0", "scope", "openid offline_access", "dpop_jkt", thumbprint), f.browser)
	if err != nil {
		t.Fatal(err)
	}
	r := f.Issue(t.Context(), step.(flow.Consent).Allow(), f.browser)
	if r.Error != "" {
		t.Fatal(r.Cause)
	}
	id, ok := tokens.CodeID(r.Code.Reveal())
	if !ok {
		t.Fatal("not a code")
	}
	got, err := f.store.Code(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != secret.Digest(r.Code.Reveal()) || got.ClientID != "web" || got.AccountID != f.account.ID ||
		got.SessionID != f.browser.Session.ID || got.RedirectURI != callback || got.Challenge != challenge || got.KeyThumbprint != thumbprint ||
		oauth.Scope(got.Scope).String() != "openid offline_access" || got.Nonce != "n-0" ||
		!got.AuthTime.Equal(f.browser.Session.AuthTime) || len(got.AMR) != 1 || got.Context != f.browser.Context ||
		len(got.Audience) != 1 || got.Audience[0] != "https://api.example.com" || !got.GrantID.IsZero() {
		t.Errorf("stored %+v", got)
	}
	if life := got.ExpiresAt.Sub(got.CreatedAt); life != time.Minute {
		t.Errorf("lives %s, want 1m", life)
	}
	consent, err := f.store.Consent(t.Context(), f.account.ID, "web")
	if err != nil || oauth.Scope(consent.Scope).String() != "openid offline_access" {
		t.Errorf("consent %v, %v", consent.Scope, err)
	}
	events, err := f.store.Events(t.Context(), authority.EventFilter{Type: authority.EventConsentGranted}, authority.Page{})
	if err != nil || len(events) != 1 || events[0].ClientID != "web" || events[0].AccountID != f.account.ID {
		t.Errorf("events %v, %v", events, err)
	}
}

func TestAZ_20_CodeLifetimeIsBounded(t *testing.T) {
	base := flow.Config{
		Issuer: issuer, Clients: &clients.Service{}, Store: &failing{}, Hints: hints{},
		Key: func() (string, []byte) { return "", nil }, KeyByID: func(string) ([]byte, bool) { return nil, false },
		CodeLifetime: 11 * time.Minute,
	}
	if _, err := flow.New(base); err == nil {
		t.Error("a code may live longer than OAuth 2.1 section 4.1.2 allows")
	}
}

func TestMD_6_IssInEveryAnswer(t *testing.T) {
	f := newFixture(t)
	f.allow("web", "openid", "read")
	for _, mode := range []string{"query", "form_post"} {
		for _, pairs := range [][]string{{"response_mode", mode}, {"response_mode", mode, "scope", "\""}, {"response_mode", mode, "state", "-"}} {
			step, err := f.Decide(t.Context(), q("web", pairs...), f.browser)
			if err != nil {
				t.Fatal(err)
			}
			r, ok := step.(flow.Respond)
			if !ok {
				r = f.Issue(t.Context(), step.(flow.Issue), f.browser)
			}
			params := r.Params()
			if last := params[len(params)-1]; last != (flow.Param{Name: "iss", Value: issuer}) || string(r.Mode) != mode {
				t.Errorf("%v: last parameter %s in mode %s", pairs, last.Name, r.Mode)
			}
		}
	}
}

func TestGEN_2_EmptyIsAbsentAndUnknownIsIgnored(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{
		{"empty response_type", q("web", "response_type", ""), "invalid_request"},
		{"empty redirect_uri", q("web", "redirect_uri", "", "scope", "read"), "consent to read"},
		{"empty beside a value", q("web") + "&state=", "consent to openid read"},
		{"unknown", q("web", "utm_source", "mail", "flow", "x", "continue", "//evil"), "consent to openid read"},
		{"empty max_age and prompt", q("web", "max_age", "", "prompt", ""), "consent to openid read"},
	})
}

func TestGEN_3_RepeatedParameter(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{
		{"state", q("web") + "&state=s2", "invalid_request"},
		{"state, same value", q("web") + "&state=s1", "invalid_request"},
		{"scope", q("web") + "&scope=read", "invalid_request"},
		{"response_type", q("web") + "&response_type=code", "invalid_request"},
		{"extension", q("web") + "&x=1&x=2", "invalid_request"},
		{"response_mode cannot be delivered", q("web", "response_mode", "query") + "&response_mode=form_post", "page"},
		{"resource may be", q("web") + "&resource=https://a&resource=https://b", "consent to openid read"},
	})
	step, err := f.Decide(t.Context(), q("web")+"&state=s2", f.browser)
	if err != nil || step.(flow.Respond).State != "" {
		t.Errorf("two states: %v, %v; want an answer without state", step, err)
	}
}

func TestGEN_8_StateComesBackByteByByte(t *testing.T) {
	f := newFixture(t)
	for _, state := range []string{"a&b=c%d+e f", strings.Repeat("aZ9%+ &=/?#\"'<>\\~", 120), "%00", " ", "+"} {
		step, err := f.Decide(t.Context(), q("web", "state", state), flow.Browser{})
		if err != nil {
			t.Fatal(err)
		}
		if got := step.(flow.SignIn).Request.State; got != state {
			t.Errorf("read %q, want %q", got, state)
		}
		u, err := url.Parse(flow.Respond{RedirectURI: callback, State: state, Issuer: issuer}.Location())
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Query().Get("state"); got != state {
			t.Errorf("sent %q, want %q", got, state)
		}
	}
	f.check(f.browser, []decision{
		{"not ASCII", q("web", "state", "é"), "invalid_request"},
		{"line break", q("web", "state", "a\r\nb"), "invalid_request"},
	})
}

func TestOP_1_RequestObjectsAreRefusedByName(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{
		{"request", q("web", "request", "e30.e30."), "request_not_supported"},
		{"request_uri", q("web", "request_uri", "https://evil.example"), "request_uri_not_supported"},
		{"registration", q("web", "registration", "{}"), "registration_not_supported"},
	})
}

func TestOP_2_ParametersThatMustNotFail(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{
		{"all", q("web", "display", "hologram", "ui_locales", "xx yy", "claims_locales", "q", "acr_values", "gold "+pwd, "login_hint", "ada", "claims", "{}", "prompt", "dance"), "consent to openid read"},
		{"long nonce", q("web", "nonce", strings.Repeat("n", 500)), "consent to openid read"},
		{"long login_hint", q("web", "login_hint", strings.Repeat("n", 5000)), "consent to openid read"},
	})
}

func TestOP_2_UnsupportedResponseModeIsAPage(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{
		{"x", q("web", "response_mode", "x"), "page"},
		{"fragment", q("web", "response_mode", "fragment"), "page"},
		{"even for a bad request", q("web", "response_mode", "x", "response_type", "token"), "page"},
		{"form_post to an own scheme", q("cli", "response_mode", "form_post", "redirect_uri", "com.example.cli:/cb"), "page"},
		{"form_post", q("web", "response_mode", "form_post"), "consent to openid read"},
	})
}

func TestOP_3_Prompt(t *testing.T) {
	f := newFixture(t)
	f.check(flow.Browser{}, []decision{
		{"none, nobody", q("web", "prompt", "none"), "login_required"},
		{"select_account, nobody", q("web", "prompt", "select_account"), "sign in"},
		{"none login", q("web", "prompt", "none login"), "invalid_request"},
		{"none with unknown", q("web", "prompt", "none dance"), "invalid_request"},
		{"nothing", q("web"), "sign in"},
	})
	f.check(f.browser, []decision{
		{"none without consent", q("web", "prompt", "none"), "consent_required"},
		{"none, first party", q("own", "prompt", "none"), "issue openid read"},
		{"login", q("own", "prompt", "login"), "sign in again"},
		{"select_account", q("own", "prompt", "select_account"), "select account"},
		{"login consent", q("own", "prompt", "login consent"), "sign in again"},
		{"unknown", q("own", "prompt", "dance"), "issue openid read"},
	})
	t.Run("signing in settles login and select_account", func(t *testing.T) {
		b := f.signIn(f.now)
		b.State.Authenticated = b.Session.ID
		for _, prompt := range []string{"login", "select_account", "login select_account"} {
			if got := f.outcome(q("own", "prompt", prompt), b); got != "issue openid read" {
				t.Errorf("prompt %s: %s", prompt, got)
			}
		}
	})
	t.Run("a sign-in of another session settles nothing", func(t *testing.T) {
		b := f.browser
		b.State.Authenticated = secret.NewID(f.now)
		if got := f.outcome(q("own", "prompt", "login"), b); got != "sign in again" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("choosing settles select_account, not login", func(t *testing.T) {
		b := f.browser
		b.State.Selected = b.Session.ID
		if got := f.outcome(q("own", "prompt", "select_account"), b); got != "issue openid read" {
			t.Errorf("select_account: %s", got)
		}
		if got := f.outcome(q("own", "prompt", "login select_account"), b); got != "sign in again" {
			t.Errorf("login select_account: %s", got)
		}
	})
	t.Run("another account is wanted", func(t *testing.T) {
		b := f.browser
		b.State.Switch = true
		if got := f.outcome(q("own"), b); got != "sign in" {
			t.Errorf("got %s", got)
		}
	})
}

func TestOP_4_MaxAge(t *testing.T) {
	f := newFixture(t) // signed in 60 s ago
	f.check(f.browser, []decision{
		{"young enough", q("own", "max_age", "60"), "issue openid read"},
		{"too old", q("own", "max_age", "59"), "sign in again"},
		{"too old, silent", q("own", "max_age", "59", "prompt", "none"), "login_required"},
		{"zero", q("own", "max_age", "0"), "sign in again"},
		{"zero, silent", q("own", "max_age", "0", "prompt", "none"), "login_required"},
		{"negative", q("own", "max_age", "-1"), "invalid_request"},
		{"not a number", q("own", "max_age", "1h"), "invalid_request"},
		{"huge", q("own", "max_age", strings.Repeat("9", 40)), "issue openid read"},
	})
	b := f.signIn(f.now)
	b.State.Authenticated = b.Session.ID
	if got := f.outcome(q("own", "max_age", "0"), b); got != "issue openid read" {
		t.Errorf("max_age=0 after signing in for it: %s", got)
	}
	b.State = flow.State{}
	if got := f.outcome(q("own", "max_age", "0"), b); got != "sign in again" {
		t.Errorf("max_age=0 right after another sign-in: %s", got)
	}
}

func TestSTE_2_ACRValues(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{
		{"the way it was", q("own", "acr_values", pwd), "issue openid read"},
		{"one of several", q("own", "acr_values", "gold "+mfa+" "+pwd), "issue openid read"},
		{"too weak", q("own", "acr_values", mfa), "sign in again"},
		{"too weak, silent", q("own", "acr_values", mfa, "prompt", "none"), "login_required"},
		{"unknown", q("own", "acr_values", "gold silver"), "unmet_authentication_requirements"},
		{"unknown, silent", q("own", "acr_values", "gold", "prompt", "none"), "unmet_authentication_requirements"},
		{"repeated", q("own") + "&acr_values=a&acr_values=b", "invalid_request"},
		{"strong enough, too old", q("own", "acr_values", pwd, "max_age", "59"), "sign in again"},
	})
	f.check(flow.Browser{}, []decision{
		{"nobody", q("own", "acr_values", mfa), "sign in"},
		{"nobody, unknown", q("own", "acr_values", "gold"), "unmet_authentication_requirements"},
	})
	// Who has signed in for the request and still falls short is not asked forever.
	b := f.signIn(f.now)
	b.State.Authenticated = b.Session.ID
	if got := f.outcome(q("own", "acr_values", mfa), b); got != "unmet_authentication_requirements" {
		t.Errorf("after signing in for it: %s", got)
	}
	if got := f.outcome(q("own", "acr_values", pwd), b); got != "issue openid read" {
		t.Errorf("after signing in for what was reached: %s", got)
	}
}

func TestOP_4_IDTokenHint(t *testing.T) {
	f := newFixture(t)
	f.hints["ada"] = tokens.Hint{Subject: f.account.Subject(), ClientID: "own"}
	f.hints["eve"] = tokens.Hint{Subject: "somebody-else", ClientID: "own"}
	f.hints["ada-web"] = tokens.Hint{Subject: f.account.Subject(), ClientID: "web"}
	f.check(f.browser, []decision{
		{"same person", q("own", "id_token_hint", "ada"), "issue openid read"},
		{"same person, silent", q("own", "id_token_hint", "ada", "prompt", "none"), "issue openid read"},
		{"somebody else", q("own", "id_token_hint", "eve"), "sign in"},
		{"somebody else, silent", q("own", "id_token_hint", "eve", "prompt", "none"), "login_required"},
		{"not ours", q("own", "id_token_hint", "forged"), "invalid_request"},
		{"for another client", q("own", "id_token_hint", "ada-web"), "invalid_request"},
	})
	b := f.signIn(f.now)
	b.State.Authenticated = b.Session.ID
	if got := f.outcome(q("own", "id_token_hint", "eve"), b); got != "login_required" {
		t.Errorf("the wrong person signed in: %s, want login_required", got)
	}
}

func TestOP_4_LoginHintIsPutIn(t *testing.T) {
	f := newFixture(t)
	step, err := f.Decide(t.Context(), q("web", "login_hint", "grace"), flow.Browser{})
	if err != nil || step.(flow.SignIn).Login != "grace" {
		t.Errorf("step %+v, %v", step, err)
	}
	step, err = f.Decide(t.Context(), q("web", "prompt", "login"), f.browser)
	if err != nil || step.(flow.SignIn).Login != "ada" {
		t.Errorf("signing in again: step %+v, %v", step, err)
	}
}

func TestOP_8_OfflineAccessNeedsARecordedConsent(t *testing.T) {
	f := newFixture(t)
	f.allow("web", "openid", "read")
	const scope = "openid read offline_access"
	f.check(f.browser, []decision{
		{"new, so the page is shown", q("web", "scope", scope), "consent to " + scope},
		{"new and silent, so it is left out", q("web", "scope", scope, "prompt", "none"), "issue openid read"},
		{"first party is recorded", q("own", "scope", scope), "record and issue " + scope},
		{"no refresh grant, so it is left out", q("brief", "scope", scope), "consent to openid read"},
	})
	f.allow("web", "offline_access")
	f.allow("own", "openid", "read", "offline_access")
	f.check(f.browser, []decision{
		{"recorded", q("web", "scope", scope), "issue " + scope},
		{"recorded and silent", q("web", "scope", scope, "prompt", "none"), "issue " + scope},
		{"first party, already recorded", q("own", "scope", scope), "issue " + scope},
		{"asked for again", q("web", "scope", scope, "prompt", "consent"), "consent to " + scope},
	})
}

func TestRequestThatCannotBeRead(t *testing.T) {
	f := newFixture(t)
	f.check(f.browser, []decision{
		{"empty", "", "page"},
		{"bad escape", q("web") + "&a=%zz", "page"},
		{"semicolons", q("web") + ";a=b", "page"},
		{"too long", q("web", "x", strings.Repeat("x", flow.MaxQuery)), "page"},
	})
}

func TestHT_2_StateProvesOnlyForItsRequest(t *testing.T) {
	f := newFixture(t)
	s := flow.State{Authenticated: secret.NewID(f.now), Selected: secret.NewID(f.now), Switch: true}
	query := q("web")
	token := f.Seal(s, query)
	if len(token) > 1024 {
		t.Errorf("%d bytes", len(token))
	}
	if f.Seal(flow.State{}, query) != "" {
		t.Error("nothing to prove is not empty")
	}
	if got := f.Open(token, query); got != s {
		t.Errorf("opened %+v, want %+v", got, s)
	}
	if got := f.Open(token, strings.ReplaceAll(query, "%3A", ":")); got != s {
		t.Error("another spelling of the same request is not recognised")
	}
	for name, open := range map[string]func() flow.State{
		"another request": func() flow.State { return f.Open(token, q("web", "state", "s2")) },
		"a changed byte": func() flow.State {
			b := []byte(token)
			b[10] ^= 1
			return f.Open(string(b), query)
		},
		"cut":     func() flow.State { return f.Open(token[:len(token)-1], query) },
		"garbage": func() flow.State { return f.Open("a.b.c", query) },
		"empty":   func() flow.State { return f.Open("", query) },
		"another key": func() flow.State {
			old := f.keys["k1"]
			defer func() { f.keys["k1"] = old }()
			f.keys["k1"] = []byte("another key of the ring, 32 bytes")
			return f.Open(token, query)
		},
		"an unknown key": func() flow.State {
			old := f.keys["k1"]
			defer func() { f.keys["k1"] = old }()
			delete(f.keys, "k1")
			return f.Open(token, query)
		},
		"15 minutes later": func() flow.State {
			defer func(now time.Time) { f.now = now }(f.now)
			f.now = f.now.Add(15 * time.Minute)
			return f.Open(token, query)
		},
	} {
		if got := open(); got != (flow.State{}) {
			t.Errorf("%s proves %+v", name, got)
		}
	}
}

func TestLO_1_LO_3_Logout(t *testing.T) {
	f := newFixture(t)
	session := f.browser.Session.ID.String()
	sub := f.account.Subject()
	f.hints["mine"] = tokens.Hint{Subject: sub, SessionID: session, ClientID: "web"}
	f.hints["former"] = tokens.Hint{Subject: sub, SessionID: secret.NewID(f.now).String(), ClientID: "web"}
	f.hints["no sid"] = tokens.Hint{Subject: sub, ClientID: "web"}
	f.hints["eve"] = tokens.Hint{Subject: "eve", SessionID: session, ClientID: "web"}
	const bye = "https://app.example.com/bye"
	v := func(pairs ...string) string {
		out := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			out.Set(pairs[i], pairs[i+1])
		}
		return out.Encode()
	}
	for _, tt := range []struct {
		name, query string
		now         bool
		to          string
		page        bool
	}{
		{name: "nothing", query: ""},
		{name: "only state", query: v("state", "x")},
		{name: "hint of this session", query: v("id_token_hint", "mine"), now: true},
		{name: "hint of this session, with return", query: v("id_token_hint", "mine", "post_logout_redirect_uri", bye, "state", "a b"), now: true, to: bye + "?state=a%20b"},
		{name: "hint of another session", query: v("id_token_hint", "former", "post_logout_redirect_uri", bye), to: bye},
		{name: "hint without session", query: v("id_token_hint", "no sid")},
		{name: "hint of another person", query: v("id_token_hint", "eve")},
		{name: "client alone", query: v("client_id", "web", "post_logout_redirect_uri", bye), to: bye},
		{name: "hint and client", query: v("id_token_hint", "mine", "client_id", "web"), now: true},
		{name: "hint of another client", query: v("id_token_hint", "mine", "client_id", "spa"), page: true},
		{name: "forged hint", query: v("id_token_hint", "forged", "post_logout_redirect_uri", bye), page: true},
		{name: "return without client", query: v("post_logout_redirect_uri", bye), page: true},
		{name: "return not registered", query: v("client_id", "web", "post_logout_redirect_uri", bye+"/"), page: true},
		{name: "return with query added", query: v("id_token_hint", "mine", "post_logout_redirect_uri", bye+"?a=b"), page: true},
		{name: "a redirect URI is no such return", query: v("client_id", "web", "post_logout_redirect_uri", callback), page: true},
		{name: "unknown client", query: v("client_id", "nobody"), page: true},
		{name: "repeated", query: "state=a&state=b", page: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := f.Logout(t.Context(), tt.query, f.browser)
			if _, ok := errors.AsType[*flow.Problem](err); ok != tt.page || err != nil && !ok {
				t.Fatalf("error %v, want a page: %t", err, tt.page)
			}
			if got.Now != tt.now || got.Return != tt.to {
				t.Errorf("now %t, to %q; want %t, %q", got.Now, got.Return, tt.now, tt.to)
			}
			again, err := f.Logout(t.Context(), got.Query(), f.browser)
			if err != nil || again.Return != got.Return || again.Now {
				t.Errorf("the confirmation leads to %q, now %t, %v", again.Return, again.Now, err)
			}
		})
	}
}
