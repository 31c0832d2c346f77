package admin

import "time"

// WebhookSpec is an endpoint that is told of events.
type WebhookSpec struct {
	Name         string   `json:"name"`
	URL          string   `json:"url"`
	Events       []string `json:"events"`                  // event types, prefixes such as grant_*, or * for all
	AllowPrivate bool     `json:"allow_private,omitempty"` // its address may be private or loopback; plain http to loopback
	Disabled     bool     `json:"disabled,omitempty"`      // what is meant for it waits, as long as it would be tried
}

// NewWebhook is a webhook to create, or what it shall become. It may hold a
// secret: never log or format one.
type NewWebhook struct {
	WebhookSpec
	// Secret is whsec_ and base64 of 24 to 64 bytes. None: a new webhook gets a
	// random one, and one that is there keeps its own.
	Secret string `json:"secret,omitempty"`
}

// Webhook is a webhook as the authority knows it.
type Webhook struct {
	WebhookSpec
	Secrets   []WebhookSecret `json:"secrets"` // newest first; each signs while it lives
	Version   int64           `json:"version"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
}

// WebhookSecret says when a secret was made and when it stops signing.
type WebhookSecret struct {
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: until it is rotated out
}

// WebhookRotation is a change of a webhook's secret.
type WebhookRotation struct {
	Secret  string   `json:"secret,omitempty"`  // none: a random one
	Overlap Duration `json:"overlap,omitempty"` // how long the old one signs too; 0 means 24h
}

// IssuedWebhook is the answer that shows a new secret, once. Never log or format
// one.
type IssuedWebhook struct {
	Webhook Webhook `json:"webhook"`
	Secret  string  `json:"secret,omitempty"` // none when the caller brought one, or nothing was issued
}

// WebhookTest is what became of a test message.
type WebhookTest struct {
	Delivered bool     `json:"delivered"`
	Error     string   `json:"error,omitempty"`
	Took      Duration `json:"took"`
}

// WebhookMessage is the body of what a webhook gets.
type WebhookMessage struct {
	ID        string    `json:"id"`        // of the event; the same when it is sent again
	Type      string    `json:"type"`      // what happened, or "test"
	Timestamp time.Time `json:"timestamp"` // when it happened
	Data      Event     `json:"data"`
}

// Delivery is a line of the log of deliveries.
type Delivery struct {
	ID        string    `json:"id"`
	Channel   string    `json:"channel"` // webhook, mail or logout
	Target    string    `json:"target"`  // a webhook's name, an account id, a client id
	EventID   string    `json:"event_id"`
	EventType string    `json:"event_type"`
	State     string    `json:"state"` // pending, delivered or failed
	Attempts  int       `json:"attempts"`
	LastError string    `json:"last_error,omitempty"`
	NextAt    time.Time `json:"next_at,omitzero"` // pending: when it is tried next
	GiveUpAt  time.Time `json:"give_up_at"`
	CreatedAt time.Time `json:"created_at"`
	DoneAt    time.Time `json:"done_at,omitzero"`
	Body      string    `json:"body,omitempty"` // one delivery alone shows it, unless it is secret
}

// DeliveryFilter narrows a list of deliveries; empty members match anything.
type DeliveryFilter struct {
	Channel string
	Target  string // with Channel
	State   string
}
