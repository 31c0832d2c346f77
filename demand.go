package jeton

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton/revocation"
)

// Demand is what a route asks of a token beyond being good, or how it is to be checked. All demands of a
// route must hold.
type Demand struct {
	kind  demandKind
	names []string
	span  time.Duration
	mode  FailMode

	request *http.Request
	network NetworkMode
}

type demandKind uint8

const (
	_ demandKind = iota
	demandScope
	demandMaxAge
	demandClients
	demandSkipRegistry
	demandFail
	demandMaxStaleness
	demandSingleUse
	demandUses
	demandRequest
	demandFresh
	demandQueryToken
	demandNetwork
	demandCookie
	demandNoCookie // of a policy: undoes demandCookie
	demandAuthAge
	demandACR
	demandDPoP
	demandSkipProof
	demandRegistry    // of a policy: undoes demandSkipRegistry
	demandUnsupported // of a policy: nobody passes
)

// Scope demands that the token has every one of these scopes, one name per argument. Names are compared whole
// and by case.
func Scope(names ...string) Demand { return Demand{kind: demandScope, names: names} }

// MaxAge demands that the token was issued (iat) no longer than d ago, whatever its exp says. A client that
// is refused gets a new token and is welcome. With 0 or less nobody passes: the route is locked.
func MaxAge(d time.Duration) Demand { return Demand{kind: demandMaxAge, span: d} }

// Clients demands that the token was issued to one of these clients (client_id).
func Clients(ids ...string) Demand { return Demand{kind: demandClients, names: ids} }

// SkipRegistry takes a token seen for the first time without asking the authority whether it issued it. The
// route then trusts signature and view: it does not notice tokens made with a stolen key.
func SkipRegistry() Demand { return Demand{kind: demandSkipRegistry} }

// Fail says what the route does when it cannot know what was revoked, in place of [Config.FailMode].
func Fail(mode FailMode) Demand { return Demand{kind: demandFail, mode: mode} }

// MaxStaleness says how long the feed may be silent for this route, in place of [Config.MaxStaleness].
func MaxStaleness(d time.Duration) Demand { return Demand{kind: demandMaxStaleness, span: d} }

// FailMode says what to do with a token while the view is stale: the feed has been silent for too long, or
// has not been there yet.
type FailMode uint8

const (
	// Introspect asks the authority about the token; the answer is good for a second. Without an answer the
	// token is refused (503).
	Introspect FailMode = iota
	// Closed refuses (503).
	Closed
	// Open goes on with what is known: signature, expiry, and the view as it was. It also goes on when the
	// authority cannot be asked about a token seen for the first time.
	Open
)

// String returns "introspect", "closed" or "open".
func (m FailMode) String() string {
	switch m {
	case Closed:
		return "closed"
	case Open:
		return "open"
	default:
		return "introspect"
	}
}

// rule is what a route's demands say about the way of checking. The others are left in the list.
type rule struct {
	demands      []Demand
	more         []Demand // of central policies
	skipRegistry bool
	fail         FailMode
	maxStaleness time.Duration
	fresh        bool // claims
	query        queryToken
	presented    string // the token that was in the query
	subject      string // what the URL says whose it is
	uses         usesDemand
	cookie       cookieUse
	network      NetworkMode   // 0: none is demanded
	request      *http.Request // nil outside of HTTP
	requireDPoP  bool
	skipProof    bool
	scheme       scheme // how the token came
	nonce        string // of its proof, once that was found good
}

// usesDemand is what a route demands of uses.
type usesDemand uint8

const (
	anyUses usesDemand = iota
	countedUses
	singleUse
)

func (g *Guard) rule(demands []Demand) rule {
	r := rule{demands: demands, fail: g.config.FailMode, maxStaleness: g.config.MaxStaleness, requireDPoP: g.config.RequireDPoP}
	for i := range demands {
		switch d := &demands[i]; d.kind {
		case demandSkipRegistry:
			r.skipRegistry = true
		case demandFail:
			r.fail = d.mode
		case demandMaxStaleness:
			r.maxStaleness = d.span
		case demandFresh:
			r.fresh = true
		case demandNetwork:
			r.network = max(r.network, d.network)
		case demandQueryToken:
			r.query = queryToken{d.names[0], d.names[1]}
		case demandUses:
			r.uses = max(r.uses, countedUses)
		case demandSingleUse:
			r.uses = singleUse
		case demandRequest:
			r.request, r.scheme = d.request, schemeOf(d.request)
		case demandCookie:
			r.cookie = cookieTaken
		case demandDPoP:
			r.requireDPoP = true
		case demandSkipProof:
			r.skipProof = true
		default: // for meets
		}
	}
	return r
}

// meets holds a good token against the demands.
func (r *rule) meets(t *Token, now instant) *Refusal {
	if r.presented != "" && r.subject != t.Subject {
		return refuse(ReasonWrongSubject)
	}
	if refusal := r.meet(r.demands, t, now); refusal != nil || r.more == nil {
		return refusal
	}
	return r.meet(r.more, t, now)
}

func (r *rule) meet(demands []Demand, t *Token, now instant) *Refusal {
	for i := range demands {
		switch d := &demands[i]; d.kind {
		case demandScope:
			for _, name := range d.names {
				if !hasScope(t.Scope, name) {
					return insufficientScope(r.scopes())
				}
			}
		case demandMaxAge:
			if d.span <= 0 {
				return refuse(ReasonLocked)
			}
			if (now.unix-int64(d.span))/int64(time.Second) > t.issuedAt {
				return refuse(ReasonTooOld)
			}
		case demandAuthAge:
			if d.span <= 0 {
				return refuse(ReasonLocked)
			}
			if (now.unix-int64(d.span))/int64(time.Second) > t.authTime {
				return r.stepUp(ReasonSignInTooOld)
			}
		case demandACR:
			if t.ACR == "" || !slices.Contains(d.names, t.ACR) {
				return r.stepUp(ReasonStepUpNeeded)
			}
		case demandClients:
			if !slices.Contains(d.names, t.ClientID) {
				return refuse(ReasonWrongClient)
			}
		case demandUnsupported:
			return refuse(ReasonPolicyUnsupported)
		default: // was for rule
		}
	}
	return nil
}

// scopes is every scope the route demands, for a challenge.
func (r *rule) scopes() []string {
	var names []string
	for _, demands := range [][]Demand{r.demands, r.more} {
		for i := range demands {
			if d := &demands[i]; d.kind == demandScope {
				names = append(names, d.names...)
			}
		}
	}
	return names
}

// hasScope looks for one whole name in a list separated by spaces.
func hasScope(scope, name string) bool {
	if name == "" {
		return false
	}
	for start := 0; start+len(name) <= len(scope); {
		end := start + len(name)
		if scope[start:end] == name && (end == len(scope) || scope[end] == ' ') {
			return true
		}
		next := strings.IndexByte(scope[start:], ' ')
		if next < 0 {
			return false
		}
		start += next + 1
	}
	return false
}

// verdictReason is the reason that fits what a lookup in the view hit.
func verdictReason(v revocation.Verdict) string {
	if v.Kind == revocation.Session {
		return ReasonSessionEnded
	}
	return ReasonRevoked
}
