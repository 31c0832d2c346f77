package columns

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

// KeepEnded is how long ended and expired grants and sessions stay, so that a
// late replay is still recognised.
const KeepEnded = 24 * time.Hour

// SweepAt is the earliest moment at which upkeep could have to remove a session
// or grant.
func SweepAt(ended, idle, expires time.Time) int64 {
	over := idle
	if expires.Before(over) {
		over = expires
	}
	if !ended.IsZero() && ended.Before(over) {
		over = ended
	}
	return Millis(over.Add(KeepEnded))
}

// storedSecret is the JSON shape of a client secret's digest.
type storedSecret struct {
	Digest    []byte `json:"digest"`
	CreatedAt int64  `json:"created_at"`
	ExpiresAt int64  `json:"expires_at,omitempty"` // absent: until it is rotated out
}

// SecretsText is the digests of a client's secrets, as JSON.
func SecretsText(secrets []authority.ClientSecret) string {
	stored := make([]storedSecret, len(secrets))
	for i, c := range secrets {
		stored[i] = storedSecret{Digest: c.Digest[:], CreatedAt: Millis(c.CreatedAt)}
		if !c.ExpiresAt.IsZero() {
			stored[i].ExpiresAt = Millis(c.ExpiresAt)
		}
	}
	text, _ := json.Marshal(stored) // bytes and numbers always marshal
	return string(text)
}

// ParseSecrets reads what SecretsText wrote.
func ParseSecrets(text string) ([]authority.ClientSecret, error) {
	var stored []storedSecret
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return nil, fmt.Errorf("client secrets: %w", err)
	}
	var secrets []authority.ClientSecret
	for _, v := range stored {
		var c authority.ClientSecret
		if err := Bytes(c.Digest[:]).Scan(v.Digest); err != nil {
			return nil, fmt.Errorf("client secrets: %w", err)
		}
		c.CreatedAt = time.UnixMilli(v.CreatedAt).UTC()
		if v.ExpiresAt != 0 {
			c.ExpiresAt = time.UnixMilli(v.ExpiresAt).UTC()
		}
		secrets = append(secrets, c)
	}
	return secrets, nil
}

// storedPolicy is the JSON shape of a client's minting policy.
type storedPolicy struct {
	Subjects    string   `json:"subjects"`
	Patterns    []string `json:"patterns,omitempty"`
	Claims      []string `json:"claims,omitempty"`
	Audiences   []string `json:"audiences,omitempty"`
	Scope       []string `json:"scope,omitempty"`
	MaxLifetime int64    `json:"max_lifetime,omitempty"` // milliseconds
	Rate        int      `json:"rate,omitempty"`
	Approval    bool     `json:"approval,omitempty"`
}

// MintPolicyText is a client's minting policy as JSON, "" for none.
func MintPolicyText(p *authority.MintPolicy) string {
	if p == nil {
		return ""
	}
	text, _ := json.Marshal(storedPolicy{ // texts and numbers always marshal
		string(p.Subjects), p.Patterns, p.Claims, p.Audiences, p.Scope, p.MaxLifetime.Milliseconds(), p.Rate, p.Approval,
	})
	return string(text)
}

// ParseMintPolicy reads what MintPolicyText wrote.
func ParseMintPolicy(text string) (*authority.MintPolicy, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // most clients have none
	}
	var p storedPolicy
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, fmt.Errorf("minting policy: %w", err)
	}
	return &authority.MintPolicy{
		Subjects: authority.MintSubjects(p.Subjects), Patterns: p.Patterns, Claims: p.Claims, Audiences: p.Audiences, Scope: p.Scope,
		MaxLifetime: time.Duration(p.MaxLifetime) * time.Millisecond, Rate: p.Rate, Approval: p.Approval,
	}, nil
}
