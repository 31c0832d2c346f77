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
		swept, err := s.store.Sweep(ctx, s.now(), s.cfg.Audit.Keep, sliceRows)
		if err != nil {
			if ctx.Err() == nil {
				s.log.ErrorContext(ctx, "upkeep failed", "error", err)
			}
			return
		}
		for kind, n := range map[string]int{
			"token": swept.Tokens, "code": swept.Codes, "grant": swept.Grants, "session": swept.Sessions,
			"log": swept.LogEntries, "event": swept.Events,
		} {
			s.metrics.swept.WithLabelValues(kind).Add(float64(n))
		}
		if !swept.More {
			return
		}
	}
}
