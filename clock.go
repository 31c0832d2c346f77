package jeton

import (
	"sync/atomic"
	"time"
)

// alignEvery is how long the monotonic clock is trusted to tell the wall clock.
const alignEvery = 50 * time.Millisecond

// clock tells the time for less than time.Now costs: it adds what the monotonic clock says to a reading of
// both. It needs no goroutine, so nothing is accepted late because one was not scheduled.
type clock struct {
	given   func() time.Time // Config.Now, or nil
	aligned atomic.Pointer[time.Time]
}

func newClock(given func() time.Time) *clock {
	c := &clock{given: given}
	now := time.Now()
	c.aligned.Store(&now)
	return c
}

func (c *clock) now() time.Time {
	if c.given != nil {
		return c.given()
	}
	aligned := *c.aligned.Load()
	passed := time.Since(aligned)
	if passed > alignEvery {
		now := time.Now()
		c.aligned.Store(&now)
		return now
	}
	return aligned.Add(passed)
}
