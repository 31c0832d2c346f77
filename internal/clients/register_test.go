package clients_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

func TestBCP_4_ClientIDs(t *testing.T) {
	w := open(t)
	for id, want := range map[string]bool{
		"a": true, "reports-api": true, "com.example.app": true, "A_b~c.d-e": true, strings.Repeat("a", 128): true,
		strings.Repeat("a", 21): true, strings.Repeat("a", 23): true, strings.Repeat("a", 21) + ".": true,
		// 22 characters of base64url look like the `sub` of a person.
		secret.NewID(w.clock()).String(): false, strings.Repeat("a", 22): false, "_" + strings.Repeat("a", 21): false,
		strings.Repeat("a", 129): false, "a b": false, "a/b": false, "a:b": false, "a%b": false, "é": false, "a\n": false,
		".": false, "..": false, "-a": false, "https://app.example.com": false,
	} {
		p := machine()
		p.ID = id
		if _, _, err := w.apps.Create(t.Context(), admin, p, ""); (err == nil) != want || err != nil && !errors.Is(err, clients.ErrInvalid) {
			t.Errorf("%q: %v, want accepted = %v", id, err, want)
		}
	}
	p := machine()
	p.ID = ""
	c, _ := w.create(p)
	if c.ID == "" || len(c.ID) == 22 {
		t.Errorf("made-up id %q", c.ID)
	}
}

func TestCC_1_NoPublicClientCredentials(t *testing.T) {
	w := open(t)
	p := spa()
	p.GrantTypes = append(p.GrantTypes, oauth.ClientCredentials)
	if _, _, err := w.apps.Create(t.Context(), admin, p, ""); !errors.Is(err, clients.ErrInvalid) {
		t.Errorf("Create: %v, want ErrInvalid", err)
	}
	w.create(spa())
	if _, err := w.apps.Update(t.Context(), admin, "spa", p, ""); !errors.Is(err, clients.ErrInvalid) {
		t.Errorf("Update: %v, want ErrInvalid", err)
	}
	w.create(machine())
	m := machine()
	m.AuthMethod = oauth.NoAuthentication
	if _, err := w.apps.Update(t.Context(), admin, "machine", m, ""); !errors.Is(err, clients.ErrInvalid) {
		t.Errorf("Update that makes it public: %v, want ErrInvalid", err)
	}
}

func TestSpec_Refuses(t *testing.T) {
	w := open(t)
	for name, test := range map[string]struct {
		change func(*clients.Spec)
		want   string
	}{
		"GEN-8 scope with space":        {func(p *clients.Spec) { p.Scope = []string{"a b"} }, "scope 1"},
		"GEN-8 scope with quote":        {func(p *clients.Spec) { p.Scope = []string{"a", "b\""} }, "scope 2"},
		"GEN-8 empty scope token":       {func(p *clients.Spec) { p.Scope = []string{""} }, "scope 1"},
		"scope twice":                   {func(p *clients.Spec) { p.Scope = []string{"a", "a"} }, "twice"},
		"unknown grant type":            {func(p *clients.Spec) { p.GrantTypes = append(p.GrantTypes, "password") }, "grant type 3"},
		"unknown authentication method": {func(p *clients.Spec) { p.AuthMethod = "private_key_jwt" }, "authentication method"},
		"no redirect URI":               {func(p *clients.Spec) { p.RedirectURIs = nil }, "redirect URIs"},
		"BCP-1 http redirect URI":       {func(p *clients.Spec) { p.RedirectURIs = []string{"http://app.example.com/cb"} }, "redirect URI 1"},
		"fragment after logout":         {func(p *clients.Spec) { p.PostLogoutRedirectURIs = []string{"https://a.example/#x"} }, "post-logout redirect URI 1"},
		"redirect URI twice":            {func(p *clients.Spec) { p.RedirectURIs = []string{"https://a.example/", "https://a.example/"} }, "twice"},
		"audience with space":           {func(p *clients.Spec) { p.Audience = "a b" }, "audience"},
		"ID token algorithm":            {func(p *clients.Spec) { p.IDTokenAlg = "none" }, "ID token algorithm"},
		"ID token HMAC":                 {func(p *clients.Spec) { p.IDTokenAlg = "HS256" }, "ID token algorithm"},
		"negative lifetime":             {func(p *clients.Spec) { p.AccessLifetime = -1 }, "negative"},
		"access token of two days":      {func(p *clients.Spec) { p.AccessLifetime = 48 * time.Hour }, "access lifetime"},
		"idle beyond absolute":          {func(p *clients.Spec) { p.RefreshIdle, p.RefreshAbsolute = 2, 1 }, "refresh lifetimes"},
		"unknown refresh policy":        {func(p *clients.Spec) { p.RefreshPolicy = "x" }, "refresh policy"},
		"BCP-2 bound and public": {func(p *clients.Spec) {
			p.AuthMethod, p.RefreshPolicy = oauth.NoAuthentication, authority.RefreshBound
		}, "refresh policy"},
		"public without PKCE": {func(p *clients.Spec) { p.AuthMethod, p.WithoutPKCE = oauth.NoAuthentication, true }, "PKCE"},
		"public with secret": {func(p *clients.Spec) {
			p.AuthMethod, p.Secret = oauth.NoAuthentication, secret.New(strings.Repeat("x", 40))
		}, "secret"},
		"weak secret":         {func(p *clients.Spec) { p.Secret = secret.New("hunter2") }, "secret"},
		"name with a control": {func(p *clients.Spec) { p.Name = "a\x1b[0m" }, "name"},
		"id":                  {func(p *clients.Spec) { p.ID = "a b" }, "id"},
	} {
		p := web()
		test.change(&p)
		_, _, err := w.apps.Create(t.Context(), admin, p, "")
		if !errors.Is(err, clients.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want ErrInvalid with %q", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error has the secret", name)
		}
	}
	// Everything at once.
	_, _, err := w.apps.Create(t.Context(), authority.Actor{}, clients.Spec{ID: "!", AuthMethod: "x", GrantTypes: []string{"y"}, Scope: []string{""}}, "")
	for _, part := range []string{"who makes this change", "id:", "authentication method", "grant type 1", "scope 1"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not mention %q: %v", part, err)
		}
	}
	if list, err := w.apps.List(t.Context(), authority.Page{}); err != nil || len(list) != 0 {
		t.Errorf("%d clients stored, %v; want none", len(list), err)
	}
}

