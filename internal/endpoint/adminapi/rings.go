package adminapi

import (
	"encoding/json"
	"net/http"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/secret"
)

func (h *handler) createRing(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	ring := r.PathValue("ring")
	if err := authority.CheckSharedRing(ring); err != nil {
		return invalidf("%v", err)
	}
	if err := h.cfg.Keys.NewRing(r.Context(), ring, keys.Why{Actor: operator(), Reason: why}); err != nil {
		return err
	}
	return done(w)
}

// exportRing answers with the secrets of a ring. That they left is on record
// before they do.
func (h *handler) exportRing(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	ring := r.PathValue("ring")
	set, err := h.cfg.Keys.ExportShared(ring)
	if err != nil {
		return err
	}
	err = h.cfg.Events.AppendEvent(r.Context(), authority.Event{
		ID: secret.NewID(h.cfg.Now()), Type: authority.EventRingExported, Actor: operator(), Reason: why,
		Data: map[string]string{"ring": ring},
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, json.RawMessage(set))
}
