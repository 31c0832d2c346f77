package adminapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/mail"
)

// mailPatience is less than callers have, so that they learn what is slow.
const mailPatience = 20 * time.Second

func (h *handler) testMail(w http.ResponseWriter, r *http.Request) error {
	var body admin.MailTest
	if err := decode(w, r, &body); err != nil {
		return err
	}
	if h.cfg.Mail == nil {
		return invalidf("no mail server is configured: set notify.smtp.host")
	}
	if _, err := mail.ParseRecipient(body.To); err != nil {
		return invalidf("to: %v", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), mailPatience)
	defer cancel()
	said, err := h.cfg.Mail.Test(ctx, body.To)
	if errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil {
		return &mail.Failure{Text: "the mail server did not take the mail within " + mailPatience.String()}
	}
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, admin.MailTested{Answer: said})
}
