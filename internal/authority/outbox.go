package authority

import (
	"context"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// LoggedEvent is an event with its place in the event log.
type LoggedEvent struct {
	Seq uint64
	Event
}

// EventLog is the audit trail in the order in which it was committed, for those
// who act on each event once. Every event gets its number in the commit that
// writes it. Numbers rise and may have gaps; a reader that has seen a number
// never meets a smaller one afterwards, so that nothing is skipped because a
// slower commit filled in behind it.
type EventLog interface {
	// EventLog returns events with Seq > after in order, at most limit. Those at
	// or below the outbox's cursor may be gone.
	EventLog(ctx context.Context, after uint64, limit int) ([]LoggedEvent, error)
	// WaitEvents returns once the log holds an event with Seq > after, or ctx is done.
	WaitEvents(ctx context.Context, after uint64) error
	// OutboxCursor is the number up to which deliveries have been planned.
	OutboxCursor(ctx context.Context) (uint64, error)
	// Enqueue moves the cursor from one number to a later one and stores the
	// deliveries planned in between, in one commit. ErrConflict: the cursor is no
	// longer at from, because another node planned these events.
	Enqueue(ctx context.Context, from, to uint64, ds []Delivery) error
}

// DeliveryState says how far a delivery has come.
type DeliveryState string

const (
	DeliveryPending   DeliveryState = "pending"
	DeliveryDelivered DeliveryState = "delivered"
	DeliveryFailed    DeliveryState = "failed" // given up
)

// Delivery is one message that one receiver shall get about one event.
type Delivery struct {
	ID        secret.ID // the receiver's key to recognise a repetition
	Channel   string    // what sends it: webhook, mail, logout
	Target    string    // for whom: a webhook's name, an account, a client
	Lane      string    // what fails together: deliveries of one lane go to one endpoint
	EventID   secret.ID
	EventType EventType
	Body      []byte // what the channel needs to send it
	Sealed    []byte // instead of Body: the same, sealed for DeliveryPlace, and forgotten once it was delivered
	State     DeliveryState
	Attempts  int       // begun so far
	NextAt    time.Time // pending: not before this
	GiveUpAt  time.Time // no attempt begins after this
	Claim     secret.ID // who is sending it until NextAt; zero: nobody
	LastError string    // of the last attempt that failed
	CreatedAt time.Time
	DoneAt    time.Time // zero while pending
}

// DeliveryPlace is what the body of a delivery is sealed for.
func DeliveryPlace(id secret.ID) string { return fmt.Sprintf("deliveries/%X", id[:]) }

// Lane is a lane with pending deliveries.
type Lane struct {
	Name string
	Due  time.Time // the earliest NextAt
}

// Attempt is how one attempt ended.
type Attempt struct {
	ID    secret.ID
	Claim secret.ID
	State DeliveryState // pending: to be tried again at NextAt
	// NextAt is when to try again, and DoneAt when there is nothing more to try.
	NextAt, DoneAt time.Time
	Keep           time.Time // with DoneAt: kept in the log of deliveries until then
	Error          string
}

// DeliveryFilter narrows Deliveries; empty members match anything.
type DeliveryFilter struct {
	Channel string
	Target  string // with Channel
	State   DeliveryState
}

// DeliveryStats is what there is to send.
type DeliveryStats struct {
	Pending int
	Oldest  time.Time // when the oldest pending one was made; zero: there is none
}

// DeliveryStore keeps what is to be sent until it was, and for a while after.
//
// A delivery is sent at least once: who claims it has it until its lease ends,
// and when it has not said by then how the attempt ended, the delivery is due
// again.
type DeliveryStore interface {
	// Lanes returns lanes with pending deliveries, those due first, at most limit.
	Lanes(ctx context.Context, limit int) ([]Lane, error)
	// ClaimDeliveries takes up to limit deliveries of a lane that are due at now,
	// the longest due first, for the holder claim until lease: NextAt becomes
	// lease, and Attempts rises. No two calls get the same delivery.
	ClaimDeliveries(ctx context.Context, lane string, claim secret.ID, now, lease time.Time, limit int) ([]Delivery, error)
	// FinishDelivery ends a claim, and writes the event if there is one.
	// ErrConflict: the claim is not the delivery's any more.
	FinishDelivery(ctx context.Context, a Attempt, e *Event) error
	// RetryDelivery makes a delivery that failed, or waits, due at now, to be given
	// up at giveUp. ErrNotFound. ErrConflict: it was delivered.
	RetryDelivery(ctx context.Context, id secret.ID, now, giveUp time.Time, e Event) error
	Delivery(ctx context.Context, id secret.ID) (Delivery, error)                 // ErrNotFound
	Deliveries(ctx context.Context, f DeliveryFilter, p Page) ([]Delivery, error) // newest first
	DeliveryStats(ctx context.Context) (DeliveryStats, error)
}

// Webhook is somebody's endpoint that is told of events.
type Webhook struct {
	Name         string // unique
	URL          string
	Events       []string        // patterns: an event type, a prefix and *, or * alone
	AllowPrivate bool            // may be at an address that is not public
	Secrets      []WebhookSecret // newest first, at most two live
	Disabled     bool
	Version      int64 // 1, and raised by each change
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// WebhookSecret signs what a webhook gets.
type WebhookSecret struct {
	ID        secret.ID
	Sealed    []byte // for WebhookSecretPlace
	CreatedAt time.Time
	ExpiresAt time.Time // zero: until it is rotated out
}

// WebhookSecretPlace is what a webhook's secret is sealed for.
func WebhookSecretPlace(id secret.ID) string { return fmt.Sprintf("webhook_secrets/%X", id[:]) }

// WebhookStore keeps webhooks.
type WebhookStore interface {
	// PutWebhook creates the webhook when its Version is 0 (ErrConflict: the name
	// is taken), and otherwise replaces the one whose Version is still this
	// (ErrConflict: it is not), and raises it. It writes the event in the same commit.
	PutWebhook(ctx context.Context, w Webhook, e Event) error
	Webhook(ctx context.Context, name string) (Webhook, error) // ErrNotFound
	Webhooks(ctx context.Context) ([]Webhook, error)           // by name
	DeleteWebhook(ctx context.Context, name string, e Event) error
}

// ClientSession is a session as one client knows it.
type ClientSession struct {
	ClientID  string
	AccountID secret.ID
	SessionID secret.ID // as the client was told, which may be the id of a session that this one replaced
}

// LogoutStore knows which clients are to be told when a session ends: those
// that redeemed a code in it with Redemption.TellLogout.
type LogoutStore interface {
	// SessionsEndedBy returns what ended with the event, by client and session.
	SessionsEndedBy(ctx context.Context, event secret.ID) ([]ClientSession, error)
}
