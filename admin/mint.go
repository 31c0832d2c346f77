package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// MintPolicy says what a client may mint with POST /mint, and lets it ask for
// restricted tokens at the token endpoint.
type MintPolicy struct {
	// Subjects is none (default: the client itself), own (and its service
	// accounts, such as "mailer:night-run" of the client mailer), pattern (and
	// people whose login matches one of Patterns) or session (and people who are
	// signed in, as long as they are).
	Subjects    string   `json:"subjects,omitempty"`
	Patterns    []string `json:"patterns,omitempty"`    // of logins; * is any number of characters
	Claims      []string `json:"claims,omitempty"`      // names of further claims it may set
	Audiences   []string `json:"audiences,omitempty"`   // default: the client's audience
	Scope       []string `json:"scope,omitempty"`       // default: the client's scope
	MaxLifetime Duration `json:"max_lifetime,omitzero"` // of one token; default 5 min
	Rate        int      `json:"rate,omitempty"`        // tokens a minute; default 60,000
	Approval    bool     `json:"approval,omitempty"`    // an administrator approves each batch
}

// MintRequest is a batch of tokens that waits for a second person.
type MintRequest struct {
	ID          string          `json:"id"`
	ClientID    string          `json:"client_id"`
	RequestedBy string          `json:"requested_by,omitempty"` // as the client says
	Reason      string          `json:"reason,omitempty"`       // of the first token for a person
	Requests    json.RawMessage `json:"requests"`               // what was asked for, a JSON array
	CreatedAt   time.Time       `json:"created_at"`
	ExpiresAt   time.Time       `json:"expires_at"` // it can be approved and carried out until then
}

// MintDecision says who approves or denies.
type MintDecision struct {
	By string `json:"by"`
}

// MintRequests lists the batches that wait for a decision, by id.
func (c *Client) MintRequests(ctx context.Context, p Page) (List[MintRequest], error) {
	var list List[MintRequest]
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"mint-requests"}, query: p.query(nil), into: &list})
	return list, err
}

// ApproveMint lets a batch be carried out, by somebody else than who asked for
// it. [CodeConflict]: it was decided before, or its time is over.
func (c *Client) ApproveMint(ctx context.Context, id, by, reason string) error {
	return c.do(ctx, request{method: http.MethodPost, path: []string{"mint-requests", id, "approve"}, body: MintDecision{by}, reason: reason})
}

// DenyMint refuses a batch. [CodeConflict]: it was decided before, or its time is over.
func (c *Client) DenyMint(ctx context.Context, id, by, reason string) error {
	return c.do(ctx, request{method: http.MethodPost, path: []string{"mint-requests", id, "deny"}, body: MintDecision{by}, reason: reason})
}
