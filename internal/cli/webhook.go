package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) webhookCommand() *cobra.Command {
	return a.administers(a.group("webhook", "Endpoints that are told of events",
		a.webhookSet(), a.webhookList(), a.webhookShow(), a.webhookTest(), a.webhookRotateSecret(), a.webhookDelete()))
}

func (a *app) webhookSet() *cobra.Command {
	var given admin.NewWebhook
	var file string
	cmd := a.command("set NAME", "Create a webhook, or replace it; a new one's secret is shown once", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		given.Name = args[0]
		if file != "" {
			if given.Secret, err = a.hidden(file, "secret", false); err != nil {
				return err
			}
		}
		issued, err := api.PutWebhook(ctx, given, a.reason)
		if err != nil {
			return err
		}
		return a.showIssuedWebhook(issued)
	})
	flags := cmd.Flags()
	flags.StringVar(&given.URL, "url", "", "`URL` that gets the messages")
	flags.StringSliceVar(&given.Events, "event", nil, "`EVENT` to tell of, a prefix such as 'grant_*', or '*'; repeatable")
	flags.BoolVar(&given.AllowPrivate, "allow-private", false, "its address may be private or loopback")
	flags.BoolVar(&given.Disabled, "disabled", false, "send nothing for now")
	flags.StringVar(&file, "secret-file", "", "`FILE` with a secret to use, - for standard input (default: a random one)")
	return a.changes(cmd)
}

func (a *app) showIssuedWebhook(issued admin.IssuedWebhook) error {
	return a.details(issued, append(webhookDetails(issued.Webhook), detail{"secret", issued.Secret})...)
}

func webhookDetails(w admin.Webhook) []detail {
	details := []detail{
		{"name", w.Name}, {"URL", w.URL}, {"events", list(w.Events)}, {"private addresses", yes(w.AllowPrivate)}, {"disabled", yes(w.Disabled)},
		{"created", when(w.CreatedAt)}, {"updated", when(w.UpdatedAt)},
	}
	for _, s := range w.Secrets {
		text := "since " + when(s.CreatedAt)
		if !s.ExpiresAt.IsZero() {
			text += " until " + when(s.ExpiresAt)
		}
		details = append(details, detail{"signs", text})
	}
	return details
}

func (a *app) webhookList() *cobra.Command {
	return a.command("list", "List webhooks by name", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		hooks, err := api.Webhooks(ctx)
		if err != nil {
			return err
		}
		return table(a, hooks.Items, []string{"NAME", "URL", "EVENTS", "DISABLED"}, func(w admin.Webhook) []string {
			return []string{w.Name, w.URL, list(w.Events), yes(w.Disabled)}
		})
	})
}

func (a *app) webhookShow() *cobra.Command {
	return a.command("show NAME", "Show a webhook", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		w, err := api.Webhook(ctx, args[0])
		if err != nil {
			return err
		}
		return a.details(w, webhookDetails(w)...)
	})
}

func (a *app) webhookTest() *cobra.Command {
	return a.command("test NAME", "Send a message of type test now, and say what became of it", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		test, err := api.TestWebhook(ctx, args[0])
		if err != nil {
			return err
		}
		if a.json {
			if err := a.printJSON(test); err != nil {
				return err
			}
		}
		if !test.Delivered {
			return fmt.Errorf("the message was not delivered: %w", errors.New(test.Error))
		}
		a.done("Delivered in %s.", test.Took.Std().Round(time.Millisecond))
		return nil
	})
}

func (a *app) webhookRotateSecret() *cobra.Command {
	var file string
	var overlap time.Duration
	cmd := a.command("rotate-secret NAME", "Give a webhook a new secret; the old one signs beside it for a while", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		rotation := admin.WebhookRotation{Overlap: admin.Duration(overlap)}
		if file != "" {
			if rotation.Secret, err = a.hidden(file, "secret", false); err != nil {
				return err
			}
		}
		issued, err := api.RotateWebhookSecret(ctx, args[0], rotation, a.reason)
		if err != nil {
			return err
		}
		return a.showIssuedWebhook(issued)
	})
	cmd.Flags().StringVar(&file, "secret-file", "", "`FILE` with a secret to use, - for standard input (default: a random one)")
	cmd.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how `LONG` the old secret signs too")
	return a.changes(cmd)
}

func (a *app) webhookDelete() *cobra.Command {
	return a.changes(a.command("delete NAME", "Remove a webhook", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		if err := api.DeleteWebhook(ctx, args[0], a.reason); err != nil {
			return err
		}
		a.done("Webhook %s is removed.", args[0])
		return nil
	}))
}
