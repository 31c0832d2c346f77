package endpoint

import (
	"errors"
	"net/http"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// introspect answers whether a token is alive (RFC 7662), to the resource it
// is for and to the client it was issued to. Everybody else, and every dead or
// foreign token, gets exactly {"active":false} (INT-3). Why a dead one is dead
// the two are told beside it, in a header that other callers do not see.
func (h *Handler) introspect(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	caller, err := h.confidential(r, form)
	if err != nil {
		return err
	}
	token := form.Get("token")
	if token == "" {
		return oauth.Refuse(oauth.InvalidRequest, "token is missing")
	}
	ctx := r.Context()
	_, from := h.cfg.Caller(r)
	t, err := h.cfg.Tokens.Check(ctx, token, from)
	refused, dead := errors.AsType[*tokens.Refused](err)
	if dead {
		h.cfg.Logger.DebugContext(ctx, "introspected token is not active", "reason", refused.Reason, "client", caller.ID)
		t = refused.Token
	} else if err != nil {
		return err
	}
	if t == nil { // it may say what it likes
		return writeJSON(w, oauth.Introspection{})
	}
	resources, err := h.cfg.Clients.ResourceOf(ctx, caller.ID)
	if err != nil {
		return err
	}
	if !clients.Visible(caller, resources, t.Claims.Audience, t.Claims.ClientID) {
		return writeJSON(w, oauth.Introspection{})
	}
	if dead {
		w.Header().Set(headerReason, refused.Reason)
		return writeJSON(w, oauth.Introspection{})
	}
	return writeJSON(w, describe(t))
}

func describe(t *jwt.Token) oauth.Introspection {
	c := &t.Claims
	tokenType := oauth.Bearer
	if c.Confirmation.KeyThumbprint != "" {
		tokenType = oauth.DPoP // who asks has to check the proof: RFC 9449 section 6.2
	}
	confirmation, _ := c.Claim("cnf")
	return oauth.Introspection{
		Active: true, Scope: c.Scope, ClientID: c.ClientID, TokenType: tokenType, Confirm: confirmation,
		ExpiresAt: c.ExpiresAt, IssuedAt: c.IssuedAt, NotBefore: c.NotBefore,
		Subject: c.Subject, Audience: c.Audience, Issuer: c.Issuer, ID: c.ID,
		SessionID: c.SessionID, GrantID: c.GrantID, AuthTime: c.AuthTime, ACR: c.ACR, AMR: c.AMR,
		Actor: c.Actor, URL: c.URL, URLHash: c.URLHash, Method: c.Method, Uses: c.Uses,
	}
}

// confidential authenticates a caller that must prove who it is (INT-1).
func (h *Handler) confidential(r *http.Request, form map[string][]string) (authority.Client, error) {
	client, err := h.authenticate(r.Context(), r, form)
	if err != nil {
		return client, err
	}
	if client.Public() {
		return client, oauth.Refuse(oauth.InvalidClient, "client authentication failed")
	}
	return client, nil
}
