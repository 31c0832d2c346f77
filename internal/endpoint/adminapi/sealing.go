package adminapi

import (
	"net/http"

	"github.com/jetonhq/jeton/admin"
)

func (h *handler) showSealing(w http.ResponseWriter, r *http.Request) error {
	status, err := h.cfg.Sealing.Status(r.Context())
	if err != nil {
		return err
	}
	wire := admin.Sealing{Masters: status.Masters, DataKeys: []admin.DataKey{}, Direct: status.Direct}
	for _, k := range status.Keys {
		wire.DataKeys = append(wire.DataKeys, admin.DataKey{
			ID: k.ID.String(), Master: k.Master, CreatedAt: k.CreatedAt, WrappedAt: k.WrappedAt, Current: k.Current, Values: k.Values,
		})
	}
	return answer(w, http.StatusOK, wire)
}

func (h *handler) rewrapSealing(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	if err := h.cfg.Sealing.Rewrap(r.Context(), operator(), why); err != nil {
		return err
	}
	return h.showSealing(w, r)
}

func (h *handler) rotateSealing(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	if err := h.cfg.Sealing.Rotate(r.Context(), operator(), why); err != nil {
		return err
	}
	return h.showSealing(w, r)
}
