// Package policies owns the life of central policies: what an operator demands,
// from outside of an API's code, of the tokens on some of its routes. What a
// policy is and which requests it matches is package internal/policy; guards
// learn of changes by the feed.
package policies

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/policy"
	"github.com/jetonhq/jeton/internal/secret"
)

// ErrInvalid is wrapped together with everything that is wrong with a policy.
var ErrInvalid = errors.New("invalid policy")

// Store is what the service needs of the database.
type Store interface {
	authority.PolicyStore
	Resource(ctx context.Context, audience string) (authority.Resource, error)
}

// Config holds what a Service needs. Store is required.
type Config struct {
	Store Store
	Now   func() time.Time // default time.Now
	Keep  time.Duration    // how long a change stays in the log for guards that resume; default 1 h
}

// Service owns policies. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Keep == 0 {
		cfg.Keep = time.Hour
	}
	return &Service{cfg}
}

// Policy is a policy with its name.
type Policy struct {
	Name string
	policy.Policy
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// Put creates the policy of this name or replaces it. Without a difference it
// changes nothing. Everything that is wrong is reported at once, wrapped with
// ErrInvalid.
func (s *Service) Put(ctx context.Context, actor authority.Actor, name string, p policy.Policy, reason string) (Policy, error) {
	if err := s.check(ctx, name, p); err != nil {
		return Policy{}, err
	}
	data, err := p.Encode()
	if err != nil {
		return Policy{}, fmt.Errorf("put a policy: %w", err)
	}
	before, err := s.cfg.Store.Policy(ctx, name)
	switch {
	case err == nil && slices.Equal(before.Data, data):
		return read(before)
	case err != nil && !errors.Is(err, authority.ErrNotFound):
		return Policy{}, fmt.Errorf("put a policy: %w", err)
	}
	now := s.cfg.Now()
	e := event(authority.EventPolicySet, actor, name, reason, now)
	e.Data["policy"] = string(data)
	if before.Data != nil {
		e.Data["before"] = string(before.Data)
	}
	put, err := s.cfg.Store.PutPolicy(ctx,
		authority.Policy{Name: name, Audience: p.Audience, Data: data, CreatedAt: now, UpdatedAt: now}, now.Add(s.cfg.Keep), e)
	if err != nil {
		return Policy{}, fmt.Errorf("put a policy: %w", err)
	}
	return read(put)
}

func (s *Service) check(ctx context.Context, name string, p policy.Policy) error {
	problems := []error{p.Check()}
	if !validName.MatchString(name) {
		problems = append(problems, errors.New("a name is 1 to 64 of a-z, 0-9, dot, dash and underscore, and begins with a letter or digit"))
	}
	if p.Audience != "" {
		// A misspelt audience would lock nothing, in silence.
		_, err := s.cfg.Store.Resource(ctx, p.Audience)
		if errors.Is(err, authority.ErrNotFound) {
			problems = append(problems, errors.New("no API with this audience is registered"))
		} else if err != nil {
			return fmt.Errorf("put a policy: %w", err)
		}
		all, err := s.List(ctx, p.Audience)
		if err != nil {
			return err
		}
		if len(all) >= policy.MaxPerAudience && !slices.ContainsFunc(all, func(other Policy) bool { return other.Name == name }) {
			problems = append(problems, fmt.Errorf("the API has %d policies, which is the most", len(all)))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// Get returns a policy, or authority.ErrNotFound.
func (s *Service) Get(ctx context.Context, name string) (Policy, error) {
	p, err := s.cfg.Store.Policy(ctx, name)
	if err != nil {
		return Policy{}, err
	}
	return read(p)
}

// List returns the policies of an API, or with "" all, by name.
func (s *Service) List(ctx context.Context, audience string) ([]Policy, error) {
	stored, err := s.cfg.Store.Policies(ctx)
	if err != nil {
		return nil, err
	}
	var list []Policy
	for _, one := range stored {
		if audience != "" && one.Audience != audience {
			continue
		}
		p, err := read(one)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// Delete removes a policy, or returns authority.ErrNotFound.
func (s *Service) Delete(ctx context.Context, actor authority.Actor, name, reason string) error {
	now := s.cfg.Now()
	if err := s.cfg.Store.DeletePolicy(ctx, name, now, now.Add(s.cfg.Keep), event(authority.EventPolicyDeleted, actor, name, reason, now)); err != nil {
		return fmt.Errorf("delete a policy: %w", err)
	}
	return nil
}

// Outcome is what policies mean for one request.
type Outcome struct {
	Policies []Policy       // that apply
	Together policy.Demands // what they demand
	Nobody   bool           // no token can meet it
}

// Test says which policies apply to a request, given by its escaped path, and
// what they demand together.
func (s *Service) Test(ctx context.Context, audience, method, path string) (Outcome, error) {
	if audience == "" || method == "" || path == "" || path[0] != '/' || policy.CheckMethod(method) != nil {
		return Outcome{}, fmt.Errorf("%w: a test needs an audience, a method such as GET, and a path", ErrInvalid)
	}
	list, err := s.List(ctx, audience)
	if err != nil {
		return Outcome{}, err
	}
	var o Outcome
	for _, p := range list {
		pattern, err := policy.ParsePattern(p.Pattern)
		if err != nil {
			return Outcome{}, err
		}
		if policy.MethodMatches(p.Method, method) && pattern.Match(policy.Clean(path)) {
			o.Policies = append(o.Policies, p)
			var nobody bool
			o.Together, nobody = o.Together.And(p.Demands)
			o.Nobody = o.Nobody || nobody
		}
	}
	return o, nil
}

func read(p authority.Policy) (Policy, error) {
	decoded, err := policy.Decode(p.Data)
	if err != nil {
		return Policy{}, fmt.Errorf("policy %s: %w", p.Name, err)
	}
	return Policy{p.Name, decoded, p.Version, p.CreatedAt, p.UpdatedAt}, nil
}

func event(kind authority.EventType, actor authority.Actor, name, reason string, now time.Time) authority.Event {
	return authority.Event{ID: secret.NewID(now), Type: kind, Actor: actor, Reason: reason, Data: map[string]string{"name": name}}
}
