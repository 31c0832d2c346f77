package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxPerAudience bounds the policies of one API: a guard looks at each of them for each request.
const MaxPerAudience = 256

// Policy is a demand on some requests to one API, as the feed carries it (an entry's data) and as it is stored.
type Policy struct {
	Audience string  `json:"audience"`
	Method   string  `json:"method,omitempty"` // "" is any; GET includes HEAD
	Pattern  string  `json:"pattern"`          // see ParsePattern
	Demands  Demands `json:"demands"`
}

// Demands are what a policy asks beyond what the API's code asks. What is absent is not demanded.
type Demands struct {
	MaxAge       *Span    `json:"max_age,omitempty"`       // since iat; 0 is a locked route: nobody passes
	Scope        []string `json:"scope,omitempty"`         // all of them
	Clients      []string `json:"clients,omitempty"`       // one of them
	AuthAge      *Span    `json:"auth_age,omitempty"`      // since the person signed in
	ACR          []string `json:"acr,omitempty"`           // one of them: how the person signed in
	FreshClaims  bool     `json:"fresh_claims,omitempty"`  // what the token says must not have changed
	SingleUse    bool     `json:"single_use,omitempty"`    // the token may be used once
	DPoP         bool     `json:"dpop,omitempty"`          // the token must be bound to a key, and the proof come along
	NoCookie     bool     `json:"no_cookie,omitempty"`     // session cookies do not pass, whatever the route says
	Registry     bool     `json:"registry,omitempty"`      // the authority is asked on first sight, whatever the route says
	Network      string   `json:"network,omitempty"`       // NetworkFlag or NetworkEnforce, for tokens from another network
	Fail         string   `json:"fail,omitempty"`          // FailIntrospect or FailClosed, when the view is stale
	MaxStaleness *Span    `json:"max_staleness,omitempty"` // how long the feed may be silent
}

// Ways to fail that a policy may demand.
const (
	FailIntrospect = "introspect"
	FailClosed     = "closed"
)

// What a policy may demand for tokens that come from another network than they
// were issued to.
const (
	NetworkFlag    = "flag"
	NetworkEnforce = "enforce"
)

// Span is a duration that is written as in Go.
type Span time.Duration

// Std is the duration as the standard library knows it.
func (s Span) Std() time.Duration { return time.Duration(s) }

// MarshalText writes what [time.ParseDuration] reads.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Span) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	*s = Span(d)
	return err
}

// ErrUnknown says that a policy demands something this version does not know. Audience, method and pattern
// have been read all the same.
var ErrUnknown = errors.New("the policy demands something this version does not know")

// Decode reads the form of the feed.
func Decode(data []byte) (Policy, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var p Policy
	err := d.Decode(&p)
	if err == nil {
		return p, nil
	}
	if strings.HasPrefix(err.Error(), "json: unknown field") {
		var known Policy
		if err = json.Unmarshal(data, &known); err == nil {
			return known, ErrUnknown
		}
	}
	return Policy{}, fmt.Errorf("read a policy: %w", err)
}

// Encode writes the form of the feed.
func (p Policy) Encode() ([]byte, error) { return json.Marshal(p) }

// Check reports everything that is wrong with a policy.
func (p Policy) Check() error {
	var problems []error
	add := func(bad bool, problem string) {
		if bad {
			problems = append(problems, errors.New(problem))
		}
	}
	d := p.Demands
	add(p.Audience == "", "the audience is missing")
	problems = append(problems, CheckMethod(p.Method))
	_, err := ParsePattern(p.Pattern)
	problems = append(problems, err)
	add(d.Empty(), "nothing is demanded")
	add(d.MaxAge != nil && *d.MaxAge < 0, "the maximum age is negative")
	add(d.AuthAge != nil && *d.AuthAge < Span(time.Second), "the maximum age of a sign-in is less than a second")
	add(d.MaxStaleness != nil && *d.MaxStaleness < 0, "the maximum staleness is negative")
	add(d.Fail != "" && d.Fail != FailIntrospect && d.Fail != FailClosed, "fail is introspect or closed: a policy does not weaken a route")
	add(d.Network != "" && d.Network != NetworkFlag && d.Network != NetworkEnforce, "network is flag or enforce")
	for name, list := range map[string][]string{"scope": d.Scope, "client": d.Clients, "value of acr": d.ACR} {
		add(slices.ContainsFunc(list, func(s string) bool { return s == "" || strings.ContainsAny(s, " \t\r\n\"\\") }), "a "+name+" is empty or has a space, a quote or a backslash")
	}
	return errors.Join(problems...)
}

// Empty reports whether nothing is demanded.
func (d Demands) Empty() bool {
	return d.MaxAge == nil && len(d.Scope) == 0 && len(d.Clients) == 0 && d.AuthAge == nil && len(d.ACR) == 0 &&
		!d.FreshClaims && !d.SingleUse && !d.DPoP && !d.NoCookie && !d.Registry && d.Network == "" && d.Fail == "" && d.MaxStaleness == nil
}

// And is what both demand together. nobody reports that no token can meet it.
func (d Demands) And(other Demands) (both Demands, nobody bool) {
	both = d
	both.MaxAge = shorter(d.MaxAge, other.MaxAge)
	both.AuthAge = shorter(d.AuthAge, other.AuthAge)
	both.MaxStaleness = shorter(d.MaxStaleness, other.MaxStaleness)
	both.FreshClaims = d.FreshClaims || other.FreshClaims
	both.SingleUse = d.SingleUse || other.SingleUse
	both.DPoP = d.DPoP || other.DPoP
	both.NoCookie = d.NoCookie || other.NoCookie
	both.Registry = d.Registry || other.Registry
	if d.Network == "" || other.Network == NetworkEnforce {
		both.Network = other.Network
	}
	if other.Fail == FailClosed || d.Fail == "" {
		both.Fail = other.Fail
	}
	if d.Fail == FailClosed {
		both.Fail = FailClosed
	}
	both.Scope = slices.Concat(d.Scope, other.Scope)
	slices.Sort(both.Scope)
	both.Scope = slices.Compact(both.Scope)
	var noClient, noACR bool
	both.Clients, noClient = inBoth(d.Clients, other.Clients)
	both.ACR, noACR = inBoth(d.ACR, other.ACR)
	return both, noClient || noACR || both.MaxAge != nil && *both.MaxAge == 0
}

// inBoth is what both lists allow; an empty one allows anything. none reports
// that nothing is left.
func inBoth(a, b []string) (both []string, none bool) {
	if len(a) == 0 || len(b) == 0 {
		return slices.Concat(a, b), false
	}
	both = slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
	return both, len(both) == 0
}

func shorter(a, b *Span) *Span {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}
