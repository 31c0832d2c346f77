package postgres

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

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

func policyText(p *authority.MintPolicy) string {
	if p == nil {
		return ""
	}
	text, _ := json.Marshal(storedPolicy{ // texts and numbers always marshal
		string(p.Subjects), p.Patterns, p.Claims, p.Audiences, p.Scope, p.MaxLifetime.Milliseconds(), p.Rate, p.Approval,
	})
	return string(text)
}

func parsePolicy(text string) (*authority.MintPolicy, error) {
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