func TestCreateUpdateDelete(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	created, plain := w.create(machine())
	if created.AuthMethod != oauth.ClientSecretBasic || created.Name != "machine" {
		t.Errorf("defaults: %+v", created)
	}
	if _, _, err := w.apps.Create(ctx, admin, machine(), ""); !errors.Is(err, authority.ErrConflict) {
		t.Errorf("the same id again: %v, want ErrConflict", err)
	}

	p := clients.SpecOf(created)
	if same, err := w.apps.Update(ctx, admin, "machine", p, "nothing"); err != nil || same.Version != created.Version {
		t.Errorf("update without a change: version %d, %v", same.Version, err)
	}
	p.Scope, p.AccessLifetime = []string{"reports:read", "admin"}, time.Minute
	updated, err := w.apps.Update(ctx, admin, "machine", p, "wider")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := w.store.Client(ctx, "machine")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stored, updated); diff != "" {
		t.Errorf("stored and returned differ: %s", diff)
	}
	if events := w.events(authority.EventClientUpdated); len(events) != 1 || events[0].Data["changed"] != "Scope AccessLifetime" || events[0].Reason != "wider" || events[0].Actor != admin {
		t.Errorf("events = %+v", events)
	}
	if err := w.authenticate(oauth.ClientSecretBasic, "machine", plain.Reveal(), home); err != nil {
		t.Errorf("the secret after an update: %v", err)
	}
	p.Name = "Machine"
	if _, err := w.apps.Update(ctx, admin, "machine", p, "with an old version"); !errors.Is(err, authority.ErrConflict) {
		t.Errorf("update of an old version: %v, want ErrConflict", err)
	}

	// Disabling ends grants; deleting as well, and everything is refused at once.
	grant := w.standing("machine")
	p = clients.SpecOf(updated)
	p.Disabled = true
	if _, err := w.apps.Update(ctx, admin, "machine", p, "misbehaves"); err != nil {
		t.Fatal(err)
	}
	w.wantGrant("of a disabled client", grant, false)
	if err := w.authenticate(oauth.ClientSecretBasic, "machine", plain.Reveal(), home); oauth.CodeOf(err) != oauth.InvalidClient {
		t.Errorf("disabled: %v", err)
	}
	p.Disabled, p.Version = false, 0
	if _, err := w.apps.Update(ctx, admin, "machine", p, "behaves again"); err != nil {
		t.Fatal(err)
	}
	grant = w.standing("machine")
	if err := w.apps.Delete(ctx, admin, "machine", "gone"); err != nil {
		t.Fatal(err)
	}
	w.wantGrant("of a deleted client", grant, false)
	if _, err := w.apps.Lookup(ctx, "machine"); !errors.Is(err, authority.ErrNotFound) {
		t.Errorf("Lookup of a deleted client: %v, want ErrNotFound", err)
	}
	if err := w.apps.Delete(ctx, admin, "machine", "again"); !errors.Is(err, authority.ErrNotFound) {
		t.Errorf("Delete again: %v, want ErrNotFound", err)
	}
	if n := len(w.events(authority.EventClientDeleted)); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

