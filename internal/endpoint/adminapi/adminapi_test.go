package adminapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/endpoint/adminapi"
	"github.com/jetonhq/jeton/internal/feed"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/policies"
	"github.com/jetonhq/jeton/internal/provision"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/internal/tokens"
)

const issuer = "https://id.example.com"

// server is the admin API over the real services and store.
type server struct {
	admin.Client
	tokens  *tokens.Service
	clients *clients.Service
	log     *bytes.Buffer
}

func start(t *testing.T) *server {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
	must(err)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	master, err := seal.NewFileMaster(secret.Bytes(32))
	must(err)
	sealing, err := seal.Open(ctx, seal.Config{Store: store, Masters: []seal.Master{master}})
	must(err)
	rings, err := keys.Open(ctx, keys.Config{Store: store, Sealer: sealing.Sealer()})
	must(err)
	log, err := feed.Open(ctx, feed.Config{Log: store})
	must(err)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() { defer close(ended); log.Run(running) }()
	t.Cleanup(func() { stop(); <-ended })

	s := &server{log: new(bytes.Buffer)}
	s.tokens, err = tokens.New(tokens.Config{Issuer: issuer, Store: store, Keys: rings, View: log.View(), Log: log})
	must(err)
	people, err := accounts.New(accounts.Config{Accounts: store, Sessions: store, Events: store, Revoker: s.tokens, Apps: store})
	must(err)
	s.clients, err = clients.New(clients.Config{Store: store, Revoker: s.tokens, DefaultAudience: issuer})
	must(err)
	rules := policies.New(policies.Config{Store: store})
	token := secret.Token("jat_")
	handler, err := adminapi.New(adminapi.Config{
		Token: token, Sealing: sealing, Keys: rings, Accounts: people, Clients: s.clients, Tokens: s.tokens, Grants: store, Events: store,
		Policies:  rules,
		Provision: &provision.Service{Accounts: people, Clients: s.clients, Policies: rules},
		Logger:    slog.New(slog.NewTextHandler(s.log, nil)),
	})
	must(err)
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	s.Client = admin.Client{BaseURL: web.URL, Token: token.Reveal()}
	return s
}

