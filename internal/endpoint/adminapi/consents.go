package adminapi

import (
	"net/http"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
)

func (h *handler) listConsents(w http.ResponseWriter, r *http.Request) error {
	a, err := h.cfg.Accounts.Find(r.Context(), r.PathValue("account"))
	if err != nil {
		return err
	}
	list, err := h.cfg.Accounts.Consents(r.Context(), a.ID)
	if err != nil {
		return err
	}
	items := make([]admin.Consent, len(list))
	for i, c := range list {
		items[i] = admin.Consent{
			AccountID: c.AccountID.String(), ClientID: c.ClientID, Scope: c.Scope, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
		}
	}
	return answer(w, http.StatusOK, admin.List[admin.Consent]{Items: items})
}

func (h *handler) withdrawConsent(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	a, err := h.cfg.Accounts.Find(r.Context(), r.PathValue("account"))
	if err != nil {
		return err
	}
	if err := h.cfg.Accounts.WithdrawConsent(r.Context(), operator(), a.ID, r.PathValue("client"), why, authority.Context{}); err != nil {
		return err
	}
	return done(w)
}
