package endpoint

import (
	"encoding/json"
	"net/http"

	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
	"github.com/jetonhq/jeton/revocation"
)

// consume counts uses of tokens that may be used only so often, up to 256 in
// one call.
func (h *Handler) consume(w http.ResponseWriter, r *http.Request) error {
	if _, err := h.resource(r); err != nil {
		return err
	}
	var c revocation.Consumption
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm*2))
	if err := d.Decode(&c); err != nil {
		return oauth.RefuseCause(oauth.InvalidRequest, "the body does not name uses", err)
	}
	if len(c.Uses) == 0 || len(c.Uses) > revocation.MaxUses {
		return oauth.Refuse(oauth.InvalidRequest, "one call has 1 to 256 uses")
	}
	uses := make([]tokens.Use, len(c.Uses))
	for i, u := range c.Uses {
		if u.Request == (revocation.ID{}) {
			return oauth.Refuse(oauth.InvalidRequest, "each use has a request id")
		}
		uses[i] = tokens.Use{
			Sighting: tokens.Sighting{ID: secret.ID(u.ID), Digest: u.Digest, KeyID: u.KeyID},
			Request:  u.Request,
		}
	}
	_, from := h.cfg.Caller(r)
	verdicts, err := h.cfg.Tokens.Consume(r.Context(), uses, from)
	if err != nil {
		return err
	}
	return writeJSON(w, revocation.Answer{Verdicts: verdicts})
}
