package adminapi

import (
	"context"
	"net/http"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
)

// Examined is a server that can tell how it is.
type Examined interface {
	Diagnose(ctx context.Context) (admin.Diagnosis, error)
	OpenProbe() (admin.Probe, error)
	// Probe returns what has arrived of a probe; false: it is not open any more.
	Probe(id string) (admin.Probe, bool)
}

func (h *handler) diagnose(w http.ResponseWriter, r *http.Request) error {
	d, err := h.cfg.Examined.Diagnose(r.Context())
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, d)
}

func (h *handler) openProbe(w http.ResponseWriter, _ *http.Request) error {
	p, err := h.cfg.Examined.OpenProbe()
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, p)
}

func (h *handler) showProbe(w http.ResponseWriter, r *http.Request) error {
	p, ok := h.cfg.Examined.Probe(r.PathValue("id"))
	if !ok {
		return authority.ErrNotFound
	}
	return answer(w, http.StatusOK, p)
}
