package mail

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// Limits keep whoever can make events happen from filling an inbox. Of each, one
// more mail is sent: the one that says that more happened.
type Limits struct {
	PerHour int
	PerDay  int
}

// past is a mail that was planned before.
type past struct {
	event secret.ID
	at    time.Time
	kind  Kind
}

func (p past) sumsUp() bool { return p.kind == more || p.kind == moreAdmins }

// verdict is what a limit says of one more mail.
type verdict int

const (
	write   verdict = iota
	sumUp           // write that more happened
	silence         // that has been said
)

// unlimited are mails that nobody can cause who has not the account in their
// hands already, and that must not be buried.
var unlimited = []Kind{PasswordSet, EmailChanged}

// strangersEvery is how often strangers' guesses are told of, so that guessing
// uses up no limit.
const strangersEvery = 6 * time.Hour

// judge decides about a mail of a kind at now, after those of the past in any
// order. Who was told that more happened hears nothing for an hour, and then
// nothing until there were fewer in a day than its limit.
func (l Limits) judge(k Kind, before []past, now time.Time) verdict {
	if slices.Contains(unlimited, k) {
		return write
	}
	var hour, day int
	var last past
	for _, p := range before {
		if now.Sub(p.at) < time.Hour {
			hour++
		}
		if now.Sub(p.at) < 24*time.Hour {
			day++
		}
		if k == BruteForce && p.kind == BruteForce && now.Sub(p.at) < strangersEvery {
			return silence
		}
		if !slices.Contains(unlimited, p.kind) && (p.at.After(last.at) || p.at.Equal(last.at) && p.sumsUp()) {
			last = p // of those at one moment, the one that sums up came last
		}
	}
	switch {
	case last.sumsUp() && (now.Sub(last.at) < time.Hour || day >= l.PerDay):
		return silence
	case hour >= l.PerHour || day >= l.PerDay:
		return sumUp
	}
	return write
}

// counter knows the mails of the last day: those in the store, which all nodes
// share, and those that this node has planned and not stored yet.
type counter struct {
	store authority.DeliveryStore

	mu     sync.Mutex
	recent map[string][]past // guarded by mu: by target
}

// keepRecent is how long a planned mail is remembered here. It is stored, or
// planned again, long before.
const keepRecent = 10 * time.Minute

// before returns the mails to a target that are not about this event: an event
// whose plan could not be stored is planned again.
func (c *counter) before(ctx context.Context, target string, event secret.ID, most int, now time.Time) ([]past, error) {
	stored, err := c.store.Deliveries(ctx, authority.DeliveryFilter{Channel: channelName, Target: target}, authority.Page{Limit: most})
	if err != nil {
		return nil, err
	}
	var found []past
	for _, d := range stored {
		if body, err := readBody(d.Body); err == nil {
			found = append(found, past{d.EventID, d.CreatedAt, body.Letter.Kind})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(target, now)
	for _, p := range c.recent[target] {
		if !slices.ContainsFunc(found, func(f past) bool { return f.event == p.event }) {
			found = append(found, p)
		}
	}
	return slices.DeleteFunc(found, func(p past) bool { return p.event == event }), nil
}

// planned notes mails about an event, once.
func (c *counter) planned(target string, p past, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recent == nil {
		c.recent = make(map[string][]past)
	}
	list := slices.DeleteFunc(c.recent[target], func(other past) bool { return other.event == p.event })
	c.recent[target] = append(list, slices.Repeat([]past{p}, n)...)
	if len(c.recent) > 4096 {
		for other := range c.recent {
			c.forget(other, p.at)
		}
	}
}

// forget drops what is old. c.mu is held.
func (c *counter) forget(target string, now time.Time) {
	kept := slices.DeleteFunc(c.recent[target], func(p past) bool { return now.Sub(p.at) > keepRecent })
	if len(kept) == 0 {
		delete(c.recent, target)
		return
	}
	c.recent[target] = kept
}

// window is how many of the latest mails have to be looked at: all that count
// towards a limit, with room for those that have none.
func (l Limits) window() int { return min(2*cmp.Or(l.PerDay, 1)+20, 1000) }
