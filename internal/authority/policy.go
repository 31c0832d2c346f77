package authority

import (
	"context"
	"time"
)

// Policy is what the authority demands, beside what an API's own code demands,
// of the tokens on some of its routes. Which routes and what is demanded stands
// in Data, in the form of package internal/policy: a store passes it on unread.
type Policy struct {
	Name      string // unique
	Audience  string // the API
	Data      []byte // JSON, never null
	Version   int64  // 1, and raised by each change
	CreatedAt time.Time
	UpdatedAt time.Time
}

// PolicyStore keeps policies. Each change is an entry of the revocation log too,
// of KindPolicy, with the policy's name, and its data or null for one that is
// gone, so that verifiers learn of it as they learn of revocations. Live tells
// every policy there is, with the Seq of its last change and without Until.
type PolicyStore interface {
	// PutPolicy creates or replaces the policy of this name, appends the log entry
	// (kept until keep) and writes the event, in one commit. An existing one keeps
	// CreatedAt, and its Version is raised. It returns what is stored.
	PutPolicy(ctx context.Context, p Policy, keep time.Time, e Event) (Policy, error)
	Policy(ctx context.Context, name string) (Policy, error) // ErrNotFound
	Policies(ctx context.Context) ([]Policy, error)          // by name
	// DeletePolicy removes the policy, with a log entry and the event. ErrNotFound.
	DeletePolicy(ctx context.Context, name string, now, keep time.Time, e Event) error
}
