package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/notify"
	"github.com/jetonhq/jeton/internal/policies"
	"github.com/jetonhq/jeton/internal/secret"
)

// ErrInvalid is wrapped together with what makes a document contradict itself.
// What a client or an account refuses comes as clients.ErrInvalid or
// accounts.ErrInvalid.
var ErrInvalid = errors.New("invalid document")

// Service brings an authority to a declared state.
type Service struct {
	Accounts *accounts.Service
	Clients  *clients.Service
	Policies *policies.Service
	Webhooks *notify.Webhooks
	Now      func() time.Time // default time.Now
}

// step is one line of the diff and what makes it true.
type step struct {
	change admin.Change
	// run makes the change, and returns a secret that was made on the way.
	run func(context.Context) (secret.Value, error)
}

// Apply compares the authority with d and, unless dryRun, makes it so. It is
// idempotent: what is as declared is not written. When a step fails, those
// before it stay; the same document can be applied again.
//
// A password counts only when its account is created: afterwards it belongs to
// the person. A secret that is none of the client's live ones is rotated in.
func (s *Service) Apply(ctx context.Context, actor authority.Actor, d admin.Document, reason string, dryRun bool) (admin.Diff, error) {
	if err := check(d); err != nil {
		return admin.Diff{}, err
	}
	p := plan{service: s, actor: actor, reason: reason}
	for _, part := range []func(context.Context, admin.Document) error{
		p.clients, p.resources, p.pruneResources, p.pruneClients, p.accounts, p.policies, p.prunePolicies, p.webhooks, p.pruneWebhooks,
	} {
		if err := part(ctx, d); err != nil {
			return admin.Diff{}, err
		}
	}
	diff := admin.Diff{Applied: !dryRun}
	for _, step := range p.steps {
		if !dryRun && step.run != nil {
			made, err := step.run(ctx)
			if err != nil {
				return admin.Diff{}, fmt.Errorf("%s %s: %w", step.change.Kind, step.change.Name, err)
			}
			step.change.Secret = made.Reveal()
		}
		diff.Changes = append(diff.Changes, step.change)
	}
	return diff, nil
}

// check refuses a document that names something twice or not at all.
func check(d admin.Document) error {
	var problems []error
	seen := make(map[string]bool)
	once := func(kind, name string) {
		switch key := kind + " " + name; {
		case name == "":
			problems = append(problems, fmt.Errorf("a %s has no name", kind))
		case seen[key]:
			problems = append(problems, fmt.Errorf("%s %q is named twice", kind, name))
		default:
			seen[key] = true
		}
	}
	for _, c := range d.Clients {
		once("client", c.ID)
	}
	for _, r := range d.Resources {
		once("resource", r.Audience)
	}
	for _, v := range d.Policies {
		once("policy", v.Name)
	}
	for _, w := range d.Webhooks {
		once("webhook", w.Name)
	}
	for _, a := range d.Accounts {
		login, err := accounts.NormalizeLogin(a.Login)
		if err != nil {
			problems = append(problems, fmt.Errorf("account: %w", err))
			continue
		}
		once("account", login)
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// plan gathers the steps in an order in which each finds what it needs.
type plan struct {
	service *Service
	actor   authority.Actor
	reason  string
	steps   []step
}

func (p *plan) add(action admin.Action, kind, name string, fields []admin.Field, run func(context.Context) (secret.Value, error)) {
	p.steps = append(p.steps, step{admin.Change{Action: action, Kind: kind, Name: name, Fields: fields}, run})
}

func (p *plan) now() time.Time {
	if p.service.Now != nil {
		return p.service.Now()
	}
	return time.Now()
}
