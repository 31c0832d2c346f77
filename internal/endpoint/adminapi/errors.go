package adminapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/mail"
	"github.com/jetonhq/jeton/internal/notify"
	"github.com/jetonhq/jeton/internal/policies"
	"github.com/jetonhq/jeton/internal/provision"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/throttle"
)

var (
	errUnauthorized = errors.New("the admin token is missing or wrong")
	errNoCall       = errors.New("there is no such call")
	errInvalid      = errors.New("invalid request")
	errCopying      = errors.New("another backup is being made")
	errDecided      = errors.New("it was decided before, or its time is over")
)

// invalidf refuses what was sent. The text is shown to the caller.
func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errInvalid, fmt.Sprintf(format, args...))
}

// table is the one place that knows which status an error has. Its errors are
// made for an operator's eyes: their text is the message. The rest is internal.
var table = []struct {
	is     error
	status int
	code   admin.Code
}{
	{errUnauthorized, http.StatusUnauthorized, admin.CodeUnauthorized},
	{errNoCall, http.StatusNotFound, admin.CodeNotFound},
	{errInvalid, http.StatusBadRequest, admin.CodeInvalid},
	{accounts.ErrInvalid, http.StatusBadRequest, admin.CodeInvalid},
	{clients.ErrInvalid, http.StatusBadRequest, admin.CodeInvalid},
	{policies.ErrInvalid, http.StatusBadRequest, admin.CodeInvalid},
	{notify.ErrInvalid, http.StatusBadRequest, admin.CodeInvalid},
	{provision.ErrInvalid, http.StatusBadRequest, admin.CodeInvalid},
	{authority.ErrNotFound, http.StatusNotFound, admin.CodeNotFound},
	{errCopying, http.StatusConflict, admin.CodeConflict},
	{authority.ErrNoRoom, http.StatusServiceUnavailable, admin.CodeUnavailable},
	{errDecided, http.StatusConflict, admin.CodeConflict},
	{authority.ErrConflict, http.StatusConflict, admin.CodeConflict},
	{keys.ErrNotYet, http.StatusConflict, admin.CodeConflict},
	{keys.ErrState, http.StatusConflict, admin.CodeConflict},
	{keys.ErrRing, http.StatusNotFound, admin.CodeNotFound},
	{seal.ErrOtherMaster, http.StatusConflict, admin.CodeConflict},
	{seal.ErrUnavailable, http.StatusServiceUnavailable, admin.CodeUnavailable},
	{authority.ErrBusy, http.StatusServiceUnavailable, admin.CodeUnavailable},
}

// fail translates an error to status, headers and body. The cause of an
// internal one goes to the log, once, here.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody is listening
	}
	status, body := http.StatusInternalServerError, admin.ErrorBody{Code: admin.CodeInternal, Message: "internal error; the server's log says more"}
	for _, row := range table {
		if errors.Is(err, row.is) {
			status, body = row.status, admin.ErrorBody{Code: row.code, Message: err.Error()}
			break
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		status, body = http.StatusRequestEntityTooLarge, admin.ErrorBody{Code: admin.CodeTooLarge, Message: "the body is too large"}
	}
	if e, ok := errors.AsType[*mail.Failure](err); ok {
		status, body = http.StatusBadGateway, admin.ErrorBody{Code: admin.CodeMail, Message: e.Text}
	}
	if e, ok := errors.AsType[*throttle.Error](err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(e.Seconds()))
		status, body = http.StatusTooManyRequests, admin.ErrorBody{Code: admin.CodeUnavailable, Message: "too much to do; try again later"}
	}
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="jeton admin"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	if status == http.StatusInternalServerError {
		h.cfg.Logger.ErrorContext(ctx, "admin call failed", "path", r.URL.Path, "status", status, "error", err)
	} else {
		h.cfg.Logger.InfoContext(ctx, "admin call refused", "path", r.URL.Path, "status", status, "error", err)
	}
	if err := answer(w, status, body); err != nil {
		h.cfg.Logger.ErrorContext(ctx, "error answer failed", "error", err)
	}
}
