package adminapi

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// backup streams a copy of the store. It is complete before the first byte goes
// out, so its length and digest go ahead of it. Whoever has it has all personal
// data, so that it was taken is an event, written first.
func (h *handler) backup(w http.ResponseWriter, r *http.Request) (err error) {
	store, ok := h.cfg.Events.(authority.Copier)
	if !ok {
		return invalidf("this store is backed up with its own tools")
	}
	why, err := reason(r)
	if err != nil {
		return err
	}
	if !h.copying.TryLock() {
		return errCopying
	}
	defer h.copying.Unlock()
	event := authority.Event{ID: secret.NewID(h.cfg.Now()), Type: authority.EventBackupTaken, Actor: operator(), Reason: why}
	if err := h.cfg.Events.AppendEvent(r.Context(), event); err != nil {
		return err
	}
	c, err := store.Copy(r.Context())
	if err != nil {
		return err
	}
	defer c.Content.Close()
	header := w.Header()
	header.Set("Content-Type", "application/vnd.sqlite3")
	header.Set("Content-Length", strconv.FormatInt(c.Size, 10))
	header.Set(admin.DigestHeader, "sha-256=:"+base64.StdEncoding.EncodeToString(c.Digest[:])+":")
	w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(w, c.Content); err != nil {
		// Nothing can be said any more; the length tells the client that it is not all.
		h.cfg.Logger.WarnContext(r.Context(), "a backup was cut off", "error", fmt.Errorf("send the copy: %w", err))
	}
	return nil
}
