package adminapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/mint"
)

func (h *handler) listMintRequests(w http.ResponseWriter, r *http.Request) error {
	p, err := page(r)
	if err != nil {
		return err
	}
	list, err := h.cfg.Mint.Pending(r.Context(), p)
	if err != nil {
		return err
	}
	return answerPage(w, p, list, wireMintRequest, func(m authority.MintRequest) string { return m.ID.String() })
}

func wireMintRequest(m authority.MintRequest) admin.MintRequest {
	var batch struct {
		Items json.RawMessage `json:"items"`
	}
	_ = json.Unmarshal(m.Body, &batch) // what does not parse is shown as nothing
	return admin.MintRequest{
		ID: m.ID.String(), ClientID: m.ClientID, RequestedBy: m.RequestedBy, Reason: m.Reason, Requests: batch.Items,
		CreatedAt: m.CreatedAt, ExpiresAt: m.ExpiresAt,
	}
}

func (h *handler) approveMint(w http.ResponseWriter, r *http.Request) error {
	return h.decideMint(w, r, true)
}
func (h *handler) denyMint(w http.ResponseWriter, r *http.Request) error {
	return h.decideMint(w, r, false)
}

func (h *handler) decideMint(w http.ResponseWriter, r *http.Request, approve bool) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	var body admin.MintDecision
	if err := decode(w, r, &body); err != nil {
		return err
	}
	if strings.TrimSpace(body.By) == "" || len(body.By) > 200 {
		return invalidf("by names the person who decides, in at most 200 bytes")
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	err = h.cfg.Mint.Decide(r.Context(), operator(), id, approve, body.By, why)
	switch {
	case errors.Is(err, mint.ErrSamePerson):
		return invalidf("the one who asked cannot approve")
	case errors.Is(err, authority.ErrUsed), errors.Is(err, authority.ErrEnded):
		return errDecided
	case err != nil:
		return err
	}
	return done(w)
}
