package sqlite

import (
	"cmp"
	"context"
	"slices"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	webhookColumns = `name, url, events, allow_private, disabled, version, created_at, updated_at`

	sqlInsertWebhook = `
INSERT INTO webhooks (` + webhookColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, 1, ?7, ?8) ON CONFLICT DO NOTHING`
	sqlUpdateWebhook = `
UPDATE webhooks
SET url = ?2, events = ?3, allow_private = ?4, disabled = ?5, version = version + 1, updated_at = ?8
WHERE name = ?1 AND version = ?6`
	sqlWebhook       = `SELECT ` + webhookColumns + ` FROM webhooks WHERE name = ?1`
	sqlWebhooks      = `SELECT ` + webhookColumns + ` FROM webhooks ORDER BY name`
	sqlDeleteWebhook = `DELETE FROM webhooks WHERE name = ?1`

	webhookSecretColumns    = `id, sealed, created_at, expires_at`
	sqlInsertWebhookSecret  = `INSERT INTO webhook_secrets (` + webhookSecretColumns + `, webhook) VALUES (?1, ?2, ?3, ?4, ?5)`
	sqlWebhookSecrets       = `SELECT ` + webhookSecretColumns + ` FROM webhook_secrets WHERE webhook = ?1 ORDER BY id DESC`
	sqlDeleteWebhookSecrets = `DELETE FROM webhook_secrets WHERE webhook = ?1`

	// What is sealed, for the walk over all of it (see sealedColumns).
	sqlSealedWebhooks = `
SELECT hex(id), '', 'webhook_secrets/' || hex(id), sealed FROM webhook_secrets WHERE id > unhex(?1) ORDER BY id LIMIT ?3`
	sqlResealWebhook    = `UPDATE webhook_secrets SET sealed = ?4 WHERE id = unhex(?1) AND sealed = ?3`
	sqlWebhooksSealedBy = `SELECT count(*) FROM webhook_secrets WHERE substr(sealed, 1, 17) = ?1`
)

// PutWebhook implements authority.WebhookStore.
func (s *Store) PutWebhook(ctx context.Context, w authority.Webhook, e authority.Event) error {
	text := sqlUpdateWebhook
	if w.Version == 0 {
		text = sqlInsertWebhook
	}
	return s.write(ctx, "put webhook", func(t *tx) error {
		n, err := t.exec(text, w.Name, w.URL, columns.List(w.Events), columns.Flag(w.AllowPrivate), columns.Flag(w.Disabled),
			w.Version, columns.Millis(w.CreatedAt), columns.Millis(w.UpdatedAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return authority.ErrConflict
		}
		if _, err := t.exec(sqlDeleteWebhookSecrets, w.Name); err != nil {
			return err
		}
		for _, v := range w.Secrets {
			if _, err := t.exec(sqlInsertWebhookSecret, v.ID[:], v.Sealed, columns.Millis(v.CreatedAt), columns.EndMillis(v.ExpiresAt), w.Name); err != nil {
				return err
			}
		}
		return insertEvent(t, e)
	})
}

// Webhook implements authority.WebhookStore.
func (s *Store) Webhook(ctx context.Context, name string) (authority.Webhook, error) {
	w, err := one(ctx, s, "webhook", scanWebhook, sqlWebhook, name)
	if err != nil {
		return authority.Webhook{}, err
	}
	w.Secrets, err = s.webhookSecrets(ctx, name)
	return w, err
}

// Webhooks implements authority.WebhookStore.
func (s *Store) Webhooks(ctx context.Context) ([]authority.Webhook, error) {
	all, err := many(ctx, s, "webhooks", scanWebhook, sqlWebhooks)
	for i := range all {
		if all[i].Secrets, err = s.webhookSecrets(ctx, all[i].Name); err != nil {
			return nil, err
		}
	}
	return all, err
}

func (s *Store) webhookSecrets(ctx context.Context, name string) ([]authority.WebhookSecret, error) {
	secrets, err := many(ctx, s, "webhook secrets", func(r columns.Row) (authority.WebhookSecret, error) {
		var v authority.WebhookSecret
		err := r.Scan((*columns.ID)(&v.ID), &v.Sealed, (*columns.Time)(&v.CreatedAt), (*columns.Time)(&v.ExpiresAt))
		return v, err
	}, sqlWebhookSecrets, name)
	// The one that replaced the others has no end, also if all are of one moment.
	slices.SortStableFunc(secrets, func(a, b authority.WebhookSecret) int {
		return cmp.Compare(columns.Flag(!a.ExpiresAt.IsZero()), columns.Flag(!b.ExpiresAt.IsZero()))
	})
	return secrets, err
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
		if _, err := t.exec(sqlDeleteWebhookSecrets, name); err != nil {
			return err
		}
		return insertEvent(t, e)
	})
}

func scanWebhook(r columns.Row) (authority.Webhook, error) {
	var w authority.Webhook
	err := r.Scan(&w.Name, &w.URL, (*columns.Strings)(&w.Events), &w.AllowPrivate, &w.Disabled, &w.Version,
		(*columns.Time)(&w.CreatedAt), (*columns.Time)(&w.UpdatedAt))
	return w, err
}
