package notme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// ErrLink refuses the value of a link.
var ErrLink = errors.New("the link is not one of ours, or has expired")

// Store is what is read here. Ending goes through the Revoker.
type Store interface {
	Session(ctx context.Context, id secret.ID) (authority.Session, error)
	Grant(ctx context.Context, id secret.ID) (authority.Grant, error)
	Client(ctx context.Context, id string) (authority.Client, error)
	authority.EventStore
}

// Config is what a Service needs. All but Now are required.
type Config struct {
	Store   Store
	Revoker authority.Revoker
	Keys    Keys
	Now     func() time.Time // default time.Now
}

// Service makes links, and does what they say. It is safe for concurrent use.
type Service struct{ cfg Config }

// New makes a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{c}
}

// Access is a session or a grant as the page shows it.
type Access struct {
	App     string // name of the client, "" for a session
	First   authority.Context
	Last    authority.Context
	Since   time.Time
	LastUse time.Time
	Live    bool
}

// Look returns what a link's target ends, and whether its owner has said already
// that it was not them. What is long over is not found any more. Nothing is
// changed.
func (s *Service) Look(ctx context.Context, t Target) (found []Access, reported bool, err error) {
	now := s.cfg.Now()
	if reported, err = s.reported(ctx, t); err != nil {
		return nil, false, err
	}
	if !t.Session.IsZero() {
		session, err := s.cfg.Store.Session(ctx, t.Session)
		switch {
		case err == nil && session.AccountID == t.Account:
			found = append(found, Access{
				First: session.First, Last: session.Last, Since: session.CreatedAt, LastUse: session.LastSeen, Live: session.Live(now),
			})
		case err != nil && !errors.Is(err, authority.ErrNotFound):
			return nil, false, fmt.Errorf("look at a session: %w", err)
		}
	}
	if !t.Grant.IsZero() {
		grant, err := s.cfg.Store.Grant(ctx, t.Grant)
		switch {
		case err == nil && grant.AccountID == t.Account:
			app, err := s.app(ctx, grant.ClientID)
			if err != nil {
				return nil, false, err
			}
			found = append(found, Access{
				App: app, First: grant.First, Last: grant.Last, Since: grant.CreatedAt, LastUse: grant.LastUsed, Live: grant.Live(now),
			})
		case err != nil && !errors.Is(err, authority.ErrNotFound):
			return nil, false, fmt.Errorf("look at a grant: %w", err)
		}
	}
	return found, reported, nil
}

func (s *Service) app(ctx context.Context, id string) (string, error) {
	client, err := s.cfg.Store.Client(ctx, id)
	if errors.Is(err, authority.ErrNotFound) || err == nil && client.Name == "" {
		return id, nil
	}
	return client.Name, err
}

// reason stands in the records of what ended.
const reason = "not_me"

// End ends the target's session with all that was made in it, and its grant. The
// event not_me is written first, once for each mail: it is worth knowing also
// when there is nothing left to end. Doing it again changes nothing.
func (s *Service) End(ctx context.Context, t Target, from authority.Context) error {
	reported, err := s.reported(ctx, t)
	if err != nil {
		return err
	}
	if !reported {
		if err := s.cfg.Store.AppendEvent(ctx, s.event(authority.EventNotMe, t, from)); err != nil {
			return fmt.Errorf("record that it was not them: %w", err)
		}
	}
	if !t.Session.IsZero() {
		err := s.cfg.Revoker.Revoke(ctx, authority.Revocation{
			Session: t.Session, MadeIn: true, Reason: reason, Event: s.event(authority.EventSessionEnded, t, from),
		})
		if err != nil {
			return fmt.Errorf("end a session that was not theirs: %w", err)
		}
	}
	if !t.Grant.IsZero() {
		err := s.cfg.Revoker.Revoke(ctx, authority.Revocation{
			Grant: t.Grant, Reason: reason, Event: s.event(authority.EventGrantEnded, t, from),
		})
		if err != nil {
			return fmt.Errorf("end a grant that was not theirs: %w", err)
		}
	}
	return nil
}

// reported reports whether the event of this mail's link is there already.
func (s *Service) reported(ctx context.Context, t Target) (bool, error) {
	events, err := s.cfg.Store.Events(ctx, authority.EventFilter{Type: authority.EventNotMe, AccountID: t.Account, Since: t.Event.Time()}, authority.Page{Limit: 1000})
	if err != nil {
		return false, fmt.Errorf("look for an earlier report: %w", err)
	}
	return slices.ContainsFunc(events, func(e authority.Event) bool { return e.Data["event"] == t.Event.String() }), nil
}

// event names nobody as the actor but the mail: whoever opened the link has
// shown that they read it, and has not signed in.
func (s *Service) event(kind authority.EventType, t Target, from authority.Context) authority.Event {
	return authority.Event{
		ID: secret.NewID(s.cfg.Now()), Type: kind, Actor: authority.Actor{Kind: "mail", ID: t.Event.String()},
		AccountID: t.Account, SessionID: t.Session, GrantID: t.Grant, Context: from, Reason: reason,
		Data: map[string]string{"event": t.Event.String()},
	}
}
