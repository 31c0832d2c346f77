package notify

import (
	"math/rand/v2"
	"sync"
	"time"
)

// The pauses between attempts: 5 s after the first, three times as long after
// each further one, up to six hours. Each varies by a quarter, so that what
// failed together is not tried again all at once.
const (
	minPause = 5 * time.Second
	maxPause = 6 * time.Hour
)

// pause is how long to wait after so many attempts, at least 1.
func pause(attempts int) time.Duration { return vary(grow(minPause, attempts-1, maxPause)) }

// grow is first, tripled so many times, and at most most.
func grow(first time.Duration, times int, most time.Duration) time.Duration {
	for ; times > 0 && first < most; times-- {
		first *= 3
	}
	return min(first, most)
}

func vary(d time.Duration) time.Duration {
	return d - d/4 + rand.N(d/2) // #nosec G404 -- spreads load, guards nothing
}

// A lane whose attempts fail tripAfter times in a row is left alone: for
// minOpen, and longer each time that the one attempt that then tests it fails.
const (
	tripAfter = 5
	minOpen   = 5 * time.Second
	maxOpen   = 5 * time.Minute
)

// circuits knows the lanes that fail. They are this node's experience, and are
// gone when it stops.
type circuits struct {
	mu    sync.Mutex
	lanes map[string]*circuit // guarded by mu; none: the lane is fine
}

type circuit struct {
	failures int       // in a row
	opened   int       // times in a row
	until    time.Time // left alone until then; zero: it is not
}

// allow says how many attempts may be made in a lane now, or when one may.
func (c *circuits) allow(lane string, now time.Time) (limit int, opens time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch known := c.lanes[lane]; {
	case known == nil || known.until.IsZero():
		return laneBatch, time.Time{}
	case now.Before(known.until):
		return 0, known.until
	}
	return 1, time.Time{}
}

// fail notes an attempt that failed.
func (c *circuits) fail(lane string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lanes == nil {
		c.lanes = make(map[string]*circuit)
	}
	known := c.lanes[lane]
	if known == nil {
		known = new(circuit)
		c.lanes[lane] = known
	}
	known.failures++
	if known.failures < tripAfter || now.Before(known.until) {
		return // not yet, or one of those that were under way when it opened
	}
	known.until = now.Add(vary(grow(minOpen, known.opened, maxOpen)))
	known.opened++
}

// close notes that the endpoint of a lane answers.
func (c *circuits) close(lane string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.lanes, lane)
}
