package flow

import (
	"context"
	"errors"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

// Issue makes the code of a decided request, records a new consent in the same
// commit, and returns the response that carries it. Faults become responses too.
func (f *Flow) Issue(ctx context.Context, s Issue, b Browser) Respond {
	r, err := f.issue(ctx, s, b)
	if err != nil {
		return *f.refuse(s.Request, err)
	}
	return *r
}

func (f *Flow) issue(ctx context.Context, s Issue, b Browser) (*Respond, error) {
	now := f.cfg.Now()
	id := secret.NewID(now)
	value := tokens.NewCode(id)
	req := s.Request
	code := authority.Code{
		ID:            id,
		Digest:        secret.Digest(value.Reveal()),
		ClientID:      req.Client.ID,
		AccountID:     b.Account.ID,
		SessionID:     b.Session.ID,
		RedirectURI:   req.RedirectURI,
		Challenge:     req.Challenge,
		KeyThumbprint: req.Thumbprint,
		Scope:         s.Scope,
		Nonce:         req.Nonce,
		AuthTime:      b.Session.AuthTime,
		ACR:           b.Session.ACR,
		AMR:           b.Session.AMR,
		Context:       b.Context,
		CreatedAt:     now,
		ExpiresAt:     now.Add(f.cfg.CodeLifetime),
	}
	if audience := f.cfg.Clients.AudienceOf(req.Client); audience != "" {
		code.Audience = []string{audience}
	}
	var consent *authority.Consent
	var event *authority.Event
	if s.Record {
		var err error
		if consent, event, err = f.consent(ctx, s, b); err != nil {
			return nil, err
		}
	}
	err := f.cfg.Store.CreateCode(ctx, code, consent, event)
	if errors.Is(err, authority.ErrEnded) {
		// Signed out, or disabled, a moment ago in another window.
		return nil, oauth.RefuseCause(oauth.LoginRequired, "the session has ended", err)
	}
	if err != nil {
		return nil, err
	}
	r := f.respond(req)
	r.Code = value
	return r, nil
}

// consent widens the row of the pair by what was just allowed.
func (f *Flow) consent(ctx context.Context, s Issue, b Browser) (*authority.Consent, *authority.Event, error) {
	now := f.cfg.Now()
	row, err := f.cfg.Store.Consent(ctx, b.Account.ID, s.Request.Client.ID)
	if errors.Is(err, authority.ErrNotFound) {
		row = authority.Consent{AccountID: b.Account.ID, ClientID: s.Request.Client.ID, CreatedAt: now}
	} else if err != nil {
		return nil, nil, err
	}
	row.Scope = oauth.Scope(row.Scope).Union(s.Scope)
	row.UpdatedAt = now
	return &row, &authority.Event{
		ID:        secret.NewID(now),
		Type:      authority.EventConsentGranted,
		Actor:     authority.Actor{Kind: "account", ID: b.Account.ID.String()},
		AccountID: b.Account.ID,
		ClientID:  s.Request.Client.ID,
		SessionID: b.Session.ID,
		Context:   b.Context,
		Data:      map[string]string{"scope": s.Scope.String()},
	}, nil
}
