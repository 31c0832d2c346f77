package adminapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/admin"
)

func declared() admin.Document {
	return admin.Document{
		Clients: []admin.NewClient{
			{ClientSpec: admin.ClientSpec{ID: "reports-api"}, Secret: strings.Repeat("a", 43)},
			{ClientSpec: admin.ClientSpec{ID: "machine", GrantTypes: []string{"client_credentials"}, Scope: []string{"reports:read"}}},
			{ClientSpec: admin.ClientSpec{ID: "spa", AuthMethod: "none", GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{"https://app.example.com/"}}},
		},
		Resources: []admin.ResourceSpec{{Audience: "https://api.example.com", ClientID: "reports-api", Scope: []string{"reports:read"}}},
		Accounts:  []admin.NewAccount{{AccountSpec: admin.AccountSpec{Login: "Ann", Email: "ann@example.com"}, Password: "correct horse battery staple"}},
	}
}

// apply returns the diff as lines such as "~ client web: name secret".
func (s *server) apply(t *testing.T, d admin.Document, dryRun bool) ([]string, admin.Diff) {
	t.Helper()
	diff, err := s.Apply(t.Context(), d, dryRun, "as declared")
	if err != nil {
		t.Fatal(err)
	}
	if diff.Applied == dryRun {
		t.Errorf("applied is %v in a dry run of %v", diff.Applied, dryRun)
	}
	var lines []string
	for _, c := range diff.Changes {
		line := string(c.Action) + " " + c.Kind + " " + c.Name
		var fields []string
		for _, f := range c.Fields {
			fields = append(fields, f.Name)
		}
		if c.Action == admin.Update {
			line += ": " + strings.Join(fields, " ")
		}
		lines = append(lines, line)
	}
	return lines, diff
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func (s *server) events(t *testing.T) int {
	t.Helper()
	events, err := s.Events(t.Context(), admin.EventFilter{}, admin.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return len(events.Items)
}

func TestApply_Idempotent(t *testing.T) {
	s := start(t)
	created := []string{"create client reports-api", "create client machine", "create client spa", "create resource https://api.example.com", "create account ann"}
	kept := []string{"keep client reports-api", "keep client machine", "keep client spa", "keep resource https://api.example.com", "keep account ann"}

	before := s.events(t)
	got, _ := s.apply(t, declared(), true)
	same(t, got, created)
	if after := s.events(t); after != before {
		t.Errorf("a dry run wrote %d events", after-before)
	}

	got, diff := s.apply(t, declared(), false)
	same(t, got, created)
	if diff.Changes[0].Secret != "" || diff.Changes[1].Secret == "" || diff.Changes[2].Secret != "" {
		t.Error("want one secret shown: of the client that was declared without one and needs one")
	}

	before = s.events(t)
	got, diff = s.apply(t, declared(), false)
	same(t, got, kept)
	if diff.Changed() {
		t.Error("the second diff says something changed")
	}
	if after := s.events(t); after != before {
		t.Errorf("applying again wrote %d events", after-before)
	}
}

func TestApply_ChangesWhatDiffers(t *testing.T) {
	s, ctx := start(t), t.Context()
	s.apply(t, declared(), false)
	d := declared()
	d.Clients[0].Secret = strings.Repeat("b", 43)
	d.Clients[1].Scope = []string{"reports:read", "admin"}
	d.Clients[2].AuthMethod = "client_secret_basic"
	d.Accounts[0].Disabled = true
	d.Accounts[0].Password = "another horse battery staple"
	d.Resources[0].Name = "Reports"
	got, diff := s.apply(t, d, false)
	same(t, got, []string{
		"update client reports-api: secret", "update client machine: scope", "update client spa: auth_method secret",
		"update resource https://api.example.com: name", "update account ann: disabled",
	})
	if field := diff.Changes[1].Fields[0]; field.Old != "reports:read" || field.New != "reports:read admin" {
		t.Errorf("scope: %q to %q", field.Old, field.New)
	}
	for _, f := range diff.Changes[0].Fields {
		if f.Old != "" || f.New != "" {
			t.Error("the diff shows a secret's value")
		}
	}
	if diff.Changes[2].Secret == "" {
		t.Error("a client that became confidential has no secret shown")
	}
	got, _ = s.apply(t, d, false)
	same(t, got, []string{"keep client reports-api", "keep client machine", "keep client spa", "keep resource https://api.example.com", "keep account ann"})

	api, err := s.Client.Client(ctx, "reports-api")
	if err != nil || len(api.Secrets) != 2 {
		t.Errorf("%d secrets live after a rotation, want 2 (%v)", len(api.Secrets), err)
	}
	ann, err := s.Account(ctx, "ann")
	if err != nil || !ann.Disabled {
		t.Errorf("ann is not disabled (%v)", err)
	}
}

func TestApply_DeletesOnlyWhenToldTo(t *testing.T) {
	s := start(t)
	s.apply(t, declared(), false)
	less := declared()
	less.Clients, less.Accounts = less.Clients[:1], nil
	got, _ := s.apply(t, less, false)
	same(t, got, []string{"keep client reports-api", "keep resource https://api.example.com"})

	less.Prune = true
	got, _ = s.apply(t, less, false)
	same(t, got, []string{"keep client reports-api", "keep resource https://api.example.com", "delete client machine", "delete client spa"})
	if _, err := s.Account(t.Context(), "ann"); err != nil {
		t.Errorf("pruning removed an account: %v", err)
	}

	// A document about clients alone says nothing about resources.
	less.Resources = nil
	got, _ = s.apply(t, less, false)
	same(t, got, []string{"keep client reports-api"})
}

func TestApply_Refuses(t *testing.T) {
	s := start(t)
	before := s.events(t)
	twice := declared()
	twice.Clients = append(twice.Clients, twice.Clients[0])
	nameless := declared()
	nameless.Clients[0].ID = ""
	sameLogin := declared()
	sameLogin.Accounts = append(sameLogin.Accounts, admin.NewAccount{AccountSpec: admin.AccountSpec{Login: "ANN"}})
	for name, d := range map[string]admin.Document{"twice": twice, "nameless": nameless, "same login": sameLogin} {
		_, err := s.Apply(t.Context(), d, false, "")
		if admin.CodeOf(err) != admin.CodeInvalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if after := s.events(t); after != before {
		t.Errorf("refused documents wrote %d events", after-before)
	}
	wrong := admin.Document{Clients: []admin.NewClient{{ClientSpec: admin.ClientSpec{ID: "a", GrantTypes: []string{"password"}}}}}
	if _, err := s.Apply(t.Context(), wrong, false, ""); admin.CodeOf(err) != admin.CodeInvalid || !strings.Contains(err.Error(), "client a") {
		t.Errorf("got %v, want the client named", err)
	}
}
