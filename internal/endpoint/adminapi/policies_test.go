package adminapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jetonhq/jeton/admin"
)

const reports = "https://reports.example.com"

func withResource(t *testing.T) *server {
	t.Helper()
	s := start(t)
	if _, err := s.PutResource(t.Context(), admin.NewResource{ResourceSpec: admin.ResourceSpec{Audience: reports}, CreateClient: true}, ""); err != nil {
		t.Fatal(err)
	}
	return s
}

func lock(name, pattern string) admin.PolicySpec {
	return admin.PolicySpec{Name: name, Audience: reports, Pattern: pattern, MaxAge: new(admin.Duration(0))}
}

func TestPolicies_RoundTrip(t *testing.T) {
	s := withResource(t)
	full := admin.PolicySpec{
		Name: "payments", Audience: reports, Method: "POST", Pattern: "/payments/{id}",
		MaxAge: new(admin.Duration(time.Minute)), Scope: []string{"pay"}, Clients: []string{"shop", "app"}, SingleUse: true,
		Registry: true, Network: "enforce", Fail: "closed", MaxStaleness: new(admin.Duration(time.Second)),
	}
	put, err := s.PutPolicy(t.Context(), full, "TICKET-1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, put.PolicySpec); diff != "" || put.Version != 1 {
		t.Errorf("version %d (-want +got):\n%s", put.Version, diff)
	}
	again, err := s.PutPolicy(t.Context(), full, "no difference")
	if err != nil || again.Version != 1 {
		t.Errorf("the same again: version %d, %v", again.Version, err)
	}
	if _, err := s.PutPolicy(t.Context(), lock("lock", "/"), "TICKET-2"); err != nil {
		t.Fatal(err)
	}
	list, err := s.Policies(t.Context(), reports)
	if err != nil || len(list.Items) != 2 || list.Items[0].Name != "lock" {
		t.Errorf("list: %+v, %v", list.Items, err)
	}
	if list, err = s.Policies(t.Context(), "https://other.example.com"); err != nil || len(list.Items) != 0 {
		t.Errorf("list of another API: %+v, %v", list.Items, err)
	}
	found, err := s.Policy(t.Context(), "payments")
	if diff := cmp.Diff(put, found); diff != "" || err != nil {
		t.Errorf("%v (-put +found):\n%s", err, diff)
	}
	events, err := s.Events(t.Context(), admin.EventFilter{Type: "policy_set"}, admin.Page{})
	if err != nil || len(events.Items) != 2 || events.Items[1].Reason != "TICKET-1" || events.Items[1].Data["name"] != "payments" {
		t.Errorf("events: %+v, %v", events.Items, err)
	}
	if err := s.DeletePolicy(t.Context(), "payments", "TICKET-3"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Policy(t.Context(), "payments"); admin.CodeOf(err) != admin.CodeNotFound {
		t.Errorf("deleted: %v", err)
	}
	if err := s.DeletePolicy(t.Context(), "payments", ""); admin.CodeOf(err) != admin.CodeNotFound {
		t.Errorf("deleted again: %v", err)
	}
}

func TestPolicies_BadOnesAreRefusedWhenTheyAreSet(t *testing.T) {
	s := withResource(t)
	for want, edit := range map[string]func(*admin.PolicySpec){
		"path pattern is malformed":       func(p *admin.PolicySpec) { p.Pattern = "/{id" },
		"a path pattern begins":           func(p *admin.PolicySpec) { p.Pattern = "POST /payments" },
		"no request has such a path":      func(p *admin.PolicySpec) { p.Pattern = "/a/../b" },
		"a method is upper-case":          func(p *admin.PolicySpec) { p.Method = "post" },
		"no API with this audience":       func(p *admin.PolicySpec) { p.Audience = "https://typo.example.com" },
		"nothing is demanded":             func(p *admin.PolicySpec) { p.MaxAge = nil },
		"the maximum age is negative":     func(p *admin.PolicySpec) { p.MaxAge = new(admin.Duration(-1)) },
		"fail is introspect or closed":    func(p *admin.PolicySpec) { p.Fail = "open" },
		"a name is 1 to 64":               func(p *admin.PolicySpec) { p.Name = "No Name" },
		"a scope is empty or has a space": func(p *admin.PolicySpec) { p.Scope = []string{"a b"} },
	} {
		spec := lock("lock", "/")
		edit(&spec)
		_, err := s.PutPolicy(t.Context(), spec, "")
		if admin.CodeOf(err) != admin.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if list, err := s.Policies(t.Context(), ""); err != nil || len(list.Items) != 0 {
		t.Errorf("after refusals: %+v, %v", list.Items, err)
	}
}

func TestPolicies_Test(t *testing.T) {
	s := withResource(t)
	for _, spec := range []admin.PolicySpec{
		{Name: "all", Audience: reports, Pattern: "/", MaxAge: new(admin.Duration(time.Hour)), Clients: []string{"shop", "app"}},
		{Name: "pay", Audience: reports, Pattern: "/pay/", Method: "POST", MaxAge: new(admin.Duration(time.Minute)), Clients: []string{"shop"}, Scope: []string{"pay"}},
		lock("lock", "/old/"),
	} {
		if _, err := s.PutPolicy(t.Context(), spec, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		method, path string
		policies     []string
		together     admin.PolicySpec
		nobody       bool
	}{
		{"GET", "/pay/7", []string{"all"}, admin.PolicySpec{MaxAge: new(admin.Duration(time.Hour)), Clients: []string{"shop", "app"}}, false},
		{"POST", "/pay/7", []string{"all", "pay"}, admin.PolicySpec{MaxAge: new(admin.Duration(time.Minute)), Clients: []string{"shop"}, Scope: []string{"pay"}}, false},
		{"GET", "/x/../old/", []string{"all", "lock"}, admin.PolicySpec{MaxAge: new(admin.Duration(0)), Clients: []string{"shop", "app"}}, true},
	} {
		got, err := s.TestPolicies(t.Context(), reports, test.method, test.path)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range got.Policies {
			names = append(names, p.Name)
		}
		if diff := cmp.Diff(test.policies, names) + cmp.Diff(test.together, got.Together, cmpopts.EquateEmpty()); diff != "" || got.Nobody != test.nobody {
			t.Errorf("%s %s: nobody %v (-want +got):\n%s", test.method, test.path, got.Nobody, diff)
		}
	}
	if _, err := s.TestPolicies(t.Context(), reports, "get", "x"); admin.CodeOf(err) != admin.CodeInvalid {
		t.Errorf("a request that cannot be: %v", err)
	}
}

func TestPolicies_Apply(t *testing.T) {
	s := withResource(t)
	d := admin.Document{Policies: []admin.PolicySpec{lock("one", "/a"), lock("two", "/b")}}
	diff, err := s.Apply(t.Context(), d, false, "")
	if err != nil || len(diff.Changes) != 2 || diff.Changes[0].Action != admin.Create {
		t.Fatalf("%+v, %v", diff, err)
	}
	if diff, err = s.Apply(t.Context(), d, false, ""); err != nil || diff.Changed() {
		t.Errorf("again: %+v, %v", diff, err)
	}
	d = admin.Document{Policies: []admin.PolicySpec{lock("one", "/c")}, Prune: true}
	diff, err = s.Apply(t.Context(), d, false, "")
	if err != nil || len(diff.Changes) != 2 || diff.Changes[0].Action != admin.Update || diff.Changes[1].Action != admin.Delete {
		t.Errorf("%+v, %v", diff, err)
	}
	list, err := s.Policies(t.Context(), "")
	if err != nil || len(list.Items) != 1 || list.Items[0].Pattern != "/c" {
		t.Errorf("%+v, %v", list.Items, err)
	}
}
