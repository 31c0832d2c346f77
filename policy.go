package jeton

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/jetonhq/jeton/internal/policy"
	"github.com/jetonhq/jeton/revocation"
)

// policies are the central policies of this guard's API, as the feed told them. The authority sets them; they
// only ever add to what the code demands.
type policies struct {
	table atomic.Pointer[policyTable] // nil while there are none

	mu     sync.Mutex // serialises changes; guards the field below
	byName map[string]compiled
}

// policyTable is one state of the policies. It does not change.
type policyTable struct{ list []compiled }

type compiled struct {
	method  string
	pattern policy.Pattern
	demands []Demand
}

// policySet says which policies of a table apply.
type policySet [policy.MaxPerAudience / 64]uint64

// matching is the set of policies for a request. It does not allocate when the path is clean.
func (t *policyTable) matching(method, escaped string) (set policySet, some bool) {
	escaped = policy.Clean(escaped)
	for i := range t.list {
		c := &t.list[i]
		if policy.MethodMatches(c.method, method) && c.pattern.Match(escaped) {
			set[i/64] |= 1 << (i % 64)
			some = true
		}
	}
	return set, some
}

// bindAll reports whether a policy for all requests demands tokens that are bound to a key.
func (p *policies) bindAll() bool {
	t := p.table.Load()
	return t != nil && slices.ContainsFunc(t.list, func(c compiled) bool {
		return c.method == "" && c.pattern.Everything() && slices.ContainsFunc(c.demands, func(d Demand) bool { return d.kind == demandDPoP })
	})
}

// demands are those of the policies in the set.
func (t *policyTable) demands(set policySet) []Demand {
	var all []Demand
	for i := range t.list {
		if set[i/64]&(1<<(i%64)) != 0 {
			all = append(all, t.list[i].demands...)
		}
	}
	return all
}

// route is a handler's own rule, with what it becomes under policies.
type route struct {
	rule  rule
	known atomic.Pointer[combined]
}

// combined are the rules of a route under one table. The map is replaced, never changed.
type combined struct {
	table *policyTable
	rules map[policySet]*rule
}

// maxCombined bounds the rules that are remembered per route. More are made anew each time.
const maxCombined = 256

// under is the rule for a request: the route's own, made stricter by the policies that match.
func (rt *route) under(t *policyTable, req *http.Request) *rule {
	set, some := t.matching(req.Method, req.URL.EscapedPath())
	if !some {
		return &rt.rule
	}
	known := rt.known.Load()
	if known != nil && known.table == t {
		if r := known.rules[set]; r != nil {
			return r
		}
	}
	s := rt.rule.stricter(t.demands(set))
	r := &s
	next := &combined{table: t, rules: map[policySet]*rule{}}
	if known != nil && known.table == t {
		if len(known.rules) >= maxCombined {
			return r
		}
		maps.Copy(next.rules, known.rules)
	}
	next.rules[set] = r
	rt.known.CompareAndSwap(known, next) // who loses makes it again the next time
	return r
}

// stricter is the rule with more demands: of both what is stricter holds.
func (r *rule) stricter(more []Demand) rule {
	s := *r
	s.more = more
	for i := range more {
		switch d := &more[i]; d.kind {
		case demandFail:
			s.fail = stricterMode(s.fail, d.mode)
		case demandMaxStaleness:
			s.maxStaleness = min(s.maxStaleness, d.span)
		case demandRegistry:
			s.skipRegistry = false
		case demandSingleUse:
			s.uses = singleUse
		case demandFresh:
			s.fresh = true
		case demandDPoP:
			s.requireDPoP = true
		case demandNetwork:
			s.network = max(s.network, d.network)
		case demandNoCookie:
			if s.cookie == cookieTaken {
				s.cookie = cookieForbidden
			}
		default: // for meets
		}
	}
	return s
}

