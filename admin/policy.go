package admin

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// PolicySpec is what an operator demands of tokens on some routes of an API,
// beside what its code demands: the stricter of both holds. Guards apply a
// change as soon as the feed brings it.
type PolicySpec struct {
	Name     string `json:"name"`             // unique
	Audience string `json:"audience"`         // the API
	Method   string `json:"method,omitempty"` // "" is any; GET includes HEAD
	Pattern  string `json:"pattern"`          // path pattern of net/http.ServeMux, such as /payments/{id}; / is all of the API

	MaxAge       *Duration `json:"max_age,omitempty"`       // since the token was issued; 0s locks the route for everybody
	Scope        []string  `json:"scope,omitempty"`         // all of them
	Clients      []string  `json:"clients,omitempty"`       // one of them
	AuthAge      *Duration `json:"auth_age,omitempty"`      // since the person signed in (auth_time)
	ACR          []string  `json:"acr,omitempty"`           // one of them: how the person signed in
	FreshClaims  bool      `json:"fresh_claims,omitempty"`  // what the token says about its subject must not have changed
	SingleUse    bool      `json:"single_use,omitempty"`    // only tokens that may be used once
	DPoP         bool      `json:"dpop,omitempty"`          // only tokens that are bound to a key, with a proof
	NoCookie     bool      `json:"no_cookie,omitempty"`     // session cookies of browser apps do not pass, also where the code allows them
	Registry     bool      `json:"registry,omitempty"`      // ask on first sight whether the token was issued, also where the code does not
	Network      string    `json:"network,omitempty"`       // flag or enforce: tokens from another network than they were issued to
	Fail         string    `json:"fail,omitempty"`          // introspect or closed, while the feed is silent
	MaxStaleness *Duration `json:"max_staleness,omitempty"` // how long the feed may be silent
}

// Policy is a policy as the authority knows it.
type Policy struct {
	PolicySpec
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// PolicyTest is what policies mean for one request.
type PolicyTest struct {
	Policies []Policy   `json:"policies"` // that apply
	Together PolicySpec `json:"together"` // what they demand
	Nobody   bool       `json:"nobody"`   // no token can meet it
}

// PutPolicy creates the policy p.Name, or replaces it.
func (c *Client) PutPolicy(ctx context.Context, p PolicySpec, reason string) (Policy, error) {
	var put Policy
	err := c.do(ctx, request{method: http.MethodPut, path: []string{"policies", p.Name}, body: p, reason: reason, into: &put})
	return put, err
}

// Policies lists the policies of an API, or with "" all, by name, in one page.
func (c *Client) Policies(ctx context.Context, audience string) (List[Policy], error) {
	var list List[Policy]
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"policies"}, query: Page{}.query(map[string]string{"audience": audience}), into: &list})
	return list, err
}

// Policy finds a policy by name.
func (c *Client) Policy(ctx context.Context, name string) (Policy, error) {
	var found Policy
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"policies", name}, into: &found})
	return found, err
}

// DeletePolicy removes a policy.
func (c *Client) DeletePolicy(ctx context.Context, name, reason string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: []string{"policies", name}, reason: reason})
}

// TestPolicies says which policies apply to a request to an API, given by its
// escaped path, and what they demand together.
func (c *Client) TestPolicies(ctx context.Context, audience, method, path string) (PolicyTest, error) {
	var test PolicyTest
	query := url.Values{"audience": {audience}, "method": {method}, "path": {path}}
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"policy-test"}, query: query, into: &test})
	return test, err
}
