package endpoint

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/network"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
	"github.com/jetonhq/jeton/revocation"
)

// network takes a guard's report about tokens that came from another network
// than they are for, and answers the key by which guards tell networks apart.
func (h *Handler) network(w http.ResponseWriter, r *http.Request) error {
	client, err := h.resource(r)
	if err != nil {
		return err
	}
	var report revocation.Report
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm))
	if err := d.Decode(&report); err != nil {
		return oauth.RefuseCause(oauth.InvalidRequest, "the body is not a report", err)
	}
	if len(report.Moved) > tokens.MaxMovements {
		return oauth.Refuse(oauth.InvalidRequest, "a report has at most 64 tokens")
	}
	moved := make([]tokens.Movement, len(report.Moved))
	for i, m := range report.Moved {
		from, err := movedFrom(m)
		if err != nil {
			return err
		}
		moved[i] = tokens.Movement{Sighting: tokens.Sighting{ID: secret.ID(m.ID), Digest: m.Digest}, From: from, Refused: m.Refused}
	}
	if err := h.cfg.Tokens.Moved(r.Context(), client, moved); err != nil {
		return err
	}
	key := h.cfg.Tokens.NetworkKey()
	return writeJSON(w, revocation.NetworkKey{Key: base64.RawURLEncoding.EncodeToString(key[:])})
}

// movedFrom takes a network, and makes one of an address: whole addresses are
// not kept, whatever a guard sends.
func movedFrom(m revocation.Movement) (authority.Context, error) {
	p, err := netip.ParsePrefix(m.Network)
	if err != nil {
		return authority.Context{}, oauth.Refuse(oauth.InvalidRequest, "network must be like 192.0.2.0/24")
	}
	return authority.Context{Network: network.Name(network.Of(p.Addr())), UserAgent: network.UserAgent(m.UserAgent)}, nil
}