func stricterMode(a, b FailMode) FailMode {
	switch {
	case a == Closed || b == Closed:
		return Closed
	case a == Introspect || b == Introspect:
		return Introspect
	}
	return Open
}

// set takes in one change.
func (p *policies) set(audience string, e revocation.Entry) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byName == nil {
		p.byName = make(map[string]compiled)
	}
	err := p.take(audience, e)
	p.publish()
	return err
}

// replace takes in all policies there are.
func (p *policies) replace(audience string, entries []revocation.Entry) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byName = make(map[string]compiled)
	var problems []error
	for _, e := range entries {
		if e.Kind == revocation.Policy {
			problems = append(problems, p.take(audience, e))
		}
	}
	p.publish()
	return errors.Join(problems...)
}

// take changes byName. A policy that cannot be applied as it was meant keeps its requests out: a demand that
// nobody enforces would be none.
func (p *policies) take(audience string, e revocation.Entry) error {
	delete(p.byName, e.Name)
	if len(e.Data) == 0 || string(e.Data) == "null" {
		return nil
	}
	decoded, err := policy.Decode(e.Data)
	if decoded.Audience != audience && (err == nil || errors.Is(err, policy.ErrUnknown)) {
		return nil
	}
	pattern, patternErr := policy.ParsePattern(decoded.Pattern)
	if patternErr != nil {
		// Whose it is and what it is for stays unknown; it is not for this API's guard to guess.
		return errors.Join(err, patternErr)
	}
	c := compiled{method: decoded.Method, pattern: pattern, demands: demandsOf(decoded.Demands)}
	if err != nil {
		c.demands = []Demand{{kind: demandUnsupported}}
	}
	if len(p.byName) < policy.MaxPerAudience {
		p.byName[e.Name] = c
	}
	return err
}

func demandsOf(d policy.Demands) []Demand {
	var list []Demand
	if d.MaxAge != nil {
		list = append(list, MaxAge(d.MaxAge.Std()))
	}
	if len(d.Scope) > 0 {
		list = append(list, Scope(d.Scope...))
	}
	if len(d.Clients) > 0 {
		list = append(list, Clients(d.Clients...))
	}
	if d.AuthAge != nil {
		list = append(list, AuthAge(d.AuthAge.Std()))
	}
	if len(d.ACR) > 0 {
		list = append(list, ACR(d.ACR...))
	}
	if d.FreshClaims {
		list = append(list, FreshClaims())
	}
	if d.DPoP {
		list = append(list, RequireDPoP())
	}
	if d.SingleUse {
		list = append(list, SingleUse())
	}
	if d.NoCookie {
		list = append(list, Demand{kind: demandNoCookie})
	}
	if d.Registry {
		list = append(list, Demand{kind: demandRegistry})
	}
	switch d.Network {
	case policy.NetworkFlag:
		list = append(list, Network(Flag))
	case policy.NetworkEnforce:
		list = append(list, Network(Enforce))
	}
	switch d.Fail {
	case policy.FailClosed:
		list = append(list, Fail(Closed))
	case policy.FailIntrospect:
		list = append(list, Fail(Introspect))
	}
	if d.MaxStaleness != nil {
		list = append(list, MaxStaleness(d.MaxStaleness.Std()))
	}
	return list
}

// publish makes the table of what byName holds. The caller holds mu.
func (p *policies) publish() {
	if len(p.byName) == 0 {
		p.table.Store(nil)
		return
	}
	t := &policyTable{}
	for _, name := range slices.Sorted(maps.Keys(p.byName)) {
		t.list = append(t.list, p.byName[name])
	}
	p.table.Store(t)
}

// applied is the rule of a check outside of HTTP, made stricter by the policies that match.
func (t *policyTable) applied(r rule) rule {
	method, path := "", "/"
	if r.request != nil {
		method, path = r.request.Method, r.request.URL.EscapedPath()
	}
	if set, some := t.matching(method, path); some {
		return r.stricter(t.demands(set))
	}
	return r
}
