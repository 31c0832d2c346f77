package clients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// secretPrefix lets secret scanners recognise a leaked client secret.
const secretPrefix = "jcs_"

// Create registers a client. A confidential one gets a secret, which is
// returned here and never again: the store has its SHA-256. Everything wrong
// with p is reported at once, wrapped with ErrInvalid; authority.ErrConflict
// means the id is taken.
func (s *Service) Create(ctx context.Context, actor authority.Actor, p Spec, reason string) (authority.Client, secret.Value, error) {
	now := s.cfg.Now()
	if p.ID == "" {
		p.ID = "c-" + secret.NewID(now).String()
	}
	p = p.withDefaults()
	if err := s.validate(actor, p); err != nil {
		return authority.Client{}, secret.Value{}, err
	}
	c := p.apply(authority.Client{Version: 1, CreatedAt: now, UpdatedAt: now})
	plain := p.Secret
	if !c.Public() {
		if plain.Empty() {
			plain = secret.Token(secretPrefix)
		}
		c.Secrets = []authority.ClientSecret{{Digest: secret.Digest(plain.Reveal()), CreatedAt: now}}
	}
	if err := s.cfg.Store.CreateClient(ctx, c, s.event(authority.EventClientCreated, actor, c.ID, reason)); err != nil {
		return authority.Client{}, secret.Value{}, fmt.Errorf("create a client: %w", err)
	}
	s.changed()
	return c, plain, nil
}

// Update replaces what the client is registered with; its id and secrets stay,
// except that a client that becomes public loses its secrets. Without a change
// it writes nothing. Disabling ends the client's grants.
func (s *Service) Update(ctx context.Context, actor authority.Actor, id string, p Spec, reason string) (authority.Client, error) {
	p.ID = id
	p = p.withDefaults()
	if !p.Secret.Empty() {
		return authority.Client{}, invalid(errors.New("secret: it is changed by rotating it"))
	}
	if err := s.validate(actor, p); err != nil {
		return authority.Client{}, err
	}
	return s.change(ctx, id, "update a client", func(c authority.Client) (authority.Client, bool, error) {
		if p.Version != 0 && p.Version != c.Version {
			return c, false, fmt.Errorf("%w: %w", errStale, authority.ErrConflict)
		}
		differences := SpecOf(c).Differences(p)
		if len(differences) == 0 {
			return c, false, nil
		}
		end := p.Disabled && !c.Disabled
		c = p.apply(c)
		if c.Public() {
			c.Secrets = nil
		}
		e := s.event(authority.EventClientUpdated, actor, id, reason)
		e.Data = map[string]string{"changed": strings.Join(differences, " ")}
		return c, true, s.write(ctx, c, end, e)
	})
}

// Rotation says how a client's secret is replaced.
type Rotation struct {
	Secret      secret.Value // default: one is made
	OldUntil    time.Time    // when the former secret ends; zero: at the rotation after this one
	Compromised bool         // all former secrets end now, and all grants of the client with them
}

// RotateSecret gives a confidential client a new secret, returned here and
// never again. Two are live at a time: the new one and the newest of the former
// ones, until OldUntil.
func (s *Service) RotateSecret(ctx context.Context, actor authority.Actor, id string, r Rotation, reason string) (authority.Client, secret.Value, error) {
	problems := []error{checkActor(actor)}
	plain := r.Secret
	if plain.Empty() {
		plain = secret.Token(secretPrefix)
	} else {
		problems = append(problems, checkSecret(plain))
	}
	if err := invalid(problems...); err != nil {
		return authority.Client{}, secret.Value{}, err
	}
	now := s.cfg.Now()
	c, err := s.change(ctx, id, "rotate a client secret", func(c authority.Client) (authority.Client, bool, error) {
		if c.Public() {
			return c, false, invalid(errors.New("secret: a public client has none"))
		}
		digest := secret.Digest(plain.Reveal())
		secrets := []authority.ClientSecret{{Digest: digest, CreatedAt: now}}
		for _, former := range c.Secrets {
			if former.Digest == digest { // brought along a second time: it is the new one
				continue
			}
			if !r.OldUntil.IsZero() && (former.ExpiresAt.IsZero() || r.OldUntil.Before(former.ExpiresAt)) {
				former.ExpiresAt = r.OldUntil
			}
			if live := former.ExpiresAt.IsZero() || now.Before(former.ExpiresAt); live && !r.Compromised {
				secrets = append(secrets, former)
				break
			}
		}
		c.Secrets = secrets
		return c, true, s.write(ctx, c, r.Compromised, s.event(authority.EventClientSecretIssued, actor, id, reason))
	})
	if err != nil {
		return authority.Client{}, secret.Value{}, err
	}
	return c, plain, nil
}

