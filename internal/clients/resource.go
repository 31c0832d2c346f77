package clients

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// ResourceSpec is what a resource is registered with.
type ResourceSpec struct {
	Audience string
	Name     string // default: the audience
	Scope    []string
	Ring     string // of shared secrets that signs its tokens, made unless it exists; empty: the access ring
	ClientID string // its identity towards the authority
	// CreateClient makes that client, without any grants, unless it exists; with
	// no ClientID one is made up (or the one the resource has is kept).
	CreateClient bool
	Secret       secret.Value // of the client that is created; default: one is made
}

// PutResource registers a resource or replaces it, by its audience. The secret
// is that of a client created on the way, and empty otherwise. The client is
// created first: if storing the resource then fails, calling again finds it.
func (s *Service) PutResource(ctx context.Context, actor authority.Actor, p ResourceSpec, reason string) (authority.Resource, secret.Value, error) {
	none := func(err error) (authority.Resource, secret.Value, error) {
		return authority.Resource{}, secret.Value{}, err
	}
	if p.Name == "" {
		p.Name = p.Audience
	}
	problems := []error{checkActor(actor), checkAudience(p.Audience), checkScope(p.Scope), checkName(p.Name)}
	if p.Ring != "" {
		problems = append(problems, authority.CheckSharedRing(p.Ring))
	}
	if p.ClientID == "" && !p.CreateClient {
		problems = append(problems, errors.New("client id: a resource needs a client of its own"))
	}
	if err := invalid(problems...); err != nil {
		return none(err)
	}
	former, err := s.cfg.Store.Resource(ctx, p.Audience)
	exists := err == nil
	if err != nil && !errors.Is(err, authority.ErrNotFound) {
		return none(fmt.Errorf("put a resource: %w", err))
	}
	if p.ClientID == "" && exists {
		p.ClientID = former.ClientID
	}
	if p.Ring != "" {
		// Before anything names it: a token that cannot be signed is not issued.
		if err := s.cfg.NewRing(ctx, p.Ring, actor, reason); err != nil {
			return none(fmt.Errorf("put a resource: ring: %w", err))
		}
	}
	clientID, plain, err := s.identity(ctx, actor, p, reason)
	if err != nil {
		return none(fmt.Errorf("put a resource: %w", err))
	}
	r := authority.Resource{Audience: p.Audience, ClientID: clientID, Name: p.Name, Scope: slices.Clone(p.Scope), Ring: p.Ring, CreatedAt: s.cfg.Now()}
	kind := authority.EventResourceCreated
	if exists {
		r.CreatedAt, kind = former.CreatedAt, authority.EventResourceUpdated
		if r.ClientID == former.ClientID && r.Name == former.Name && r.Ring == former.Ring && slices.Equal(r.Scope, former.Scope) {
			return former, plain, nil
		}
	}
	defer s.changed() // also when the answer was lost
	e := s.event(kind, actor, clientID, reason)
	e.Data = map[string]string{"audience": r.Audience}
	if err := s.cfg.Store.PutResource(ctx, r, e); err != nil {
		// The client was made for this resource; its secret is lost with this error, but can be rotated.
		return none(fmt.Errorf("put a resource: %w", err))
	}
	return r, plain, nil
}

// identity finds the resource's client, or creates it.
func (s *Service) identity(ctx context.Context, actor authority.Actor, p ResourceSpec, reason string) (string, secret.Value, error) {
	if p.ClientID != "" {
		c, err := s.cfg.Store.Client(ctx, p.ClientID)
		switch {
		case err == nil && c.Public():
			return "", secret.Value{}, invalid(errors.New("client id: a public client cannot be a resource's identity"))
		case err == nil:
			return c.ID, secret.Value{}, nil
		case !errors.Is(err, authority.ErrNotFound):
			return "", secret.Value{}, err
		case !p.CreateClient:
			return "", secret.Value{}, invalid(errors.New("client id: there is no such client"))
		}
	}
	c, plain, err := s.Create(ctx, actor, Spec{ID: p.ClientID, Name: p.Name, Secret: p.Secret}, reason)
	return c.ID, plain, err
}

// Resource returns a resource, or authority.ErrNotFound.
func (s *Service) Resource(ctx context.Context, audience string) (authority.Resource, error) {
	return s.cfg.Store.Resource(ctx, audience)
}

// Resources returns all resources by audience.
func (s *Service) Resources(ctx context.Context) ([]authority.Resource, error) {
	return s.cfg.Store.Resources(ctx)
}

// DeleteResource removes a resource. Its client stays: it may be another
// resource's too, and Delete removes it. authority.ErrNotFound: there is none.
func (s *Service) DeleteResource(ctx context.Context, actor authority.Actor, audience, reason string) error {
	if err := invalid(checkActor(actor)); err != nil {
		return err
	}
	r, err := s.cfg.Store.Resource(ctx, audience)
	if err != nil {
		return fmt.Errorf("delete a resource: %w", err)
	}
	defer s.changed() // also when the answer was lost
	e := s.event(authority.EventResourceDeleted, actor, r.ClientID, reason)
	e.Data = map[string]string{"audience": audience}
	if err := s.cfg.Store.DeleteResource(ctx, audience, e); err != nil {
		return fmt.Errorf("delete a resource: %w", err)
	}
	return nil
}
