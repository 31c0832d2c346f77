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
	aligned atomic.Pointer[instant]
}

// instant is a moment, with the forms of it that a check needs.
type instant struct {
	time time.Time
	unix int64 // nanoseconds since 1970
}

// seconds is the Unix time, a fraction cut off.
func (i instant) seconds() int64 { return i.unix / int64(time.Second) }

func instantOf(t time.Time) instant { return instant{t, t.UnixNano()} }

func newClock(given func() time.Time) *clock {
	c := &clock{given: given}
	c.align()
	return c
}

func (c *clock) now() instant {
	if c.given != nil {
		return instantOf(c.given())
	}
	aligned := c.aligned.Load()
	passed := time.Since(aligned.time)
	if passed > alignEvery {
		return c.align()
	}
	return instant{aligned.time.Add(passed), aligned.unix + int64(passed)}
}

// time is now as the standard library has it.
func (c *clock) time() time.Time { return c.now().time }

func (c *clock) align() instant {
	now := instantOf(time.Now())
	c.aligned.Store(&now)
	return now
}
