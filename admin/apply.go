package admin

// Document is a declared state. What it names is created or brought to what it
// says; what it does not name is left alone, unless Prune is set. It holds
// secrets: never log or format one.
type Document struct {
	Clients   []NewClient    `json:"clients,omitempty"`
	Resources []ResourceSpec `json:"resources,omitempty"`
	Accounts  []NewAccount   `json:"accounts,omitempty"`
	Policies  []PolicySpec   `json:"policies,omitempty"`
	Webhooks  []NewWebhook   `json:"webhooks,omitempty"`
	Prune     bool           `json:"prune,omitempty"` // delete clients, resources, policies and webhooks that are not named; accounts are never deleted
}

// ApplyRequest is a document on its way to the server.
type ApplyRequest struct {
	Document Document `json:"document"`
	DryRun   bool     `json:"dry_run,omitempty"`
}

// Diff is what stood between the authority's state and a document. Never log
// or format one: it may show new secrets.
type Diff struct {
	Changes []Change `json:"changes"`
	Applied bool     `json:"applied"` // false for a dry run
}

// Changed reports whether anything differed.
func (d Diff) Changed() bool {
	for _, c := range d.Changes {
		if c.Action != Keep {
			return true
		}
	}
	return false
}

// Action is what a change does.
type Action string

// Actions of a change.
const (
	Create Action = "create"
	Update Action = "update"
	Keep   Action = "keep"
	Delete Action = "delete"
)

// Change is one line of a diff.
type Change struct {
	Action Action  `json:"action"`
	Kind   string  `json:"kind"` // client, resource, policy, webhook or account
	Name   string  `json:"name"`
	Fields []Field `json:"fields,omitempty"`
	Secret string  `json:"secret,omitempty"` // of a client or webhook that was created without one, shown once
}

// Field is a setting that differs. Secrets and passwords show neither value.
type Field struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}
