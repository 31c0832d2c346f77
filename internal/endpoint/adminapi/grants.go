package adminapi

import (
	"net/http"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/notify"
	"github.com/jetonhq/jeton/internal/secret"
)

func (h *handler) listGrants(w http.ResponseWriter, r *http.Request) error {
	p, err := page(r)
	if err != nil {
		return err
	}
	account, err := h.queryAccount(r)
	if err != nil {
		return err
	}
	list, err := h.cfg.Grants.Grants(r.Context(), account, r.URL.Query().Get("client"), p)
	if err != nil {
		return err
	}
	return answerPage(w, p, list, h.wireGrant, func(g authority.Grant) string { return g.ID.String() })
}

func (h *handler) endGrant(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	g, err := h.cfg.Grants.Grant(r.Context(), id)
	if err != nil {
		return err
	}
	err = h.cfg.Tokens.Revoke(r.Context(), authority.Revocation{
		Grant: id, Reason: why,
		Event: authority.Event{
			Type: authority.EventGrantEnded, Actor: operator(), AccountID: g.AccountID, ClientID: g.ClientID,
			SessionID: g.SessionID, GrantID: id, Reason: why,
		},
	})
	if err != nil {
		return err
	}
	return done(w)
}

func (h *handler) explainToken(w http.ResponseWriter, r *http.Request) error {
	var body admin.TokenRequest
	if err := decode(w, r, &body); err != nil {
		return err
	}
	e, err := h.cfg.Tokens.Explain(r.Context(), body.Token)
	if err != nil {
		return err
	}
	wire := admin.Explanation{Kind: e.Kind, Header: e.Header, Claims: e.Payload, Checks: []admin.Check{}}
	for _, s := range e.Steps {
		wire.Checks = append(wire.Checks, admin.Check{Name: s.Name, OK: s.OK, Detail: s.Detail})
	}
	return answer(w, http.StatusOK, wire)
}

func (h *handler) revokeToken(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	var body admin.TokenRequest
	if err := decode(w, r, &body); err != nil {
		return err
	}
	if err := h.cfg.Tokens.RevokeToken(r.Context(), body.Token, operator(), why); err != nil {
		return err
	}
	return done(w)
}

func (h *handler) listEvents(w http.ResponseWriter, r *http.Request) error {
	p, err := page(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	filter := authority.EventFilter{Type: authority.EventType(query.Get("type")), ClientID: query.Get("client")}
	if filter.AccountID, err = h.queryAccount(r); err != nil {
		return err
	}
	if since := query.Get("since"); since != "" {
		if filter.Since, err = time.Parse(time.RFC3339, since); err != nil {
			return invalidf("since is no time such as 2026-01-31T12:00:00Z")
		}
	}
	list, err := h.cfg.Events.Events(r.Context(), filter, p)
	if err != nil {
		return err
	}
	return answerPage(w, p, list, notify.WireEvent, func(e authority.Event) string { return e.ID.String() })
}

func (h *handler) wireGrant(g authority.Grant) admin.Grant {
	return admin.Grant{
		ID: g.ID.String(), Type: g.Type, ClientID: g.ClientID, AccountID: text(g.AccountID), SessionID: text(g.SessionID),
		Scope: g.Scope, Audience: g.Audience, Refresh: g.HasRefresh, Generation: g.Generation,
		Network: g.Last.Network, UserAgent: g.Last.UserAgent, FirstNetwork: g.First.Network, FirstUserAgent: g.First.UserAgent,
		CreatedAt: g.CreatedAt, LastUsed: g.LastUsed, ExpiresAt: g.ExpiresAt, Live: g.Live(h.cfg.Now()), EndReason: g.EndReason,
	}
}

func (h *handler) wireSession(s authority.Session) admin.Session {
	return admin.Session{
		ID: s.ID.String(), AccountID: text(s.AccountID), AuthTime: s.AuthTime, AMR: s.AMR,
		Network: s.Last.Network, UserAgent: s.Last.UserAgent, FirstNetwork: s.First.Network, FirstUserAgent: s.First.UserAgent,
		CreatedAt: s.CreatedAt, LastSeen: s.LastSeen, ExpiresAt: s.ExpiresAt, Live: s.Live(h.cfg.Now()), EndReason: s.EndReason,
	}
}

// text is an id as text, and nothing for the zero one.
func text(id secret.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}
