package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// Name implements Channel.
func (*Webhooks) Name() string { return "webhook" }

// Plan implements Channel. What is meant for a disabled webhook waits for it.
func (w *Webhooks) Plan(ctx context.Context, e authority.Event) ([]Message, error) {
	all, err := w.cfg.Store.Webhooks(ctx)
	if err != nil {
		return nil, err
	}
	var messages []Message
	for _, hook := range all {
		if !w.concerns(hook, e) {
			continue
		}
		body, err := json.Marshal(admin.WebhookMessage{ID: e.ID.String(), Type: string(e.Type), Timestamp: e.At(), Data: WireEvent(e)})
		if err != nil {
			return nil, err
		}
		messages = append(messages, Message{Target: hook.Name, Body: body})
	}
	return messages, nil
}

// concerns reports whether a webhook is told of an event: of none from before it
// was there, and not of its own failures.
func (w *Webhooks) concerns(hook authority.Webhook, e authority.Event) bool {
	own := e.Type == authority.EventDeliveryFailed && e.Data["channel"] == w.Name() && e.Data["target"] == hook.Name
	return Wants(hook.Events, e.Type) && !own && !e.At().Before(hook.CreatedAt)
}

// Send implements Channel. The message's id is the event's, so that a receiver
// recognises it however often it comes.
func (w *Webhooks) Send(ctx context.Context, d authority.Delivery) error {
	hook, err := w.cfg.Store.Webhook(ctx, d.Target)
	switch {
	case errors.Is(err, authority.ErrNotFound):
		return Permanent(errors.New("the webhook is gone"))
	case err != nil:
		return errors.New("the webhook cannot be looked up")
	case hook.Disabled:
		return errors.New("the webhook is disabled")
	}
	err = w.post(ctx, hook, d.EventID.String(), d.Body)
	if errors.Is(err, errGone) {
		w.disableGone(ctx, hook)
		return Permanent(err)
	}
	return err
}

var errGone = errors.New("answered 410 Gone")

// post signs body with each live secret and sends it.
func (w *Webhooks) post(ctx context.Context, hook authority.Webhook, id string, body []byte) error {
	if err := CheckURL(hook.URL, hook.AllowPrivate); err != nil {
		return fmt.Errorf("its URL %w", err)
	}
	now := w.cfg.Now()
	secrets, err := w.secrets(hook, now)
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if err := admin.SignWebhook(secrets, header, id, now, body); err != nil {
		return errors.New("its secret cannot sign")
	}
	reply, err := post(ctx, w.clients.of(hook.AllowPrivate), hook.URL, header, body)
	if err != nil {
		return err
	}
	if reply.status == http.StatusGone {
		return errGone
	}
	return reply.refusal()
}

// secrets are those that sign at now, revealed.
func (w *Webhooks) secrets(hook authority.Webhook, now time.Time) ([]string, error) {
	var live []string
	for _, s := range hook.Secrets {
		if !s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt) {
			continue
		}
		plain, err := w.cfg.Sealer.Open(s.Sealed, authority.WebhookSecretPlace(s.ID))
		if err != nil {
			return nil, errors.New("its secret cannot be opened")
		}
		live = append(live, string(plain))
	}
	return live, nil
}

// disableGone stops what its receiver says is gone for good. If somebody changes
// the webhook at this moment, the next message will tell again.
func (w *Webhooks) disableGone(ctx context.Context, hook authority.Webhook) {
	now := w.cfg.Now()
	hook.Disabled, hook.UpdatedAt = true, now
	err := w.cfg.Store.PutWebhook(ctx, hook, authority.Event{
		ID: secret.NewID(now), Type: authority.EventWebhookDisabled, Actor: authority.System, Reason: errGone.Error(),
		Data: map[string]string{"webhook": hook.Name},
	})
	if err != nil && !errors.Is(err, authority.ErrConflict) {
		w.cfg.Logger.ErrorContext(ctx, "webhook not disabled", "webhook", hook.Name, "error", err)
	}
}

// WireEvent is an event as the admin API and webhooks show it.
func WireEvent(e authority.Event) admin.Event {
	text := func(id secret.ID) string {
		if id.IsZero() {
			return ""
		}
		return id.String()
	}
	return admin.Event{
		ID: e.ID.String(), At: e.At(), Type: string(e.Type), Actor: admin.Actor{Kind: e.Actor.Kind, ID: e.Actor.ID},
		AccountID: text(e.AccountID), ClientID: e.ClientID, SessionID: text(e.SessionID), GrantID: text(e.GrantID), TokenID: text(e.TokenID),
		Network: e.Context.Network, UserAgent: e.Context.UserAgent, Reason: e.Reason, Data: e.Data,
	}
}
