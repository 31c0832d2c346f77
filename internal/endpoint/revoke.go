package endpoint

import (
	"net/http"

	"github.com/jetonhq/jeton/oauth"
)

// revoke is the revocation endpoint (RFC 7009). The answer is the same empty
// 200 whether there was something to revoke or not. The hint is not needed: the
// form of a token tells what it is.
func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	client, err := h.authenticate(ctx, r, form)
	if err != nil {
		return err
	}
	token := form.Get("token")
	if token == "" {
		return oauth.Refuse(oauth.InvalidRequest, "token is missing")
	}
	_, from := h.cfg.Caller(r)
	if err := h.cfg.Tokens.RevokePresented(ctx, token, client, from); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return nil
}
