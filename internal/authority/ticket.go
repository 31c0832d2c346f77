package authority

import (
	"context"
	"time"
)

// TicketKind keeps the keys of different uses of the TicketStore apart.
type TicketKind string

// TicketProof marks a DPoP proof as used (RFC 9449 section 11.1).
const TicketProof TicketKind = "dpop_proof"

// Bounds of a ticket: what is longer does not belong there. In bytes.
const (
	MaxTicketKey   = 128
	MaxTicketValue = 2048
)

// Ticket is short-lived state under a key of its kind. The value means nothing
// to the store.
type Ticket struct {
	Kind      TicketKind
	Key       string // 1 to MaxTicketKey bytes of printable ASCII
	Value     []byte // at most MaxTicketValue; may be empty
	ExpiresAt time.Time

	// Since, if set, is from when on an equal ticket may have been made. A store that
	// may have lost one of them answers CreateTicket with ErrBusy instead of making
	// a second one.
	Since time.Time
}

// TicketStore keeps tickets. Every method is atomic across processes: of any
// number of concurrent calls that exclude each other one succeeds. A ticket that
// has expired at now behaves exactly like one that was never there. A ticket out
// of bounds is an error and not stored.
type TicketStore interface {
	// CreateTicket stores t. ErrConflict: there is one with its kind and key.
	CreateTicket(ctx context.Context, t Ticket, now time.Time) error
	Ticket(ctx context.Context, kind TicketKind, key string, now time.Time) (Ticket, error) // ErrNotFound
	// SwapTicket gives t's value and expiry to the ticket of its kind and key if
	// the value there is old. ErrConflict: it is another. ErrNotFound.
	SwapTicket(ctx context.Context, t Ticket, old []byte, now time.Time) error
	// TakeTicket removes the ticket and returns it. Of concurrent calls one gets
	// it, the others ErrNotFound.
	TakeTicket(ctx context.Context, kind TicketKind, key string, now time.Time) (Ticket, error)
}
