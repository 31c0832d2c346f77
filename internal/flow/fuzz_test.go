package flow_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/flow"
	"github.com/jetonhq/jeton/oauth"
)

// oneClient knows one client, so that fuzzing needs no database.
type oneClient struct{ authority.Client }

func (o oneClient) Lookup(_ context.Context, id string) (authority.Client, error) {
	if id != o.ID {
		return authority.Client{}, authority.ErrNotFound
	}
	return o.Client, nil
}

func (oneClient) AudienceOf(authority.Client) string { return "" }

// Whatever the query, an answer leaves only for a registered redirect URI, and
// carries iss and the state as it was sent.
func FuzzDecide(f *testing.F) {
	client := authority.Client{
		ID: "app", AuthMethod: oauth.NoAuthentication, Native: true, GrantTypes: []string{oauth.AuthorizationCode}, Scope: []string{"read"},
		RedirectURIs: []string{callback, "http://127.0.0.1/cb?x=1"},
	}
	decider, err := flow.New(flow.Config{
		Issuer: issuer, Clients: oneClient{client}, Store: &failing{}, Hints: hints{},
		Key: func() (string, []byte) { return "k", []byte("key") }, KeyByID: func(string) ([]byte, bool) { return []byte("key"), true },
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(q("app", "redirect_uri", callback, "scope", "read"))
	f.Add(q("app", "redirect_uri", "http://127.0.0.1:8/cb?x=1", "scope", "\""))
	f.Add(q("app", "redirect_uri", "http://127.0.0.1:8@evil/cb?x=1"))
	f.Add(q("app", "redirect_uri", callback, "prompt", "none", "max_age", "1") + "&state=2")
	f.Fuzz(func(t *testing.T, query string) {
		if decider.Open(query, query) != (flow.State{}) {
			t.Error("a state that was never sealed opens")
		}
		if c := flow.Canonical(query); flow.Canonical(c) != c {
			t.Errorf("%q has two canonical forms", query)
		}
		step, err := decider.Decide(t.Context(), query, flow.Browser{})
		r, ok := step.(flow.Respond)
		if err != nil || !ok {
			return
		}
		if r.Error == "" || !r.Code.Empty() {
			t.Error("a code without a session")
		}
		if !clients.MatchRedirect(client, r.RedirectURI) {
			t.Errorf("%q answers to %q", query, r.RedirectURI)
		}
		u, err := url.Parse(r.Location())
		if err != nil || !strings.HasPrefix(r.Location(), r.RedirectURI) || u.Query().Get("iss") != issuer {
			t.Fatalf("location %q", r.Location())
		}
		sent, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Query().Get("state"); got != "" && got != sent.Get("state") && !strings.Contains(strings.Join(sent["state"], "\n"), got) {
			t.Errorf("state %q, sent %q", got, sent["state"])
		}
	})
}
