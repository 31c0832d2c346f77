package endpoint

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
	"github.com/jetonhq/jeton/revocation"
)

// registryCheck answers a guard that sees tokens for the first time: one round
// trip, up to 256 tokens.
func (h *Handler) registryCheck(w http.ResponseWriter, r *http.Request) error {
	if _, err := h.resource(r); err != nil {
		return err
	}
	var q revocation.Question
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm*2))
	if err := d.Decode(&q); err != nil {
		return oauth.RefuseCause(oauth.InvalidRequest, "the body is not a registry question", err)
	}
	if len(q.Tokens) == 0 || len(q.Tokens) > revocation.MaxSightings {
		return oauth.Refuse(oauth.InvalidRequest, "a question has 1 to 256 tokens")
	}
	seen := make([]tokens.Sighting, len(q.Tokens))
	for i, t := range q.Tokens {
		seen[i] = tokens.Sighting{ID: secret.ID(t.ID), Digest: t.Digest, KeyID: t.KeyID}
	}
	_, from := h.cfg.Caller(r)
	verdicts, err := h.cfg.Tokens.Sightings(r.Context(), seen, from)
	if err != nil {
		return err
	}
	return writeJSON(w, revocation.Answer{Verdicts: verdicts})
}

// ScopeFeed lets a resource's client follow the feed and ask the registry with
// an access token in place of its secret.
const ScopeFeed = "jeton:feed"

// resource authenticates a caller that must be a resource's own client: by its
// secret, or by an access token of its own with the scope of the feed.
func (h *Handler) resource(r *http.Request) (client string, err error) {
	if client, err = h.follower(r); err != nil {
		return "", err
	}
	owned, err := h.cfg.Clients.ResourceOf(r.Context(), client)
	if err != nil {
		return "", err
	}
	if len(owned) == 0 {
		return "", oauth.Refuse(oauth.UnauthorizedClient, "only the client of a resource may ask this")
	}
	return client, nil
}

func (h *Handler) follower(r *http.Request) (clientID string, err error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, oauth.Bearer) {
		client, err := h.confidential(r, nil)
		return client.ID, err
	}
	_, from := h.cfg.Caller(r)
	t, err := h.cfg.Tokens.Check(r.Context(), strings.TrimLeft(token, " "), from)
	if reason := tokens.ReasonOf(err); reason != "" {
		return "", &bearerError{code: oauth.InvalidToken, reason: reason, cause: err}
	}
	if err != nil {
		return "", err
	}
	// A token for a person would let whoever holds it follow as their app.
	if scope, _ := oauth.ParseScope(t.Claims.Scope); !scope.Has(ScopeFeed) || t.Claims.Subject != t.Claims.ClientID {
		return "", &bearerError{code: oauth.InsufficientScope, scope: ScopeFeed, reason: oauth.ReasonInsufficientScope}
	}
	return t.Claims.ClientID, nil
}