// A client that becomes public has no secret left that could become live again.
func TestUpdate_ToPublicDropsSecrets(t *testing.T) {
	w := open(t)
	_, plain := w.create(web())
	p := web()
	p.AuthMethod = oauth.NoAuthentication
	if c, err := w.apps.Update(t.Context(), admin, "web", p, ""); err != nil || len(c.Secrets) != 0 {
		t.Fatalf("%d secrets, %v", len(c.Secrets), err)
	}
	if _, err := w.apps.Update(t.Context(), admin, "web", web(), ""); err != nil {
		t.Fatal(err)
	}
	if err := w.authenticate(oauth.ClientSecretPost, "web", plain.Reveal(), home); oauth.CodeOf(err) != oauth.InvalidClient {
		t.Errorf("the secret of before: %v, want invalid_client", err)
	}
}

// slowStore lets a test change a client while a Lookup holds what it read.
type slowStore struct {
	authority.ClientStore
	reads  int
	during func()
}

func (s *slowStore) Client(ctx context.Context, id string) (authority.Client, error) {
	s.reads++
	c, err := s.ClientStore.Client(ctx, id)
	if f := s.during; f != nil {
		s.during = nil
		f()
	}
	return c, err
}

func TestLookup_Cache(t *testing.T) {
	var store *slowStore
	w := open(t, func(c *clients.Config) {
		store = &slowStore{ClientStore: c.Store}
		c.Store = store
	})
	ctx := t.Context()
	w.create(machine())
	name := func(want string) {
		t.Helper()
		if c, err := w.apps.Lookup(ctx, "machine"); err != nil || c.Name != want {
			t.Errorf("name = %q, %v; want %q", c.Name, err, want)
		}
	}
	rename := func(to string) {
		t.Helper()
		p := machine()
		p.Name = to
		if _, err := w.apps.Update(ctx, admin, "machine", p, ""); err != nil {
			t.Error(err)
		}
	}
	name("machine")
	store.reads = 0
	for range 10 {
		name("machine")
	}
	if store.reads != 0 {
		t.Errorf("%d reads within CacheFor, want none", store.reads)
	}
	rename("own change")
	name("own change")

	// Another node's change is seen after CacheFor.
	c, err := w.store.Client(ctx, "machine")
	if err != nil {
		t.Fatal(err)
	}
	c.Name = "change elsewhere"
	if err := w.store.UpdateClient(ctx, c, authority.Event{ID: secret.NewID(w.clock()), Type: authority.EventClientUpdated, Actor: admin}); err != nil {
		t.Fatal(err)
	}
	name("own change")
	w.pass(time.Second)
	name("change elsewhere")

	// What was read before an own change is not kept after it.
	w.pass(time.Second)
	store.during = func() { rename("newest") }
	name("change elsewhere")
	name("newest")
}