// machine creates a client that may use client credentials, and a token for it.
func (s *server) machine(t *testing.T, id string) string {
	t.Helper()
	_, err := s.CreateClient(t.Context(), admin.NewClient{ClientSpec: admin.ClientSpec{
		ID: id, GrantTypes: []string{"client_credentials"}, Scope: []string{"reports:read"},
	}}, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.clients.Lookup(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := s.tokens.ForClient(t.Context(), tokens.ClientRequest{
		Client: c, Scope: []string{"reports:read"}, Audience: []string{"https://api.example.com"}, Still: func(context.Context) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return issued.AccessToken.Reveal()
}

func refused(t *testing.T, err error, want admin.Code) {
	t.Helper()
	if got := admin.CodeOf(err); got != want {
		t.Errorf("got %v with code %q, want %q", err, got, want)
	}
}

func TestAuthentication(t *testing.T) {
	s := start(t)
	tests := []struct{ name, header string }{
		{"none", ""},
		{"empty bearer", "Bearer "},
		{"wrong", "Bearer " + strings.Repeat("x", len(s.Token))},
		{"part of it", "Bearer " + s.Token[:len(s.Token)-1]},
		{"more than it", "Bearer " + s.Token + "x"},
		{"basic", "Basic " + s.Token},
		{"without the scheme", s.Token},
	}
	for _, test := range tests {
		for _, path := range []string{"/admin/v1/clients", "/admin/v1/nothing", "/"} {
			t.Run(test.name+" "+path, func(t *testing.T) {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.BaseURL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if test.header != "" {
					req.Header.Set("Authorization", test.header)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if got, want := resp.StatusCode, http.StatusUnauthorized; got != want {
					t.Errorf("status %d, want %d", got, want)
				}
				if got, want := resp.Header.Get("WWW-Authenticate"), `Bearer realm="jeton admin"`; got != want {
					t.Errorf("challenge %q, want %q", got, want)
				}
			})
		}
	}
	if strings.Contains(s.log.String(), s.Token) {
		t.Error("the log shows the admin token")
	}
	if _, err := (&admin.Client{BaseURL: s.BaseURL}).Clients(t.Context(), admin.Page{}); admin.CodeOf(err) != admin.CodeUnauthorized {
		t.Errorf("client without a token: got %v", err)
	}
}

func TestDecode_Refuses(t *testing.T) {
	s := start(t)
	tests := []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"unknown field", "POST", "clients", `{"id":"a","colour":"red"}`, 400, `unknown field \"colour\"`},
		{"wrong type", "POST", "clients", `{"id":7}`, 400, "another type"},
		{"two values", "POST", "clients", `{"id":"a"} {}`, 400, "after the JSON value"},
		{"no body", "POST", "clients", ``, 400, "not the JSON"},
		{"too large", "POST", "clients", `{"name":"` + strings.Repeat("a", 5<<20) + `"}`, 413, "too large"},
		{"other id than the path's", "PUT", "clients/a", `{"id":"b"}`, 400, "keeps its id"},
		{"limit", "GET", "clients?limit=1001", ``, 400, "limit is 1 to 1000"},
		{"unknown call", "GET", "nothing", ``, 404, "no such call"},
		{"no id", "POST", "sessions/nobody/end", ``, 404, "not found"},
		{"time", "GET", "events?since=yesterday", ``, 400, "since is no time"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, body := s.raw(t, test.method, test.path, test.body, "")
			if status != test.status || !strings.Contains(body, test.want) {
				t.Errorf("got %d %s, want %d %s", status, body, test.status, test.want)
			}
		})
	}
	if status, body := s.raw(t, "POST", "clients", `{"id":"a"}`, strings.Repeat("r", 501)); status != 400 {
		t.Errorf("long reason: got %d %s", status, body)
	}
}

func (s *server) raw(t *testing.T, method, path, body, reason string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.BaseURL+"/admin/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	req.Header.Set(admin.ReasonHeader, reason)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func TestClients(t *testing.T) {
	s, ctx := start(t), t.Context()
	made, err := s.CreateClient(ctx, admin.NewClient{ClientSpec: admin.ClientSpec{
		ID: "web", GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{"https://app.example.com/back"}, AccessLifetime: admin.Duration(2 * time.Minute),
	}}, "a new app")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(made.Secret, "jcs_") || len(made.Client.Secrets) != 1 {
		t.Errorf("secret of %d characters, %d stored", len(made.Secret), len(made.Client.Secrets))
	}
	_, err = s.CreateClient(ctx, admin.NewClient{ClientSpec: admin.ClientSpec{ID: "web"}}, "")
	refused(t, err, admin.CodeConflict)
	_, err = s.CreateClient(ctx, admin.NewClient{ClientSpec: admin.ClientSpec{ID: "worse", GrantTypes: []string{"password"}}}, "")
	refused(t, err, admin.CodeInvalid)
	_, err = s.Client.Client(ctx, "nobody")
	refused(t, err, admin.CodeNotFound)

	read, err := s.Client.Client(ctx, "web")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made.Client, read, cmpopts.EquateApproxTime(time.Millisecond)); diff != "" {
		t.Errorf("read another client than was made:\n%s", diff)
	}
	read.Name = "The app"
	changed, err := s.UpdateClient(ctx, admin.ClientUpdate{ClientSpec: read.ClientSpec, Version: read.Version}, "")
	if err != nil {
		t.Fatal(err)
	}
	if changed.Name != "The app" || changed.Version != read.Version+1 {
		t.Errorf("got %q version %d", changed.Name, changed.Version)
	}
	read.Name = "Late"
	_, err = s.UpdateClient(ctx, admin.ClientUpdate{ClientSpec: read.ClientSpec, Version: read.Version}, "")
	refused(t, err, admin.CodeConflict)

	rotated, err := s.RotateSecret(ctx, "web", admin.SecretRotation{}, "leaked")
	if err != nil {
		t.Fatal(err)
	}
	if rotated.Secret == made.Secret || len(rotated.Client.Secrets) != 2 {
		t.Errorf("%d secrets live, want the new one and the one before", len(rotated.Client.Secrets))
	}
	if err := s.DeleteClient(ctx, "web", ""); err != nil {
		t.Fatal(err)
	}
	refused(t, s.DeleteClient(ctx, "web", ""), admin.CodeNotFound)

	events, err := s.Events(ctx, admin.EventFilter{ClientID: "web"}, admin.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events.Items {
		got = append(got, e.Type+" by "+e.Actor.Kind+": "+e.Reason)
	}
	want := []string{
		"client_deleted by admin: by an administrator", "client_secret_issued by admin: leaked",
		"client_updated by admin: by an administrator", "client_created by admin: a new app",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if log := s.log.String(); strings.Contains(log, made.Secret) || strings.Contains(log, rotated.Secret) {
		t.Error("the log shows a client secret")
	}
}

func TestLists_WalkPages(t *testing.T) {
	s, ctx := start(t), t.Context()
	want := []string{"a", "b", "c", "d", "e"}
	for _, id := range want {
		if _, err := s.CreateClient(ctx, admin.NewClient{ClientSpec: admin.ClientSpec{ID: id}}, ""); err != nil {
			t.Fatal(err)
		}
	}
	for limit := 1; limit <= 6; limit++ {
		var got []string
		for c, err := range admin.All(ctx, func(ctx context.Context, p admin.Page) (admin.List[admin.ClientRecord], error) {
			p.Limit = limit
			return s.Clients(ctx, p)
		}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, c.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: got %v, want %v", limit, got, want)
		}
	}
	var newestFirst []string
	var page admin.Page
	for page.Limit = 2; ; {
		events, err := s.Events(ctx, admin.EventFilter{Type: "client_created"}, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events.Items {
			newestFirst = append(newestFirst, e.ClientID)
		}
		if page.After = events.Next; page.After == "" {
			break
		}
	}
	slices.Reverse(want)
	if !slices.Equal(newestFirst, want) {
		t.Errorf("events: got %v, want %v", newestFirst, want)
	}
}

func TestAccounts(t *testing.T) {
	s, ctx := start(t), t.Context()
	const password = "correct horse battery staple"
	ann, err := s.CreateAccount(ctx, admin.NewAccount{AccountSpec: admin.AccountSpec{Login: "Ann", Email: "ann@example.com"}, Password: password}, "")
	if err != nil {
		t.Fatal(err)
	}
	if ann.Login != "ann" || !ann.HasPassword {
		t.Errorf("got %+v", ann)
	}
	_, err = s.CreateAccount(ctx, admin.NewAccount{AccountSpec: admin.AccountSpec{Login: "ANN"}}, "")
	refused(t, err, admin.CodeConflict)
	_, err = s.CreateAccount(ctx, admin.NewAccount{AccountSpec: admin.AccountSpec{Login: "bob"}, Password: "short"}, "")
	refused(t, err, admin.CodeInvalid)
	refused(t, s.DisableAccount(ctx, "nobody", ""), admin.CodeNotFound)

	for _, step := range []struct {
		name     string
		call     func() error
		disabled bool
	}{
		{"disable by login", func() error { return s.DisableAccount(ctx, "ann", "left") }, true},
		{"enable by id", func() error { return s.EnableAccount(ctx, ann.ID, "is back") }, false},
		{"password", func() error { return s.SetPassword(ctx, "ann", "another horse battery staple", "") }, false},
		{"end sessions", func() error { return s.EndSessions(ctx, "ann", "") }, false},
	} {
		if err := step.call(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		got, err := s.Account(ctx, "ann")
		if err != nil {
			t.Fatal(err)
		}
		if got.Disabled != step.disabled {
			t.Errorf("%s: disabled is %v, want %v", step.name, got.Disabled, step.disabled)
		}
	}
	events, err := s.Events(ctx, admin.EventFilter{AccountID: "ann"}, admin.Page{})
	if err != nil {
		t.Fatal(err)
	}
	if len(events.Items) < 4 {
		t.Errorf("%d events for ann, want at least 4", len(events.Items))
	}
	if strings.Contains(s.log.String(), password) {
		t.Error("the log shows a password")
	}
}

func TestTokens_ExplainAndRevoke(t *testing.T) {
	s, ctx := start(t), t.Context()
	token := s.machine(t, "machine")
	before, err := s.ExplainToken(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	if !before.Active() || len(before.Header) == 0 {
		t.Errorf("a fresh token: %+v", before.Checks)
	}
	var claims struct {
		Client string `json:"client_id"`
	}
	if err := json.Unmarshal(before.Claims, &claims); err != nil || claims.Client != "machine" {
		t.Errorf("claims name %q, %v", claims.Client, err)
	}
	if err := s.RevokeToken(ctx, token, "seen in a chat"); err != nil {
		t.Fatal(err)
	}
	after, err := s.ExplainToken(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	if after.Active() {
		t.Error("a revoked token explains as active")
	}
	refused(t, s.RevokeToken(ctx, "rubbish", ""), admin.CodeNotFound)
	if log := s.log.String(); strings.Contains(log, token) || strings.Contains(log, "rubbish") {
		t.Error("the log shows a token")
	}
}

func TestGrants_End(t *testing.T) {
	s, ctx := start(t), t.Context()
	token := s.machine(t, "machine")
	grants, err := s.Grants(ctx, "", "machine", admin.Page{})
	if err != nil {
		t.Fatal(err)
	}
	if len(grants.Items) != 1 || !grants.Items[0].Live {
		t.Fatalf("got %+v, want one live grant", grants.Items)
	}
	if err := s.EndGrant(ctx, grants.Items[0].ID, "test"); err != nil {
		t.Fatal(err)
	}
	if grants, err = s.Grants(ctx, "", "machine", admin.Page{}); err != nil || len(grants.Items) != 0 {
		t.Errorf("%d live grants left, %v", len(grants.Items), err)
	}
	e, err := s.ExplainToken(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	if e.Active() {
		t.Error("a token of an ended grant explains as active")
	}
	refused(t, s.EndGrant(ctx, secret.NewID(time.Now()).String(), ""), admin.CodeNotFound)
}

func TestResources(t *testing.T) {
	s, ctx := start(t), t.Context()
	const audience = "https://api.example.com/v1"
	made, err := s.PutResource(ctx, admin.NewResource{ResourceSpec: admin.ResourceSpec{Audience: audience, Scope: []string{"reports:read"}}, CreateClient: true}, "")
	if err != nil {
		t.Fatal(err)
	}
	if made.Secret == "" || made.Resource.ClientID == "" {
		t.Fatal("no client was made for the resource")
	}
	again, err := s.PutResource(ctx, admin.NewResource{ResourceSpec: made.Resource.ResourceSpec}, "")
	if err != nil {
		t.Fatal(err)
	}
	if again.Secret != "" {
		t.Error("a second registration shows a secret")
	}
	refused(t, s.DeleteClient(ctx, made.Resource.ClientID, ""), admin.CodeConflict)
	list, err := s.Resources(ctx)
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%d resources, %v", len(list.Items), err)
	}
	if err := s.DeleteResource(ctx, audience, ""); err != nil {
		t.Fatal(err)
	}
	refused(t, s.DeleteResource(ctx, audience, ""), admin.CodeNotFound)
	_, err = s.PutResource(ctx, admin.NewResource{ResourceSpec: admin.ResourceSpec{Audience: audience}}, "")
	refused(t, err, admin.CodeInvalid)
}

func TestNew_RefusesMissingToken(t *testing.T) {
	if _, err := adminapi.New(adminapi.Config{}); err == nil {
		t.Error("an admin API without a token")
	}
}
