package oauth

import (
	"bytes"
	"encoding/json"
)

// TokenResponse is the success body of the token endpoint (OAuth 2.1 section
// 3.2.3). It holds live secrets: never log or format one.
type TokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	Scope        string `json:"scope"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
}

// Introspection is the answer of the introspection endpoint (RFC 7662 section
// 2.2). When Active is false no other member is sent.
type Introspection struct {
	Active    bool            `json:"active"`
	Scope     string          `json:"scope,omitempty"`
	ClientID  string          `json:"client_id,omitempty"`
	Username  string          `json:"username,omitempty"`
	TokenType string          `json:"token_type,omitempty"`
	ExpiresAt int64           `json:"exp,omitempty"` // Unix seconds
	IssuedAt  int64           `json:"iat,omitempty"` // Unix seconds
	NotBefore int64           `json:"nbf,omitempty"` // Unix seconds
	Subject   string          `json:"sub,omitempty"`
	Audience  Audience        `json:"aud,omitempty"`
	Issuer    string          `json:"iss,omitempty"`
	ID        string          `json:"jti,omitempty"`
	SessionID string          `json:"sid,omitempty"`
	GrantID   string          `json:"gid,omitempty"`
	AuthTime  int64           `json:"auth_time,omitempty"` // Unix seconds
	ACR       string          `json:"acr,omitempty"`
	AMR       []string        `json:"amr,omitempty"`
	Confirm   json.RawMessage `json:"cnf,omitempty"`
	Actor     json.RawMessage `json:"act,omitempty"`

	// What the token is restricted to. Who asks has to enforce it.
	URL     string `json:"url,omitempty"`
	URLHash string `json:"url#S256,omitempty"`
	Method  string `json:"method,omitempty"`
	Uses    int64  `json:"uses,omitempty"` // as it was made; POST /consume counts them
}

// Audience is an aud value: one string, or an array of strings (RFC 7519
// section 4.1.3). One value is written as a string.
type Audience []string

// MarshalJSON writes one value as a string and several as an array.
func (a Audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON reads a string or an array of strings.
func (a *Audience) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte{'"'}) {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*a = Audience{s}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}
