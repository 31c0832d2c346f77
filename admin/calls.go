package admin

import (
	"context"
	"net/http"
	"time"
)

// CreateAccount adds a person. [CodeConflict]: the login is taken.
func (c *Client) CreateAccount(ctx context.Context, a NewAccount, reason string) (Account, error) {
	var created Account
	err := c.do(ctx, request{method: http.MethodPost, path: []string{"accounts"}, body: a, reason: reason, into: &created})
	return created, err
}

// Accounts lists people by login.
func (c *Client) Accounts(ctx context.Context, p Page) (List[Account], error) {
	var list List[Account]
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"accounts"}, query: p.query(nil), into: &list})
	return list, err
}

// Account finds a person by id or login.
func (c *Client) Account(ctx context.Context, idOrLogin string) (Account, error) {
	var account Account
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"accounts", idOrLogin}, into: &account})
	return account, err
}

// UpdateAccount changes a person's profile. They stay signed in; routes that
// want fresh claims have their apps refresh once.
func (c *Client) UpdateAccount(ctx context.Context, idOrLogin string, u AccountUpdate, reason string) (Account, error) {
	var account Account
	err := c.do(ctx, request{method: http.MethodPatch, path: []string{"accounts", idOrLogin}, body: u, reason: reason, into: &account})
	return account, err
}

// DisableAccount keeps a person from signing in and ends their sessions and
// grants.
func (c *Client) DisableAccount(ctx context.Context, idOrLogin, reason string) error {
	return c.do(ctx, request{method: http.MethodPost, path: []string{"accounts", idOrLogin, "disable"}, reason: reason})
}

// EnableAccount lets a disabled person sign in again.
func (c *Client) EnableAccount(ctx context.Context, idOrLogin, reason string) error {
	return c.do(ctx, request{method: http.MethodPost, path: []string{"accounts", idOrLogin, "enable"}, reason: reason})
}

// SetPassword replaces a person's password and ends their sessions and grants.
func (c *Client) SetPassword(ctx context.Context, idOrLogin, password, reason string) error {
	return c.do(ctx, request{method: http.MethodPost, path: []string{"accounts", idOrLogin, "password"}, body: PasswordRequest{password}, reason: reason})
}

// EndSessions ends all sessions and grants of a person.
func (c *Client) EndSessions(ctx context.Context, idOrLogin, reason string) error {
	return c.do(ctx, request{method: http.MethodPost, path: []string{"accounts", idOrLogin, "end-sessions"}, reason: reason})
}

// CreateClient adds a client, and shows its secret if the authority chose it.
// [CodeConflict]: the id is taken.
func (c *Client) CreateClient(ctx context.Context, n NewClient, reason string) (IssuedClient, error) {
	var issued IssuedClient
	err := c.do(ctx, request{method: http.MethodPost, path: []string{"clients"}, body: n, reason: reason, into: &issued})
	return issued, err
}

// Clients lists clients by id.
func (c *Client) Clients(ctx context.Context, p Page) (List[ClientRecord], error) {
	var list List[ClientRecord]
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"clients"}, query: p.query(nil), into: &list})
	return list, err
}

// Client finds a client by id.
func (c *Client) Client(ctx context.Context, id string) (ClientRecord, error) {
	var client ClientRecord
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"clients", id}, into: &client})
	return client, err
}

// UpdateClient replaces the spec of the client u.ID. [CodeConflict]: it changed
// since u.Version was read.
func (c *Client) UpdateClient(ctx context.Context, u ClientUpdate, reason string) (ClientRecord, error) {
	var client ClientRecord
	err := c.do(ctx, request{method: http.MethodPut, path: []string{"clients", u.ID}, body: u, reason: reason, into: &client})
	return client, err
}

// RotateSecret gives a client a new secret, shown once. The one before it keeps
// working until the next rotation, unless the rotation says otherwise.
func (c *Client) RotateSecret(ctx context.Context, id string, r SecretRotation, reason string) (IssuedClient, error) {
	var issued IssuedClient
	err := c.do(ctx, request{method: http.MethodPost, path: []string{"clients", id, "rotate-secret"}, body: r, reason: reason, into: &issued})
	return issued, err
}

// DeleteClient removes a client, its consents and its grants.
func (c *Client) DeleteClient(ctx context.Context, id, reason string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: []string{"clients", id}, reason: reason})
}

// PutResource creates a resource, or replaces the one with its audience.
func (c *Client) PutResource(ctx context.Context, r NewResource, reason string) (IssuedResource, error) {
	var issued IssuedResource
	err := c.do(ctx, request{method: http.MethodPut, path: []string{"resources", r.Audience}, body: r, reason: reason, into: &issued})
	return issued, err
}

// Resources lists every resource by audience, in one page.
func (c *Client) Resources(ctx context.Context) (List[Resource], error) {
	var list List[Resource]
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"resources"}, into: &list})
	return list, err
}

// DeleteResource removes a resource.
func (c *Client) DeleteResource(ctx context.Context, audience, reason string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: []string{"resources", audience}, reason: reason})
}

// Sessions lists sessions by id, of one account (id or login) or, with "", of all.
func (c *Client) Sessions(ctx context.Context, account string, p Page) (List[Session], error) {
	var list List[Session]
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"sessions"}, query: p.query(map[string]string{"account": account}), into: &list})
	return list, err
}

// EndSession ends a session and its grants.
func (c *Client) EndSession(ctx context.Context, id, reason string) error {
	return c.do(ctx, request{method: http.MethodPost, path: []string{"sessions", id, "end"}, reason: reason})
}

// Grants lists live grants by id; "" matches any account (id or login) or client.
func (c *Client) Grants(ctx context.Context, account, client string, p Page) (List[Grant], error) {
	var list List[Grant]
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"grants"}, query: p.query(map[string]string{"account": account, "client": client}), into: &list})
	return list, err
}

// EndGrant ends a grant and every token of it.
func (c *Client) EndGrant(ctx context.Context, id, reason string) error {
	return c.do(ctx, request{method: http.MethodPost, path: []string{"grants", id, "end"}, reason: reason})
}

// ExplainToken checks an access token step by step. The server asks no other
// server about it.
func (c *Client) ExplainToken(ctx context.Context, token string) (Explanation, error) {
	var explanation Explanation
	err := c.do(ctx, request{method: http.MethodPost, path: []string{"tokens", "explain"}, body: TokenRequest{token}, into: &explanation})
	return explanation, err
}

// RevokeToken ends an access token, or the grant of a refresh token.
// [CodeNotFound]: the authority did not make it.
func (c *Client) RevokeToken(ctx context.Context, token, reason string) error {
	return c.do(ctx, request{method: http.MethodPost, path: []string{"tokens", "revoke"}, body: TokenRequest{token}, reason: reason})
}

// Events lists the audit trail, newest first.
func (c *Client) Events(ctx context.Context, f EventFilter, p Page) (List[Event], error) {
	query := p.query(map[string]string{"type": f.Type, "account": f.AccountID, "client": f.ClientID})
	if !f.Since.IsZero() {
		query.Set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	var list List[Event]
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"events"}, query: query, into: &list})
	return list, err
}

// Apply brings the authority to the state d declares, or with dryRun only says
// what differs.
func (c *Client) Apply(ctx context.Context, d Document, dryRun bool, reason string) (Diff, error) {
	var diff Diff
	err := c.do(ctx, request{method: http.MethodPost, path: []string{"apply"}, body: ApplyRequest{Document: d, DryRun: dryRun}, reason: reason, into: &diff})
	return diff, err
}
