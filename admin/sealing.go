package admin

import (
	"context"
	"net/http"
	"time"
)

// Sealing says what the secrets in the store are sealed with.
type Sealing struct {
	Masters  []string  `json:"masters"` // names of the configured master keys; the first wraps, all unwrap
	DataKeys []DataKey `json:"data_keys"`
	Direct   int       `json:"direct"` // values still sealed under a master key itself
}

// DataKey is a key that seals, itself wrapped by a master key.
type DataKey struct {
	ID        string    `json:"id"`
	Master    string    `json:"master"` // name of the master key that wrapped it
	CreatedAt time.Time `json:"created_at"`
	WrappedAt time.Time `json:"wrapped_at"`
	Current   bool      `json:"current"` // seals; the others only open
	Values    int       `json:"values"`  // sealed under it
}

// Sealing lists the data keys and the configured master keys.
func (c *Client) Sealing(ctx context.Context) (Sealing, error) {
	var s Sealing
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"sealing"}, into: &s})
	return s, err
}

// RewrapSealing wraps every data key again by the first master key.
func (c *Client) RewrapSealing(ctx context.Context, reason string) (Sealing, error) {
	var s Sealing
	err := c.do(ctx, request{method: http.MethodPost, path: []string{"sealing", "rewrap"}, reason: reason, into: &s})
	return s, err
}

// RotateSealing makes a new data key. What is sealed is sealed again under it in
// the background.
func (c *Client) RotateSealing(ctx context.Context, reason string) (Sealing, error) {
	var s Sealing
	err := c.do(ctx, request{method: http.MethodPost, path: []string{"sealing", "rotate"}, reason: reason, into: &s})
	return s, err
}
