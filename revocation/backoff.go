package revocation

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is the pause between attempts.
type backoff struct {
	min, max time.Duration
	jitter   float64
	last     time.Duration
}

func newBackoff(cfg FollowerConfig) backoff {
	b := backoff{min: cfg.MinBackoff, max: cfg.MaxBackoff, jitter: min(cfg.Jitter, 1)}
	if b.min <= 0 {
		b.min = 100 * time.Millisecond
	}
	if b.max <= 0 {
		b.max = 5 * time.Second
	}
	b.max = max(b.max, b.min)
	if b.jitter == 0 {
		b.jitter = 0.5
	}
	return b
}

func (b *backoff) reset() { b.last = 0 }

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, b.min), b.max)
	return b.spread(b.last)
}

// spread keeps a fleet that lost its authority at one moment from coming back at one moment.
func (b *backoff) spread(d time.Duration) time.Duration {
	if b.jitter < 0 {
		return d
	}
	return time.Duration(float64(d) * (1 + b.jitter*(2*rand.Float64()-1))) //nolint:gosec // spreads load; nobody gains by guessing it
}

// sleep reports whether the pause has passed rather than ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
