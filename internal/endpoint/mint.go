package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/mint"
	"github.com/jetonhq/jeton/oauth"
)

// maxBatch bounds the body of a batch, in bytes.
const maxBatch = 2 << 20

// mint makes tokens of a JSON array of requests (DESIGN section 6), or carries
// out a batch that was approved.
func (h *Handler) mint(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	b, err := h.decodeBatch(w, r, query.Has("request"))
	if err != nil {
		return err
	}
	b.Atomic = query.Get("atomic") == "true"
	var answer oauth.MintResponse
	var complete bool
	if query.Has("request") {
		answer, complete, err = h.cfg.Mint.Collect(r.Context(), query.Get("request"), b)
	} else {
		answer, complete, err = h.cfg.Mint.Mint(r.Context(), b)
	}
	if errors.Is(err, authority.ErrUsed) {
		return oauth.RefuseCause(oauth.InvalidRequest, "the request was carried out before", err)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case !complete:
		writeBody(w, http.StatusUnprocessableEntity, answer)
	case answer.Request != "":
		writeBody(w, http.StatusAccepted, answer)
	default:
		writeBody(w, http.StatusOK, answer)
	}
	return nil
}

func (h *Handler) decodeBatch(w http.ResponseWriter, r *http.Request, collect bool) (mint.Batch, error) {
	addr, from := h.cfg.Caller(r)
	credentials, err := clients.ParseCredentials(r.Header.Values("Authorization"), nil)
	if err != nil {
		return mint.Batch{}, err
	}
	b := mint.Batch{
		Key: r.Header.Get("Idempotency-Key"), RequestedBy: r.Header.Get("Jeton-Requested-By"), Context: from,
		Client: func(ctx context.Context) (authority.Client, error) {
			return h.cfg.Clients.AuthenticateAgain(ctx, credentials, addr)
		},
	}
	if len(b.RequestedBy) > 200 || !utf8.ValidString(b.RequestedBy) || strings.ContainsFunc(b.RequestedBy, unicode.IsControl) {
		return b, oauth.Refuse(oauth.InvalidRequest, "Jeton-Requested-By is not a name")
	}
	// Before the body: nobody sends megabytes who may not.
	if _, err := b.Client(r.Context()); err != nil {
		return b, err
	}
	if collect {
		return b, nil
	}
	err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBatch)).Decode(&b.Items)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return b, errTooLarge
	}
	if err != nil {
		return b, oauth.RefuseCause(oauth.InvalidRequest, "the body is not a JSON array of requests", err)
	}
	return b, nil
}
