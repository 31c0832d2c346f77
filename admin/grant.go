package admin

import (
	"encoding/json"
	"time"
)

// Grant is one lineage of tokens.
type Grant struct {
	ID         string   `json:"id"`
	Type       string   `json:"type"` // grant type that made it
	ClientID   string   `json:"client_id"`
	AccountID  string   `json:"account_id,omitempty"`
	SessionID  string   `json:"session_id,omitempty"`
	Scope      []string `json:"scope,omitempty"`
	Audience   []string `json:"audience,omitempty"`
	Refresh    bool     `json:"refresh"`           // has a refresh token
	Generation uint32   `json:"generation"`        // how often it was rotated
	Network    string   `json:"network,omitempty"` // prefix of the address from which it was last used
	UserAgent  string   `json:"user_agent,omitempty"`

	FirstNetwork   string `json:"first_network,omitempty"` // where it was made
	FirstUserAgent string `json:"first_user_agent,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	LastUsed  time.Time `json:"last_used"`
	ExpiresAt time.Time `json:"expires_at"` // at the latest
	Live      bool      `json:"live"`
	EndReason string    `json:"end_reason,omitempty"`
}

// Explanation is everything the authority can say about a token.
type Explanation struct {
	Kind   string          `json:"kind"`             // access token or refresh token
	Header json.RawMessage `json:"header,omitempty"` // JSON, when it could be decoded
	Claims json.RawMessage `json:"claims,omitempty"`
	Checks []Check         `json:"checks"` // in the order of verification
}

// Active reports whether there were checks and every one passed.
func (e Explanation) Active() bool {
	for _, c := range e.Checks {
		if !c.OK {
			return false
		}
	}
	return len(e.Checks) > 0
}

// Check is one step of a token's verification.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // why
}

// TokenRequest carries a token to explain or revoke. Never log or format one.
type TokenRequest struct {
	Token string `json:"token"`
}
