package jeton

import (
	"context"
	"sync"

	"github.com/jetonhq/jeton/internal/seen"
)

// flights lets one request verify a token while the others that bring the same one wait for it.
type flights struct {
	mu    sync.Mutex
	under map[string]*flight
}

// flight is one verification. The results are written before done is closed.
type flight struct {
	done    chan struct{}
	entry   *seen.Entry[record]
	refusal *Refusal
	ended   bool // the context of the one who verified ended: this says nothing about the token
}

// admit verifies a token, once for all who bring it at the same time.
func (g *Guard) admit(ctx context.Context, token string) (*seen.Entry[record], *Refusal) {
	for {
		f, mine := g.flights.join(token)
		if mine {
			g.fly(ctx, f, token)
			return f.entry, f.refusal
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, refuseCause(ReasonKeysUnavailable, ctx.Err())
		}
		if !f.ended || ctx.Err() != nil {
			return f.entry, f.refusal
		}
	}
}

func (g *Guard) fly(ctx context.Context, f *flight, token string) {
	// Whatever happens, nobody waits for a flight that is over.
	f.refusal, f.ended = refuse(ReasonKeysUnavailable), true
	defer g.flights.land(f, token)
	// One may have landed between the lookup and now.
	if e := g.seen.Get(token, g.expiry(g.clock.now())); e != nil {
		f.entry, f.refusal, f.ended = e, nil, false
		return
	}
	if refusal := g.remembered(token); refusal != nil {
		f.refusal, f.ended = refusal, false
		return
	}
	f.entry, f.refusal = g.verify(ctx, token)
	f.ended = f.refusal != nil && f.refusal.Reason == ReasonKeysUnavailable && ctx.Err() != nil
}

func (fs *flights) join(token string) (f *flight, mine bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.under[token]; f != nil {
		return f, false
	}
	if fs.under == nil {
		fs.under = make(map[string]*flight)
	}
	f = &flight{done: make(chan struct{})}
	fs.under[token] = f
	return f, true
}

func (fs *flights) land(f *flight, token string) {
	fs.mu.Lock()
	delete(fs.under, token)
	fs.mu.Unlock()
	close(f.done)
}
