package admin

import "time"

// Event is one line of the audit trail.
type Event struct {
	ID        string            `json:"id"`
	At        time.Time         `json:"at"`
	Type      string            `json:"type"`
	Actor     Actor             `json:"actor"`
	AccountID string            `json:"account_id,omitempty"`
	ClientID  string            `json:"client_id,omitempty"`
	SessionID string            `json:"session_id,omitempty"`
	GrantID   string            `json:"grant_id,omitempty"`
	TokenID   string            `json:"token_id,omitempty"`
	Network   string            `json:"network,omitempty"`
	UserAgent string            `json:"user_agent,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Data      map[string]string `json:"data,omitempty"`
}

// Actor is who caused it.
type Actor struct {
	Kind string `json:"kind"`
	ID   string `json:"id,omitempty"`
}

// EventFilter narrows a list of events; empty members match anything.
type EventFilter struct {
	Type      string
	AccountID string
	ClientID  string
	Since     time.Time
}