// Delete removes a client with its consents and codes, and ends its grants. A
// client that is a resource's identity is refused with authority.ErrConflict:
// the resource goes first.
func (s *Service) Delete(ctx context.Context, actor authority.Actor, id, reason string) error {
	if err := invalid(checkActor(actor)); err != nil {
		return err
	}
	if _, err := s.cfg.Store.Client(ctx, id); err != nil {
		return fmt.Errorf("delete a client: %w", err)
	}
	resources, err := s.cfg.Store.ResourceOf(ctx, id)
	if err != nil {
		return fmt.Errorf("delete a client: %w", err)
	}
	if len(resources) > 0 {
		return fmt.Errorf("delete a client: a resource uses it: %w", authority.ErrConflict)
	}
	defer s.changed() // also when the answer was lost
	err = s.cfg.Revoker.Revoke(ctx, authority.Revocation{
		Client: id, DeleteClient: true, Reason: reason,
		Event: s.event(authority.EventClientDeleted, actor, id, reason),
	})
	if err != nil {
		return fmt.Errorf("delete a client: %w", err)
	}
	return nil
}

// List returns clients by id.
func (s *Service) List(ctx context.Context, p authority.Page) ([]authority.Client, error) {
	return s.cfg.Store.Clients(ctx, p)
}

// write stores a changed client. With end, the client's grants end in the same
// commit.
func (s *Service) write(ctx context.Context, c authority.Client, end bool, e authority.Event) error {
	if !end {
		return s.cfg.Store.UpdateClient(ctx, c, e)
	}
	return s.cfg.Revoker.Revoke(ctx, authority.Revocation{Client: c.ID, UpdateClient: &c, Reason: e.Reason, Event: e})
}

// errStale stops change from trying again: the caller named a version.
var errStale = errors.New("the client was changed since it was read")

// change reads a client, lets write change it, and starts again when somebody
// else changed it in between.
func (s *Service) change(ctx context.Context, id, what string, write func(authority.Client) (authority.Client, bool, error)) (authority.Client, error) {
	defer s.changed() // also when the answer was lost
	const tries = 4
	for try := 1; ; try++ {
		read, err := s.cfg.Store.Client(ctx, id)
		if err != nil {
			return authority.Client{}, fmt.Errorf("%s: %w", what, err)
		}
		now := read
		now.Secrets = slices.Clone(read.Secrets)
		now.UpdatedAt = s.cfg.Now()
		written, changed, err := write(now)
		switch {
		case err == nil && !changed:
			return read, nil
		case err == nil:
			written.Version++
			return written, nil
		case errors.Is(err, authority.ErrConflict) && !errors.Is(err, errStale) && try < tries:
		default:
			return authority.Client{}, fmt.Errorf("%s: %w", what, err)
		}
	}
}

// changed makes this Service's own changes visible at once.
func (s *Service) changed() {
	s.clients.forget()
	s.resources.forget()
	if s.cfg.Changed != nil {
		s.cfg.Changed()
	}
}

func (s *Service) event(kind authority.EventType, actor authority.Actor, clientID, reason string) authority.Event {
	return authority.Event{ID: secret.NewID(s.cfg.Now()), Type: kind, Actor: actor, ClientID: clientID, Reason: reason}
}
