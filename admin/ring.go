package admin

import (
	"context"
	"encoding/json"
	"net/http"
)

// CreateRing makes a ring of shared secrets, unless there is one of this name.
func (c *Client) CreateRing(ctx context.Context, ring, reason string) error {
	return c.do(ctx, request{method: http.MethodPut, path: []string{"rings", ring}, reason: reason})
}

// ExportRing returns the secrets of a ring of shared secrets as a JWK set, the
// one that signs first, for the servers that are its members; see
// jwk.WriteSecretFile. Never log or format it. [CodeNotFound]: there is no such
// ring.
func (c *Client) ExportRing(ctx context.Context, ring, reason string) ([]byte, error) {
	var set json.RawMessage
	err := c.do(ctx, request{method: http.MethodPost, path: []string{"rings", ring, "export"}, reason: reason, into: &set})
	return set, err
}
