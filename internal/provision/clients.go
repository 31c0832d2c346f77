package provision

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

func (p *plan) clients(ctx context.Context, d admin.Document) error {
	for _, declared := range d.Clients {
		// What the registration fills in is no difference.
		declared.Name = cmp.Or(declared.Name, declared.ID)
		declared.AuthMethod = cmp.Or(declared.AuthMethod, oauth.ClientSecretBasic)
		declared.Mint = wireMint(mintPolicy(declared.Mint))

		c, err := p.service.Clients.Lookup(ctx, declared.ID)
		switch {
		case errors.Is(err, authority.ErrNotFound):
			p.createClient(declared)
		case err != nil:
			return err
		default:
			p.updateClient(c, declared)
		}
	}
	return nil
}

func (p *plan) createClient(declared admin.NewClient) {
	fields := differences(admin.ClientSpec{ID: declared.ID}, declared.ClientSpec)
	p.add(admin.Create, "client", declared.ID, fields, func(ctx context.Context) (secret.Value, error) {
		_, made, err := p.service.Clients.Create(ctx, p.actor, NewClient(declared), p.reason)
		if declared.Secret != "" {
			made = secret.Value{} // the caller knows it
		}
		return made, err
	})
}

func (p *plan) updateClient(c authority.Client, declared admin.NewClient) {
	fields := differences(wireSpec(c), declared.ClientSpec)
	rotate := declared.AuthMethod != oauth.NoAuthentication && !hasSecret(c, declared.Secret, p.now())
	changed := len(fields) > 0
	if rotate {
		fields = append(fields, admin.Field{Name: "secret"})
	}
	if len(fields) == 0 {
		p.add(admin.Keep, "client", c.ID, nil, nil)
		return
	}
	p.add(admin.Update, "client", c.ID, fields, func(ctx context.Context) (secret.Value, error) {
		if changed {
			spec := ClientSpec(declared.ClientSpec)
			spec.Version = c.Version
			if _, err := p.service.Clients.Update(ctx, p.actor, c.ID, spec, p.reason); err != nil {
				return secret.Value{}, err
			}
		}
		if !rotate {
			return secret.Value{}, nil
		}
		_, made, err := p.service.Clients.RotateSecret(ctx, p.actor, c.ID, clients.Rotation{Secret: secret.New(declared.Secret)}, p.reason)
		if declared.Secret != "" {
			made = secret.Value{}
		}
		return made, err
	})
}

// hasSecret reports whether the declared secret, or any when none is declared,
// is a live one of the client.
func hasSecret(c authority.Client, declared string, now time.Time) bool {
	digest := secret.Digest(declared)
	return slices.ContainsFunc(c.Secrets, func(s authority.ClientSecret) bool {
		live := s.ExpiresAt.IsZero() || now.Before(s.ExpiresAt)
		return live && (declared == "" || secret.Equal(s.Digest[:], digest[:]))
	})
}

func (p *plan) resources(ctx context.Context, d admin.Document) error {
	for _, declared := range d.Resources {
		declared.Name = cmp.Or(declared.Name, declared.Audience)
		action, old := admin.Update, admin.ResourceSpec{Audience: declared.Audience}
		switch r, err := p.service.Clients.Resource(ctx, declared.Audience); {
		case errors.Is(err, authority.ErrNotFound):
			action = admin.Create
		case err != nil:
			return err
		default:
			old = WireResource(r).ResourceSpec
			declared.ClientID = cmp.Or(declared.ClientID, old.ClientID)
		}
		fields := differences(old, declared)
		if action == admin.Update && len(fields) == 0 {
			p.add(admin.Keep, "resource", declared.Audience, nil, nil)
			continue
		}
		p.add(action, "resource", declared.Audience, fields, func(ctx context.Context) (secret.Value, error) {
			_, _, err := p.service.Clients.PutResource(ctx, p.actor, clients.ResourceSpec{
				Audience: declared.Audience, Name: declared.Name, Scope: declared.Scope, ClientID: declared.ClientID, Ring: declared.Signing.Ring,
			}, p.reason)
			return secret.Value{}, err
		})
	}
	return nil
}

// pruneResources deletes resources that are not named. A list that is missing
// prunes nothing: a document about clients alone says nothing about resources.
func (p *plan) pruneResources(ctx context.Context, d admin.Document) error {
	if !d.Prune || len(d.Resources) == 0 {
		return nil
	}
	there, err := p.service.Clients.Resources(ctx)
	if err != nil {
		return err
	}
	for _, r := range there {
		if slices.ContainsFunc(d.Resources, func(declared admin.ResourceSpec) bool { return declared.Audience == r.Audience }) {
			continue
		}
		p.add(admin.Delete, "resource", r.Audience, nil, func(ctx context.Context) (secret.Value, error) {
			return secret.Value{}, p.service.Clients.DeleteResource(ctx, p.actor, r.Audience, p.reason)
		})
	}
	return nil
}

func (p *plan) pruneClients(ctx context.Context, d admin.Document) error {
	if !d.Prune || len(d.Clients) == 0 {
		return nil
	}
	const page = 1000
	for after := ""; ; {
		there, err := p.service.Clients.List(ctx, authority.Page{After: after, Limit: page})
		if err != nil {
			return err
		}
		for _, c := range there {
			after = c.ID
			if slices.ContainsFunc(d.Clients, func(declared admin.NewClient) bool { return declared.ID == c.ID }) {
				continue
			}
			p.add(admin.Delete, "client", c.ID, nil, func(ctx context.Context) (secret.Value, error) {
				return secret.Value{}, p.service.Clients.Delete(ctx, p.actor, c.ID, p.reason)
			})
		}
		if len(there) < page {
			return nil
		}
	}
}
