package client

import (
	"errors"
	"time"

	"github.com/jetonhq/jeton/oauth"
)

const (
	minBackoff = time.Second
	maxBackoff = 30 * time.Second
)

// backoff says when to try again after failures. The zero backoff has seen none.
type backoff struct {
	err    error // the last one
	count  int   // failures in a row
	calm   time.Time
	urgent time.Time
}

// failed notes a failure. Two moments follow from it: when to try again while the token that is held is good,
// and when for those who have none.
func (b *backoff) failed(now time.Time, err error) {
	b.err = err
	pause := spread(min(minBackoff<<min(b.count, 10), maxBackoff), 0.25)
	b.count++
	urgent := min(pause, minBackoff)
	refusal, refused := errors.AsType[*endpointError](err)
	switch {
	case errors.Is(err, ErrSignInAgain):
		urgent = 0 // costs no request: the store is asked for another sign-in
	case refused && refusal.lasting():
		urgent = pause // asking again will not change the answer soon, and may look like guessing
	}
	if refused && refusal.retryAfter > 0 {
		pause, urgent = max(pause, refusal.retryAfter), max(urgent, refusal.retryAfter)
	}
	b.calm, b.urgent = now.Add(pause), now.Add(urgent)
}

// allows reports whether an attempt may begin.
func (b *backoff) allows(now time.Time, urgent bool) bool {
	from := b.calm
	if urgent {
		from = b.urgent
	}
	// A clock that was set back does not make a pause longer than the longest.
	return b.err == nil || !now.Before(from) || from.Sub(now) > maxRetryAfter+maxBackoff
}

// pace limits how often refusals by APIs may cause a request.
type pace struct {
	burst float64
	every time.Duration
	left  float64
	last  time.Time
}

func newPace() pace { return pace{burst: 10, every: 5 * time.Second, left: 10} }

func (p *pace) take(now time.Time) bool {
	if gone := now.Sub(p.last); gone > 0 && !p.last.IsZero() {
		p.left = min(p.burst, p.left+float64(gone)/float64(p.every))
	}
	p.last = now
	if p.left < 1 {
		return false
	}
	p.left--
	return true
}

// lasting reports whether the refusal is about this client rather than about this moment.
func (e *endpointError) lasting() bool {
	code := oauth.CodeOf(e.err)
	return code != "" && code != oauth.ServerError && code != oauth.TemporarilyUnavailable
}
