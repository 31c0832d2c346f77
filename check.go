package jeton

import (
	"context"
	"time"

	"github.com/jetonhq/jeton/internal/seen"
	"github.com/jetonhq/jeton/jwt"
)

const (
	// answerKept is how long the authority's word about a token is good while the view is stale.
	answerKept = time.Second
	// refusedFor is how long a bad token is remembered, in seconds: between one and two by the clock.
	refusedFor = 2
)

// Check decides about a token outside of HTTP, for example in a gRPC interceptor: it does what
// [Guard.Require] does, without the request. [ForRequest] names one, and with it the central policies that
// apply; without it those for all of the API do (any method, pattern "/"). The error is a [*Refusal]. The
// context bounds a wait for keys or for the authority.
func (g *Guard) Check(ctx context.Context, token string, demands ...Demand) (*Token, error) {
	r := g.rule(demands)
	if p := g.policies.table.Load(); p != nil {
		r = p.applied(r)
	}
	t, refusal := g.check(ctx, token, &r)
	if refusal != nil {
		return nil, r.refused(refusal)
	}
	return t, nil
}

// check goes the way of DESIGN section 7: a seen token whose epoch is the view's needs its times and the
// demands looked at, and nothing else.
func (g *Guard) check(ctx context.Context, token string, r *rule) (*Token, *Refusal) {
	now := g.clock.now()
	e := g.seen.Get(token, g.expiry(now))
	if e == nil {
		return g.unseen(ctx, token, r)
	}
	if g.current(e, r, now) {
		refusal := g.demands(ctx, e, r, now)
		return g.told(e, refusal, true)
	}
	refusal := g.settle(ctx, e, r)
	return g.told(e, refusal, true)
}

// expiry is the second that a token's exp must be above.
func (g *Guard) expiry(now instant) int64 {
	return (now.unix - int64(g.config.Leeway)) / int64(time.Second)
}

// current reports whether all that was found out about a token still stands.
func (g *Guard) current(e *seen.Entry[record], r *rule, now instant) bool {
	return g.view == nil ||
		e.Epoch() == g.view.Epoch() && (r.skipRegistry || e.Asked() != 0) && !g.view.StaleAt(now.time, r.maxStaleness)
}

// told ends a check.
func (g *Guard) told(e *seen.Entry[record], refusal *Refusal, known bool) (*Token, *Refusal) {
	if refusal != nil {
		g.observer.Checked(refusal.Reason, known)
		return nil, refusal
	}
	g.observer.Checked("", known)
	return &e.Value.Token, nil
}

// unseen decides about a token that is not remembered as good.
func (g *Guard) unseen(ctx context.Context, token string, r *rule) (*Token, *Refusal) {
	if refusal := g.remembered(token); refusal != nil {
		return g.told(nil, refusal, true)
	}
	e, refusal := g.admit(ctx, token)
	if refusal == nil {
		refusal = g.settle(ctx, e, r)
	}
	return g.told(e, refusal, false)
}

// remembered is the refusal of a token that was bad a moment ago.
func (g *Guard) remembered(token string) *Refusal {
	if e := g.refused.Get(token, g.clock.now().seconds()); e != nil {
		return e.Value
	}
	return nil
}

// verify checks form, key, signature and claims. What it admits is remembered as not yet asked about.
func (g *Guard) verify(ctx context.Context, token string) (*seen.Entry[record], *Refusal) {
	g.firstSights.Add(1)
	v, err := g.verifier.Verify(ctx, token)
	if err != nil {
		return nil, g.unverified(token, err)
	}
	c := &v.Claims
	// A restriction that is not enforced would be none. Every guard that lets one pass has to enforce it.
	if senseless(c) {
		return nil, g.remember(token, refuse(ReasonUnsupported))
	}
	bound := boundOf(c)
	var place *place
	if c.Network != "" {
		place = enforced(c.Network)
	}
	var names names
	var epoch uint64
	if g.view != nil {
		var ok bool
		if names, ok = namesOf(c); !ok {
			return nil, g.remember(token, refuse(ReasonUnknownToken))
		}
		// Not the view's: settle looks the token up before anything is made of it.
		epoch = ^uint64(0)
	}
	return g.seen.Put(seen.Item[record]{
		Token: token, Tail: texts(c), Expires: c.ExpiresAt, Epoch: epoch,
		Fill: func(e *seen.Entry[record], tail string) {
			e.Value.fill(v, e.Text(), tail)
			e.Value.names, e.Value.bound = names, bound
			if place != nil {
				e.Value.place.Store(place)
			}
		},
	}, g.expiry(g.clock.now())), nil
}

// unverified turns an error of the verifier into a refusal, and remembers it if finding out was expensive.
func (g *Guard) unverified(token string, err error) *Refusal {
	reason := jwt.ReasonOf(err)
	known, ok := prepared[reason]
	if !ok {
		known = refuse(ReasonMalformed)
	}
	switch known.Reason {
	case ReasonKeysUnavailable:
		return refuseCause(ReasonKeysUnavailable, err)
	case ReasonUnknownKey:
		return g.unknownKey(token, err)
	case ReasonMalformed, ReasonWrongType, ReasonWrongAlgorithm:
		return known // found without a signature check, mostly; and there is no end of them
	}
	return g.remember(token, known)
}

