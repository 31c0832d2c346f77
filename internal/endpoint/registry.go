package endpoint

import (
	"encoding/json"
	"net/http"

	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
	"github.com/jetonhq/jeton/revocation"
)

// registryCheck answers a guard that sees tokens for the first time: one round
// trip, up to 256 tokens.
func (h *Handler) registryCheck(w http.ResponseWriter, r *http.Request) error {
	if err := h.resource(r); err != nil {
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

// resource authenticates a caller that must be a resource's own client.
func (h *Handler) resource(r *http.Request) error {
	client, err := h.confidential(r, nil)
	if err != nil {
		return err
	}
	owned, err := h.cfg.Clients.ResourceOf(r.Context(), client.ID)
	if err != nil {
		return err
	}
	if len(owned) == 0 {
		return oauth.Refuse(oauth.UnauthorizedClient, "only the client of a resource may ask this")
	}
	return nil
}
