package server

import (
	"context"
	"time"
)

// Upkeep removes what expired, in slices small enough that serving does not
// notice, and no more than sliceLimit slices a round.
const (
	upkeepEvery = 10 * time.Second
	sliceRows   = 2000
	sliceLimit  = 50
)

// afterlife is how long what expired stays. A verifier whose clock runs behind
// may ask about a token that has expired, and must not be told that it was never
// issued: that raises an alarm. And a code that is presented again a little late
// is still recognised as a replay (OAuth 2.1 section 4.1.3).
const afterlife = 2 * time.Minute

func (s *Server) upkeep(ctx context.Context) {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.sweep(ctx)
		}
	}
}

func (s *Server) sweep(ctx context.Context) {
	for range sliceLimit {
		swept, err := s.store.Sweep(ctx, s.now().Add(-afterlife), s.cfg.Audit.Keep, sliceRows)
		if err != nil {
			if ctx.Err() == nil {
				s.log.ErrorContext(ctx, "upkeep failed", "error", err)
			}
			return
		}
		for kind, n := range map[string]int{
			"token": swept.Tokens, "code": swept.Codes, "grant": swept.Grants, "session": swept.Sessions,
			"log": swept.LogEntries, "delivery": swept.Deliveries, "event": swept.Events, "mark": swept.Marks, "ticket": swept.Tickets,
		} {
			s.metrics.swept.WithLabelValues(kind).Add(float64(n))
		}
		if !swept.More {
			return
		}
	}
}
