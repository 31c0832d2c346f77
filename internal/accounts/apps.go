package accounts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// AppStore is what a Service reads of the apps that people allowed something.
type AppStore interface {
	Client(ctx context.Context, id string) (authority.Client, error)
	Consents(ctx context.Context, account secret.ID) ([]authority.Consent, error)
	Grants(ctx context.Context, account secret.ID, client string, p authority.Page) ([]authority.Grant, error)
}

// App is an app that acts for a person, or may: there is a consent, a live grant
// or both.
type App struct {
	ClientID  string
	Name      string // the id, where the client has none
	Scope     oauth.Scope
	Since     time.Time
	LastUsed  time.Time // zero: it holds nothing at the moment
	Consented bool
	Agent     bool // it minted tokens for the person by itself
}

// mostApps bounds the grants that are looked at, for a page.
const mostApps = 1000

// Apps lists the apps of a person by name.
func (s *Service) Apps(ctx context.Context, account secret.ID) ([]App, error) {
	consents, err := s.Consents(ctx, account)
	if err != nil {
		return nil, err
	}
	grants, err := s.cfg.Apps.Grants(ctx, account, "", authority.Page{Limit: mostApps})
	if err != nil {
		return nil, fmt.Errorf("apps of an account: %w", err)
	}
	byClient := make(map[string]*App)
	app := func(client string, since time.Time) *App {
		if byClient[client] == nil {
			byClient[client] = &App{ClientID: client, Since: since}
		}
		return byClient[client]
	}
	for _, c := range consents {
		a := app(c.ClientID, c.CreatedAt)
		a.Consented, a.Scope = true, a.Scope.Union(c.Scope)
	}
	for _, g := range grants {
		if !g.Live(s.cfg.Now()) {
			continue
		}
		a := app(g.ClientID, g.CreatedAt)
		a.Scope = a.Scope.Union(g.Scope)
		a.Agent = a.Agent || g.Type == authority.GrantMint
		if g.CreatedAt.Before(a.Since) {
			a.Since = g.CreatedAt
		}
		if g.LastUsed.After(a.LastUsed) {
			a.LastUsed = g.LastUsed
		}
	}
	var list []App
	for _, a := range byClient {
		if err := s.nameApp(ctx, a); err != nil {
			return nil, err
		}
		list = append(list, *a)
	}
	slices.SortFunc(list, func(a, b App) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ClientID, b.ClientID)) })
	return list, nil
}

func (s *Service) nameApp(ctx context.Context, a *App) error {
	client, err := s.cfg.Apps.Client(ctx, a.ClientID)
	if err != nil && !errors.Is(err, authority.ErrNotFound) {
		return fmt.Errorf("apps of an account: %w", err)
	}
	a.Name = cmp.Or(client.Name, a.ClientID)
	return nil
}

// Consents lists what a person allows, by client.
func (s *Service) Consents(ctx context.Context, account secret.ID) ([]authority.Consent, error) {
	list, err := s.cfg.Apps.Consents(ctx, account)
	if err != nil {
		return nil, fmt.Errorf("consents of an account: %w", err)
	}
	return list, nil
}

// WithdrawConsent takes back what a person allows a client: the consent goes and
// the grants between the two end, with their tokens (SPECS 20.7). It returns
// authority.ErrNotFound when there is neither.
func (s *Service) WithdrawConsent(ctx context.Context, actor authority.Actor, account secret.ID, client, reason string, from authority.Context) error {
	if err := invalid(checkActor(actor)); err != nil {
		return err
	}
	apps, err := s.Apps(ctx, account)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(apps, func(a App) bool { return a.ClientID == client }) {
		return fmt.Errorf("withdraw a consent: %w", authority.ErrNotFound)
	}
	err = s.cfg.Revoker.Revoke(ctx, authority.Revocation{
		Consent: &authority.Consent{AccountID: account, ClientID: client}, Reason: reason,
		Event: authority.Event{
			ID: secret.NewID(s.cfg.Now()), Type: authority.EventConsentWithdrawn, Actor: actor, AccountID: account, ClientID: client,
			Context: seenFrom(from), Reason: reason,
		},
	})
	if err != nil {
		return fmt.Errorf("withdraw a consent: %w", err)
	}
	return nil
}