func TestResources(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	const api = "https://api.example.com"
	r, plain, err := w.apps.PutResource(ctx, admin, clients.ResourceSpec{Audience: api, Scope: []string{"read"}, ClientID: "api", CreateClient: true}, "test")
	if err != nil || plain.Empty() || r.ClientID != "api" || r.Name != api {
		t.Fatalf("PutResource = %+v, %v", r, err)
	}
	if err := w.authenticate(oauth.ClientSecretBasic, "api", plain.Reveal(), home); err != nil {
		t.Errorf("the resource's client: %v", err)
	}
	if own, err := w.apps.ResourceOf(ctx, "api"); err != nil || len(own) != 1 || own[0].Audience != api {
		t.Errorf("ResourceOf = %+v, %v", own, err)
	}
	again, plain, err := w.apps.PutResource(ctx, admin, clients.ResourceSpec{Audience: api, Scope: []string{"read"}, CreateClient: true}, "again")
	if err != nil || !plain.Empty() || again.ClientID != "api" {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	if n := len(w.events(authority.EventResourceUpdated)); n != 0 {
		t.Errorf("%d updates without a change", n)
	}
	changed, _, err := w.apps.PutResource(ctx, admin, clients.ResourceSpec{Audience: api, Scope: []string{"read", "write"}, ClientID: "api"}, "wider")
	if err != nil || !slices.Equal(changed.Scope, []string{"read", "write"}) || !changed.CreatedAt.Equal(r.CreatedAt) {
		t.Errorf("changed: %+v, %v", changed, err)
	}
	if own, err := w.apps.ResourceOf(ctx, "api"); err != nil || len(own) != 1 || len(own[0].Scope) != 2 {
		t.Errorf("ResourceOf after a change = %+v, %v", own, err)
	}

	w.create(spa())
	for name, p := range map[string]clients.ResourceSpec{
		"no client":      {Audience: "x"},
		"unknown client": {Audience: "x", ClientID: "nobody"},
		"public client":  {Audience: "x", ClientID: "spa"},
		"no audience":    {ClientID: "api"},
		"bad audience":   {Audience: "a b", ClientID: "api"},
		"bad scope":      {Audience: "x", ClientID: "api", Scope: []string{"a b"}},
	} {
		if _, _, err := w.apps.PutResource(ctx, admin, p, ""); !errors.Is(err, clients.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}

	if err := w.apps.Delete(ctx, admin, "api", ""); !errors.Is(err, authority.ErrConflict) {
		t.Errorf("deleting a resource's client: %v, want ErrConflict", err)
	}
	if err := w.apps.DeleteResource(ctx, admin, api, "gone"); err != nil {
		t.Fatal(err)
	}
	if own, err := w.apps.ResourceOf(ctx, "api"); err != nil || len(own) != 0 {
		t.Errorf("ResourceOf after deletion = %+v, %v", own, err)
	}
	if err := w.apps.DeleteResource(ctx, admin, api, "again"); !errors.Is(err, authority.ErrNotFound) {
		t.Errorf("deleting it again: %v, want ErrNotFound", err)
	}
	if err := w.apps.Delete(ctx, admin, "api", ""); err != nil {
		t.Error(err)
	}
}

// RFC 7662 section 4: a token's state is for its client and for the resource it was made for.
func TestVisible(t *testing.T) {
	api := authority.Client{ID: "api"}
	own := []authority.Resource{{Audience: "https://api", ClientID: "api"}, {Audience: "https://two", ClientID: "api"}}
	for _, test := range []struct {
		name      string
		caller    authority.Client
		resources []authority.Resource
		audience  []string
		client    string
		want      bool
	}{
		{"own token", authority.Client{ID: "web"}, nil, []string{"https://api"}, "web", true},
		{"another client's token", authority.Client{ID: "web"}, nil, []string{"https://api"}, "spa", false},
		{"resource", api, own, []string{"https://api"}, "web", true},
		{"resource among several audiences", api, own, []string{"https://other", "https://two"}, "web", true},
		{"another resource's token", api, own, []string{"https://other"}, "web", false},
		{"longer audience", api, own, []string{"https://api/"}, "web", false},
		{"resources of somebody else", authority.Client{ID: "web"}, own, []string{"https://api"}, "spa", false},
		{"nobody", authority.Client{}, []authority.Resource{{Audience: "https://api"}}, []string{"https://api"}, "", false},
	} {
		if got := clients.Visible(test.caller, test.resources, test.audience, test.client); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// Every member that can be registered survives Spec → Client → Spec.
func TestSpec_RoundTrip(t *testing.T) {
	w := open(t)
	p := clients.Spec{
		ID: "full", Name: "Full", AuthMethod: oauth.ClientSecretPost, GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken},
		RedirectURIs: []string{"http://127.0.0.1/cb"}, PostLogoutRedirectURIs: []string{"https://a.example/out"}, Scope: []string{"openid"},
		Audience: "https://api", FirstParty: true, Native: true, WithoutPKCE: true, IDTokenAlg: "Ed25519", AccessLifetime: time.Minute,
		RefreshIdle: time.Hour, RefreshAbsolute: 2 * time.Hour, RefreshPolicy: authority.RefreshBound, RevokeShared: true, Disabled: true,
		IP: authority.IPEnforce, IPRefresh: true, DPoPBound: true,
	}
	w.create(p)
	stored, err := w.store.Client(t.Context(), "full")
	if err != nil {
		t.Fatal(err)
	}
	got := clients.SpecOf(stored)
	if d := got.Differences(p); len(d) != 0 {
		t.Errorf("differences: %v", d)
	}
	if d := (clients.Spec{}).Differences(p); len(d) != 21 {
		t.Errorf("a full specification differs from an empty one in %d members, want all 21: %v", len(d), d)
	}
}
