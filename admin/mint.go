package admin

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
