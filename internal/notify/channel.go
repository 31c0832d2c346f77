package notify

import (
	"context"
	"errors"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

// Channel is one way to tell somebody of events. Its methods are called from
// several goroutines at once.
type Channel interface {
	// Name is what deliveries of this channel are stored under. It never changes.
	Name() string

	// Plan says what is to be sent about an event; most events concern nobody. It
	// must change nothing, because an event whose plan could not be stored is
	// planned again. An error means that it cannot be known now: planning stops at
	// this event, for all channels, and starts again with it after a while. An
	// event that a channel can make nothing of is no error.
	Plan(ctx context.Context, e authority.Event) ([]Message, error)

	// Send makes one attempt for d, whose Body is as Plan made it and whose ID is the
	// same at each attempt. It must end when ctx does. It may be called again
	// for a delivery that was sent, when that could not be written down. The
	// error becomes part of the log of deliveries, so it holds no secret; one made by
	// Permanent ends the delivery, any other has it tried again.
	Send(ctx context.Context, d authority.Delivery) error
}

// Message is what one receiver shall get about an event.
type Message struct {
	Target string // for whom, as operators name it: a webhook, an account id, a client id
	// Lane names the endpoint, for everything that goes to the same one: its
	// deliveries fail together. Default: the target.
	Lane string
	Body []byte // what Send needs beside the delivery's other members; at most 64 KiB
	// Secret: Body holds something that must not rest in the clear. It is sealed in
	// the store, not shown in the log of deliveries, and forgotten once delivered.
	Secret bool
	// Within is how long it is worth sending. Default: what is configured.
	Within time.Duration
}

// permanent is a failure that another attempt will not mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error that ends a delivery: no attempt follows.
func Permanent(err error) error { return permanent{err} }

func isPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}

// later is a failure whose receiver said when to come again.
type later struct {
	error
	after time.Duration
}

func (l later) Unwrap() error { return l.error }

// RetryAfter marks an error whose receiver asked not to be tried again for a
// while. Asking for longer than the longest pause between attempts counts as that.
func RetryAfter(err error, d time.Duration) error { return later{err, d} }

func retryAfter(err error) time.Duration {
	var l later
	if errors.As(err, &l) {
		return l.after
	}
	return 0
}
