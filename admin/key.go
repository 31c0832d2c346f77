package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Key is a member of a ring, without its private part.
type Key struct {
	ID        string          `json:"id"` // kid, the RFC 7638 thumbprint
	Ring      string          `json:"ring"`
	Algorithm string          `json:"algorithm"`
	State     string          `json:"state"` // staged, active, retiring, retired or compromised
	CreatedAt time.Time       `json:"created_at"`
	ChangedAt time.Time       `json:"changed_at"` // when State was entered
	NextState string          `json:"next_state,omitempty"`
	NextAt    time.Time       `json:"next_at,omitzero"` // when the schedule takes it there
	Public    json.RawMessage `json:"public,omitempty"` // JWK; none for shared secrets
}

// KeyHolders says who could verify with a key.
type KeyHolders struct {
	// UsableFrom is when every verifier can know a staged key, guard or not.
	UsableFrom time.Time   `json:"usable_from"`
	Guards     []KeyHolder `json:"guards"` // that follow the feed, at any node
}

// KeyHolder is a guard that follows the feed.
type KeyHolder struct {
	Client string    `json:"client"`
	From   string    `json:"from"` // its network address
	Since  time.Time `json:"since"`
	Holds  bool      `json:"holds"`
	Node   string    `json:"node"`             // whose feed it follows
	Others int       `json:"others,omitempty"` // so many more of the client there, like this one, are not listed
}

// NewKey says which key to stage, or to rotate to. The empty algorithm is the
// ring's own; ring id has a key for each.
type NewKey struct {
	Algorithm string `json:"algorithm,omitempty"`
}

// ImportedKey is a private key that was made elsewhere, as a JWK. Never log or
// format it.
type ImportedKey struct {
	Key json.RawMessage `json:"key"`
}

// KeyChange says how a key is to be activated or retired.
type KeyChange struct {
	Force bool `json:"force,omitempty"` // even if a verifier may then refuse what is good
}

// Keys lists the keys of a ring, or with "" all, by ring, oldest first, in one page.
func (c *Client) Keys(ctx context.Context, ring string) (List[Key], error) {
	var list List[Key]
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"keys"}, query: Page{}.query(map[string]string{"ring": ring}), into: &list})
	return list, err
}

// Key finds a key by its id.
func (c *Client) Key(ctx context.Context, id string) (Key, error) {
	return c.key(ctx, request{method: http.MethodGet, path: []string{"keys", id}})
}

// KeyHolders says which guards could verify with a key of the access ring.
func (c *Client) KeyHolders(ctx context.Context, id string) (KeyHolders, error) {
	var found KeyHolders
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"keys", id, "guards"}, into: &found})
	return found, err
}

// StageKey publishes the next key of a ring, without using it.
func (c *Client) StageKey(ctx context.Context, ring string, n NewKey, reason string) (Key, error) {
	return c.key(ctx, request{method: http.MethodPost, path: []string{"rings", ring, "stage"}, body: n, reason: reason})
}

// RotateKey lets the next key of a ring take over once it was staged for long enough.
func (c *Client) RotateKey(ctx context.Context, ring string, n NewKey, reason string) (Key, error) {
	return c.key(ctx, request{method: http.MethodPost, path: []string{"rings", ring, "rotate"}, body: n, reason: reason})
}

// ImportKey stages a private key that was made elsewhere.
func (c *Client) ImportKey(ctx context.Context, ring string, k ImportedKey, reason string) (Key, error) {
	return c.key(ctx, request{method: http.MethodPost, path: []string{"rings", ring, "import"}, body: k, reason: reason})
}

// ActivateKey lets a staged key take over now. [CodeConflict]: it is too early.
func (c *Client) ActivateKey(ctx context.Context, id string, change KeyChange, reason string) (Key, error) {
	return c.key(ctx, request{method: http.MethodPost, path: []string{"keys", id, "activate"}, body: change, reason: reason})
}

// RetireKey takes a key that is staged or retiring out of use. [CodeConflict]: it
// is too early, or the key is in another state.
func (c *Client) RetireKey(ctx context.Context, id string, change KeyChange, reason string) (Key, error) {
	return c.key(ctx, request{method: http.MethodPost, path: []string{"keys", id, "retire"}, body: change, reason: reason})
}

// CompromiseKey has a key, and all it has signed, refused everywhere. It returns
// the key that is active instead, or the key itself if it was not active.
func (c *Client) CompromiseKey(ctx context.Context, id, reason string) (Key, error) {
	return c.key(ctx, request{method: http.MethodPost, path: []string{"keys", id, "compromise"}, reason: reason})
}

func (c *Client) key(ctx context.Context, r request) (Key, error) {
	var k Key
	r.into = &k
	err := c.do(ctx, r)
	return k, err
}
