package storetest

import (
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func testWebhooks(w *world) {
	ctx := w.Context()
	set := w.event(authority.EventWebhookSet)
	hook := authority.Webhook{
		Name: "b", URL: "https://example.com/hook", Events: []string{"signed_in", "grant_*"}, AllowPrivate: true,
		Secrets: []authority.WebhookSecret{
			{ID: w.id(), Sealed: []byte{1, 2}, CreatedAt: w.now}, {ID: secret.NewID(w.now.Add(-time.Hour)), Sealed: []byte{3}, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)},
		},
		CreatedAt: w.now, UpdatedAt: w.now,
	}
	w.must(w.store.PutWebhook(ctx, hook, set))
	w.want("taken", w.store.PutWebhook(ctx, hook, w.event(authority.EventWebhookSet)), authority.ErrConflict)
	hook.Version = 1
	got, err := w.store.Webhook(ctx, "b")
	w.must(err)
	w.same("created", got, hook)

	w.now = w.now.Add(time.Minute)
	hook.URL, hook.Events, hook.AllowPrivate, hook.Secrets, hook.Disabled, hook.UpdatedAt =
		"https://example.org/", []string{"*"}, false, hook.Secrets[:1], true, w.now
	w.must(w.store.PutWebhook(ctx, hook, w.event(authority.EventWebhookSet)))
	w.want("changed meanwhile", w.store.PutWebhook(ctx, hook, w.event(authority.EventWebhookSet)), authority.ErrConflict)
	hook.Version = 2
	other := authority.Webhook{Name: "a", URL: "https://example.com/", CreatedAt: w.now, UpdatedAt: w.now}
	w.must(w.store.PutWebhook(ctx, other, w.event(authority.EventWebhookSet)))
	other.Version = 1
	all, err := w.store.Webhooks(ctx)
	w.must(err)
	w.same("by name", all, []authority.Webhook{other, hook})

	unwritable := other
	unwritable.URL = "https://example.net/"
	w.want("with an event that cannot be written", w.store.PutWebhook(ctx, unwritable, set), errAny)
	w.want("likewise", w.store.DeleteWebhook(ctx, "a", set), errAny)
	got, err = w.store.Webhook(ctx, "a")
	w.must(err)
	w.same("unchanged", got, other)

	w.must(w.store.DeleteWebhook(ctx, "a", w.event(authority.EventWebhookDeleted)))
	w.want("delete again", w.store.DeleteWebhook(ctx, "a", w.event(authority.EventWebhookDeleted)), authority.ErrNotFound)
	_, err = w.store.Webhook(ctx, "a")
	w.want("deleted", err, authority.ErrNotFound)
	w.same("events", w.events(authority.EventWebhookSet), 3)
}
