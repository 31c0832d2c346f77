package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/notify"
	"github.com/jetonhq/jeton/internal/secret"
)

func (p *plan) webhooks(ctx context.Context, d admin.Document) error {
	for _, declared := range d.Webhooks {
		action, old := admin.Update, admin.WebhookSpec{Name: declared.Name}
		found, err := p.service.Webhooks.Get(ctx, declared.Name)
		switch {
		case errors.Is(err, authority.ErrNotFound):
			action = admin.Create
		case err != nil:
			return err
		default:
			old = WireWebhook(found).WebhookSpec
		}
		fields := differences(old, declared.WebhookSpec)
		if action == admin.Update && declared.Secret != "" && !p.service.Webhooks.HasSecret(found, secret.New(declared.Secret)) {
			fields = append(fields, admin.Field{Name: "secret"})
		}
		if action == admin.Update && len(fields) == 0 {
			p.add(admin.Keep, "webhook", declared.Name, nil, nil)
			continue
		}
		p.add(action, "webhook", declared.Name, fields, func(ctx context.Context) (secret.Value, error) {
			_, made, err := p.service.Webhooks.Set(ctx, p.actor, NewWebhook(declared), p.reason)
			return made, err
		})
	}
	return nil
}

// pruneWebhooks deletes those that are not named, if any are.
func (p *plan) pruneWebhooks(ctx context.Context, d admin.Document) error {
	if !d.Prune || len(d.Webhooks) == 0 {
		return nil
	}
	there, err := p.service.Webhooks.List(ctx)
	if err != nil {
		return err
	}
	for _, found := range there {
		if slices.ContainsFunc(d.Webhooks, func(declared admin.NewWebhook) bool { return declared.Name == found.Name }) {
			continue
		}
		p.add(admin.Delete, "webhook", found.Name, nil, func(ctx context.Context) (secret.Value, error) {
			return secret.Value{}, p.service.Webhooks.Delete(ctx, p.actor, found.Name, p.reason)
		})
	}
	return nil
}

// NewWebhook reads a webhook to set from the wire.
func NewWebhook(w admin.NewWebhook) notify.WebhookSpec {
	return notify.WebhookSpec{
		Name: w.Name, URL: w.URL, Events: w.Events, AllowPrivate: w.AllowPrivate, Disabled: w.Disabled, Secret: secret.New(w.Secret),
	}
}

// WireWebhook is what the admin API shows of a webhook.
func WireWebhook(hook authority.Webhook) admin.Webhook {
	w := admin.Webhook{
		WebhookSpec: admin.WebhookSpec{Name: hook.Name, URL: hook.URL, Events: hook.Events, AllowPrivate: hook.AllowPrivate, Disabled: hook.Disabled},
		Version:     hook.Version, CreatedAt: hook.CreatedAt, UpdatedAt: hook.UpdatedAt,
	}
	for _, s := range hook.Secrets {
		w.Secrets = append(w.Secrets, admin.WebhookSecret{CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt})
	}
	return w
}
