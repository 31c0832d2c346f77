package admin

import (
	"context"
	"net/http"
	"time"
)

// Consent is what a person allows a client: one for each pair.
type Consent struct {
	AccountID string    `json:"account_id"`
	ClientID  string    `json:"client_id"`
	Scope     []string  `json:"scope"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"` // when it was last widened
}

// Consents lists what a person, named by id or login, allows, by client, in one
// page.
func (c *Client) Consents(ctx context.Context, account string) (List[Consent], error) {
	var list List[Consent]
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"accounts", account, "consents"}, into: &list})
	return list, err
}

// WithdrawConsent takes back what a person allows a client, and ends the grants
// between the two. [CodeNotFound]: there is neither.
func (c *Client) WithdrawConsent(ctx context.Context, account, client, reason string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: []string{"accounts", account, "consents", client}, reason: reason})
}
