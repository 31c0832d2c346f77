package policy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jetonhq/jeton/internal/policy"
)

func span(d time.Duration) *policy.Span { return new(policy.Span(d)) }

func TestDemands_TheStricterOfBoth(t *testing.T) {
	for _, test := range []struct {
		name       string
		a, b, want policy.Demands
		nobody     bool
	}{
		{"age", policy.Demands{MaxAge: span(time.Minute)}, policy.Demands{MaxAge: span(time.Hour)}, policy.Demands{MaxAge: span(time.Minute)}, false},
		{"age of one", policy.Demands{}, policy.Demands{MaxAge: span(time.Hour)}, policy.Demands{MaxAge: span(time.Hour)}, false},
		{"locked", policy.Demands{MaxAge: span(time.Minute)}, policy.Demands{MaxAge: span(0)}, policy.Demands{MaxAge: span(0)}, true},
		{"scope", policy.Demands{Scope: []string{"b", "a"}}, policy.Demands{Scope: []string{"c", "a"}}, policy.Demands{Scope: []string{"a", "b", "c"}}, false},
		{"clients", policy.Demands{Clients: []string{"a", "b"}}, policy.Demands{Clients: []string{"b", "c"}}, policy.Demands{Clients: []string{"b"}}, false},
		{"clients of one", policy.Demands{Clients: []string{"a"}}, policy.Demands{}, policy.Demands{Clients: []string{"a"}}, false},
		{"no client", policy.Demands{Clients: []string{"a"}}, policy.Demands{Clients: []string{"b"}}, policy.Demands{}, true},
		{"sign-in", policy.Demands{AuthAge: span(time.Minute), ACR: []string{"a", "b"}}, policy.Demands{AuthAge: span(time.Hour), ACR: []string{"c", "b"}}, policy.Demands{AuthAge: span(time.Minute), ACR: []string{"b"}}, false},
		{"no sign-in", policy.Demands{ACR: []string{"a"}}, policy.Demands{ACR: []string{"b"}}, policy.Demands{}, true},
		{"single use", policy.Demands{SingleUse: true}, policy.Demands{}, policy.Demands{SingleUse: true}, false},
		{"fresh claims", policy.Demands{FreshClaims: true}, policy.Demands{}, policy.Demands{FreshClaims: true}, false},
		{"dpop", policy.Demands{DPoP: true}, policy.Demands{}, policy.Demands{DPoP: true}, false},
		{"no cookie", policy.Demands{NoCookie: true}, policy.Demands{}, policy.Demands{NoCookie: true}, false},
		{"registry", policy.Demands{}, policy.Demands{Registry: true}, policy.Demands{Registry: true}, false},
		{"fail", policy.Demands{Fail: policy.FailIntrospect}, policy.Demands{Fail: policy.FailClosed}, policy.Demands{Fail: policy.FailClosed}, false},
		{"fail of one", policy.Demands{Fail: policy.FailIntrospect}, policy.Demands{}, policy.Demands{Fail: policy.FailIntrospect}, false},
		{"staleness", policy.Demands{MaxStaleness: span(time.Second)}, policy.Demands{MaxStaleness: span(time.Minute)}, policy.Demands{MaxStaleness: span(time.Second)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, pair := range [][2]policy.Demands{{test.a, test.b}, {test.b, test.a}} {
				got, nobody := pair[0].And(pair[1])
				if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" || nobody != test.nobody {
					t.Errorf("nobody %v, (-want +got):\n%s", nobody, diff)
				}
			}
		})
	}
}

func TestPolicy_Check(t *testing.T) {
	good := func() policy.Policy {
		return policy.Policy{Audience: "api", Method: "POST", Pattern: "/a/", Demands: policy.Demands{Registry: true}}
	}
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*policy.Policy){
		"the audience is missing":         func(p *policy.Policy) { p.Audience = "" },
		"a method is upper-case":          func(p *policy.Policy) { p.Method = "post" },
		"a path pattern begins":           func(p *policy.Policy) { p.Pattern = "a" },
		"the path pattern is malformed":   func(p *policy.Policy) { p.Pattern = "/{" },
		"nothing is demanded":             func(p *policy.Policy) { p.Demands = policy.Demands{} },
		"the maximum age is negative":     func(p *policy.Policy) { p.Demands.MaxAge = span(-1) },
		"maximum staleness is negative":   func(p *policy.Policy) { p.Demands.MaxStaleness = span(-1) },
		"a sign-in is less than a second": func(p *policy.Policy) { p.Demands.AuthAge = span(0) },
		"a value of acr is empty":         func(p *policy.Policy) { p.Demands.ACR = []string{`a"b`} },
		"fail is introspect or closed":    func(p *policy.Policy) { p.Demands.Fail = "open" },
		"a scope is empty or has a space": func(p *policy.Policy) { p.Demands.Scope = []string{"a b"} },
		"a client is empty":               func(p *policy.Policy) { p.Demands.Clients = []string{""} },
	} {
		p := good()
		edit(&p)
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}

func TestDecode(t *testing.T) {
	p := policy.Policy{Audience: "api", Pattern: "/", Demands: policy.Demands{MaxAge: span(0), Scope: []string{"a"}}}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := policy.Decode(data)
	if diff := cmp.Diff(p, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	got, err = policy.Decode([]byte(`{"audience":"api","pattern":"/x","demands":{"moon":"full"}}`))
	if !errors.Is(err, policy.ErrUnknown) || got.Pattern != "/x" {
		t.Errorf("a demand of a later version: %+v, %v", got, err)
	}
	for _, bad := range []string{``, `[]`, `{"demands":{"max_age":5}}`} {
		if _, err := policy.Decode([]byte(bad)); err == nil || errors.Is(err, policy.ErrUnknown) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
