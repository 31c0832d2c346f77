package throttle

import (
	"math"
	"strconv"
	"time"
)

// Error refuses an attempt that came too early or found every place taken. It
// says nothing about whether the credentials were right: they were not looked at.
type Error struct {
	RetryAfter time.Duration // when the next attempt may be made; more than zero
}

func (*Error) Error() string { return "too many attempts" }

// Seconds is the value of a Retry-After header (RFC 9110 section 10.2.3):
// whole seconds, rounded up, at least 1.
func (e *Error) Seconds() int {
	return max(1, int(math.Ceil(e.RetryAfter.Seconds())))
}

// Header is Seconds as text.
func (e *Error) Header() string { return strconv.Itoa(e.Seconds()) }
