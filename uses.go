package jeton

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/internal/seen"
	"github.com/jetonhq/jeton/revocation"
)

const (
	// useTries is how often a question about uses is asked before its callers are refused.
	useTries = 3
	usePause = 50 * time.Millisecond
)

// SingleUse demands a token that was made for one use (uses 1), and counts it: of all requests with the token,
// to this and any other API, one succeeds. Tokens that carry uses are counted on every route, with or without
// this demand.
func SingleUse() Demand { return Demand{kind: demandSingleUse} }

// Uses demands a token that carries uses, any number of them. Each request counts for one.
func Uses() Demand { return Demand{kind: demandUses} }

// countUse has the authority count one use of the token. There is no fail mode for this: whoever cannot ask
// does not know whether a use is left.
func (g *Guard) countUse(ctx context.Context, e *seen.Entry[record]) *Refusal {
	if g.counter == nil {
		return refuse(ReasonUnsupported)
	}
	verdict, err := g.counter.count(ctx, sightingOf(&e.Value))
	if err != nil {
		return refuseCause(ReasonAuthorityUnavailable, err)
	}
	if verdict != "" {
		refusal := g.remember(e.Token(), refuse(verdict))
		g.seen.Drop(e)
		return refusal
	}
	return nil
}

// counter has uses counted by the authority, many in one round trip.
type counter struct {
	url      string
	registry *registry // how the authority is asked

	mu       sync.Mutex // guards the fields below
	waiting  []*use
	flying   int
	failures int       // in a row
	retry    time.Time // not before, when there are failures
	closed   bool
	work     sync.WaitGroup
}

// use is one that waits to be counted. What follows done is written before done is closed.
type use struct {
	revocation.Use
	gone    atomic.Bool // nobody waits for it any more
	done    chan struct{}
	verdict string
	err     error
}

// count answers "" for a use that was counted, or why it was not. A use that was given up on before it was
// sent is not counted; one that was under way may be.
func (c *counter) count(ctx context.Context, s revocation.Sighting) (verdict string, err error) {
	u := &use{Use: revocation.Use{ID: s.ID, Digest: s.Digest, KeyID: s.KeyID}, done: make(chan struct{})}
	_, _ = rand.Read(u.Request[:])
	if err := c.enqueue(u); err != nil {
		return "", err
	}
	select {
	case <-u.done:
		return u.verdict, u.err
	case <-ctx.Done():
		u.gone.Store(true)
		return "", ctx.Err()
	}
}

func (c *counter) enqueue(u *use) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	// As with the registry: while the authority is down, one round trip at a time tries.
	if c.failures > 0 && (c.flying > 0 || c.registry.now().Before(c.retry)) {
		return errDown
	}
	c.waiting = append(c.waiting, u)
	if c.flying < maxTrips {
		c.flying++
		c.work.Go(c.fly)
	}
	return nil
}

// fly makes round trips for as long as uses wait.
func (c *counter) fly() {
	for {
		batch, tries := c.next()
		if batch == nil {
			return
		}
		verdicts, err := c.trip(batch, tries)
		stranded := c.landed(err)
		for i, u := range batch {
			if u.err = err; err == nil {
				u.verdict = verdicts[i]
			}
			close(u.done)
		}
		for _, u := range stranded {
			u.err = errDown
			close(u.done)
		}
	}
}

// next takes the uses for one round trip, or ends this flight.
func (c *counter) next() (batch []*use, tries int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := 0
	for taken < len(c.waiting) && len(batch) < revocation.MaxUses {
		if u := c.waiting[taken]; !u.gone.Load() {
			batch = append(batch, u)
		}
		taken++
	}
	clear(c.waiting[:taken])
	if c.waiting = c.waiting[taken:]; len(c.waiting) == 0 {
		c.waiting = nil
	}
	if batch == nil {
		c.flying--
		return nil, 0
	}
	if c.failures > 0 {
		return batch, 1
	}
	return batch, useTries
}

// trip asks until there is an answer. The requests keep their ids: what was counted although its answer was
// lost is not counted again.
func (c *counter) trip(batch []*use, tries int) (verdicts []string, err error) {
	ask := revocation.Consumption{Uses: make([]revocation.Use, len(batch))}
	for i, u := range batch {
		ask.Uses[i] = u.Use
	}
	for try := range tries {
		if try > 0 {
			select {
			case <-time.After(usePause << try):
			case <-c.registry.ctx.Done():
				return nil, err
			}
		}
		sent := c.registry.now()
		verdicts, err = c.registry.call(c.url, ask, len(batch))
		c.registry.observer.Registry(len(batch), c.registry.now().Sub(sent), err)
		if err == nil {
			return verdicts, nil
		}
	}
	return nil, err
}

// landed takes down how it went. After a failure, those who wait would meet the same.
func (c *counter) landed(err error) (stranded []*use) {
	c.mu.Lock()
	before := c.failures
	if err == nil {
		c.failures = 0
	} else {
		c.failures++
		c.retry = c.registry.now().Add(min(firstPause<<min(before, 8), longestPause))
		stranded, c.waiting = c.waiting, nil
	}
	quiet := c.closed
	c.mu.Unlock()
	switch {
	case quiet:
	case err != nil && before == 0:
		c.registry.log.Warn("authority cannot count uses", "error", err)
	case err == nil && before > 0:
		c.registry.log.Info("authority counts uses again")
	}
	return stranded
}

// close ends the round trips under way and waits for them.
func (c *counter) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.work.Wait()
}