// unknownKey is what it means that the key set does not have a token's key.
func (g *Guard) unknownKey(token string, err error) *Refusal {
	if g.view == nil {
		return refuse(ReasonUnknownKey)
	}
	if u, err := jwt.Parse(token, 0); err == nil && g.view.KeyRevoked(u.Header.KeyID) {
		return refuse(ReasonKeyRevoked)
	}
	if g.view.StaleAt(g.clock.now().time, g.config.MaxStaleness) {
		// Cut off from the news, a guard cannot say that there is no such key.
		return refuseCause(ReasonKeysUnavailable, err)
	}
	return refuse(ReasonUnknownKey)
}

// remember keeps a refusal, so that a flood of the same bad token costs no more than lookups.
func (g *Guard) remember(token string, refusal *Refusal) *Refusal {
	now := g.clock.now().seconds()
	g.refused.Put(seen.Item[*Refusal]{
		Token: token, Expires: now + refusedFor,
		Fill: func(e *seen.Entry[*Refusal], _ string) { e.Value = refusal },
	}, now)
	return refusal
}

// settle finds out whether a verified token is alive, and holds it against the demands.
func (g *Guard) settle(ctx context.Context, e *seen.Entry[record], r *rule) *Refusal {
	if g.view != nil {
		if refusal := g.alive(ctx, e, r); refusal != nil {
			return refusal
		}
	}
	// Waiting for the authority may have taken a while.
	now := g.clock.now()
	if g.expiry(now) >= e.Value.expiresAt {
		return refuse(ReasonExpired)
	}
	return g.demands(ctx, e, r, now)
}

func (g *Guard) alive(ctx context.Context, e *seen.Entry[record], r *rule) *Refusal {
	if refusal := g.look(e); refusal != nil {
		return refusal
	}
	now := g.clock.now()
	ask := e.Asked() == 0 && !r.skipRegistry
	if g.view.StaleAt(now.time, r.maxStaleness) {
		switch r.fail {
		case Closed:
			return refuse(ReasonViewStale)
		case Introspect:
			// The mark is when the question was sent: the answer is not older.
			ask = ask || e.Asked() == 0 || g.mark(now.time)-e.Asked() > int64(answerKept)
		case Open:
		}
	}
	if !ask {
		return nil
	}
	if refusal := g.ask(ctx, e); refusal != nil {
		if refusal.Reason != ReasonAuthorityUnavailable || r.fail != Open {
			return refusal
		}
	}
	// What the feed brought while the authority was asked counts.
	return g.look(e)
}

// look holds the token against the view, unless that has not changed since it was last done. The epoch is
// read first: a change that the lookup misses then shows at the next check.
func (g *Guard) look(e *seen.Entry[record]) *Refusal {
	epoch := g.view.Epoch()
	if e.Epoch() == epoch {
		return nil
	}
	g.holdAgainstLife(e)
	rec := &e.Value
	if verdict := g.view.Revoked(rec.jti, rec.gid, rec.sid); verdict.Hit() {
		return refuse(verdictReason(verdict)) // the entry stays, and each check looks again
	}
	if g.view.KeyRevoked(rec.keyID) {
		return refuse(ReasonKeyRevoked)
	}
	e.SetEpoch(epoch)
	return nil
}

// life is one incarnation of the revocation log, as the guard came to know it.
type life struct {
	name string
	from int64 // mark; what was asked before counts no more
}

// holdAgainstLife makes the guard ask about the token again if the authority has gone back to a backup since
// it was asked: what it issued in between, it does not know any more and cannot revoke.
func (g *Guard) holdAgainstLife(e *seen.Entry[record]) {
	name, _ := g.view.Seq()
	known := g.life.Load()
	if known == nil || known.name != name {
		next := &life{name: name}
		if known != nil && known.name != "" {
			next.from = g.mark(g.clock.now().time)
		}
		if !g.life.CompareAndSwap(known, next) {
			next = g.life.Load()
		}
		known = next
	}
	e.ForgetAsked(known.from)
}

// ask asks the authority about the token and takes down its answer.
func (g *Guard) ask(ctx context.Context, e *seen.Entry[record]) *Refusal {
	verdict, sent, err := g.registry.ask(ctx, sightingOf(&e.Value))
	if err != nil {
		return refuseCause(ReasonAuthorityUnavailable, err)
	}
	if verdict != "" {
		refusal := g.remember(e.Token(), refuse(verdict))
		g.seen.Drop(e)
		return refusal
	}
	e.SetAsked(g.mark(sent))
	return nil
}

// mark is a time as it stands in an entry: never zero.
func (g *Guard) mark(t time.Time) int64 { return max(1, int64(t.Sub(g.born))+1) }
