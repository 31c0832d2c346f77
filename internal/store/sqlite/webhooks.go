package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

const (
	webhookColumns = `name, url, events, allow_private, secrets, disabled, version, created_at, updated_at`

	sqlInsertWebhook = `
INSERT INTO webhooks (` + webhookColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?8, ?9) ON CONFLICT DO NOTHING`
	sqlUpdateWebhook = `
UPDATE webhooks
SET url = ?2, events = ?3, allow_private = ?4, secrets = ?5, disabled = ?6, version = version + 1, updated_at = ?9
WHERE name = ?1 AND version = ?7`
	sqlWebhook       = `SELECT ` + webhookColumns + ` FROM webhooks WHERE name = ?1`
	sqlWebhooks      = `SELECT ` + webhookColumns + ` FROM webhooks ORDER BY name`
	sqlDeleteWebhook = `DELETE FROM webhooks WHERE name = ?1`
)

// PutWebhook implements authority.WebhookStore.
func (s *Store) PutWebhook(ctx context.Context, w authority.Webhook, e authority.Event) error {
	text := sqlUpdateWebhook
	if w.Version == 0 {
		text = sqlInsertWebhook
	}
	return s.write(ctx, "put webhook", func(t *tx) error {
		n, err := t.exec(text, w.Name, w.URL, list(w.Events), flag(w.AllowPrivate), webhookSecretsText(w.Secrets), flag(w.Disabled),
			w.Version, millis(w.CreatedAt), millis(w.UpdatedAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return authority.ErrConflict
		}
		return insertEvent(t, e)
	})
}

// Webhook implements authority.WebhookStore.
func (s *Store) Webhook(ctx context.Context, name string) (authority.Webhook, error) {
	return one(ctx, s, "webhook", scanWebhook, sqlWebhook, name)
}

// Webhooks implements authority.WebhookStore.
func (s *Store) Webhooks(ctx context.Context) ([]authority.Webhook, error) {
	return many(ctx, s, "webhooks", scanWebhook, sqlWebhooks)
}

// DeleteWebhook implements authority.WebhookStore.
func (s *Store) DeleteWebhook(ctx context.Context, name string, e authority.Event) error {
	return s.write(ctx, "delete webhook", func(t *tx) error {
		n, err := t.exec(sqlDeleteWebhook, name)
		if err != nil {
			return err
		}
		if n == 0 {
			return authority.ErrNotFound
		}
		return insertEvent(t, e)
	})
}

func scanWebhook(r row) (authority.Webhook, error) {
	var w authority.Webhook
	var secrets string
	err := r.Scan(&w.Name, &w.URL, (*listColumn)(&w.Events), &w.AllowPrivate, &secrets, &w.Disabled, &w.Version,
		(*timeColumn)(&w.CreatedAt), (*timeColumn)(&w.UpdatedAt))
	if err != nil {
		return authority.Webhook{}, err
	}
	w.Secrets, err = parseWebhookSecrets(secrets)
	return w, err
}

// sealedSecret is the JSON shape of a webhook's secret.
type sealedSecret struct {
	Sealed    []byte `json:"sealed"`
	CreatedAt int64  `json:"created_at"`
	ExpiresAt int64  `json:"expires_at,omitempty"` // absent: until it is rotated out
}

func webhookSecretsText(secrets []authority.WebhookSecret) string {
	stored := make([]sealedSecret, len(secrets))
	for i, v := range secrets {
		stored[i] = sealedSecret{Sealed: v.Sealed, CreatedAt: millis(v.CreatedAt)}
		if !v.ExpiresAt.IsZero() {
			stored[i].ExpiresAt = millis(v.ExpiresAt)
		}
	}
	text, _ := json.Marshal(stored) // bytes and numbers always marshal
	return string(text)
}

func parseWebhookSecrets(text string) ([]authority.WebhookSecret, error) {
	var stored []sealedSecret
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return nil, fmt.Errorf("webhook secrets: %w", err)
	}
	var secrets []authority.WebhookSecret
	for _, v := range stored {
		s := authority.WebhookSecret{Sealed: v.Sealed, CreatedAt: time.UnixMilli(v.CreatedAt).UTC()}
		if v.ExpiresAt != 0 {
			s.ExpiresAt = time.UnixMilli(v.ExpiresAt).UTC()
		}
		secrets = append(secrets, s)
	}
	return secrets, nil
}
