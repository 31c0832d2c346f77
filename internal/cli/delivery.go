package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) deliveryCommand() *cobra.Command {
	return a.administers(a.group("delivery", "What was sent, and what waits to be", a.deliveryList(), a.deliveryShow(), a.deliveryRetry()))
}

func (a *app) deliveryList() *cobra.Command {
	var filter admin.DeliveryFilter
	var limit int
	cmd := a.command("list", "List deliveries, newest first", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if limit < 1 || limit > 1000 {
			return usagef("--limit is 1 to 1000")
		}
		api, err := a.admin()
		if err != nil {
			return err
		}
		ds, err := api.Deliveries(ctx, filter, admin.Page{Limit: limit})
		if err != nil {
			return err
		}
		return table(a, ds.Items, []string{"DELIVERY", "TIME", "CHANNEL", "TARGET", "EVENT", "STATE", "ATTEMPTS", "ERROR"}, func(d admin.Delivery) []string {
			return []string{d.ID, when(d.CreatedAt), d.Channel, d.Target, d.EventType, d.State, strconv.Itoa(d.Attempts), d.LastError}
		})
	})
	flags := cmd.Flags()
	flags.StringVar(&filter.Channel, "channel", "", "only of this `CHANNEL`: webhook, mail or logout")
	flags.StringVar(&filter.Target, "target", "", "only to this `NAME` of the channel")
	flags.StringVar(&filter.State, "state", "", "only in this `STATE`: pending, delivered or failed")
	flags.IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

func (a *app) deliveryShow() *cobra.Command {
	return a.command("show ID", "Show a delivery with what it carries", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		d, err := api.Delivery(ctx, args[0])
		if err != nil {
			return err
		}
		return a.details(d,
			detail{"id", d.ID}, detail{"channel", d.Channel}, detail{"target", d.Target}, detail{"event", d.EventType + " " + d.EventID},
			detail{"state", d.State}, detail{"attempts", strconv.Itoa(d.Attempts)}, detail{"last error", d.LastError}, detail{"next attempt", when(d.NextAt)},
			detail{"given up at", when(d.GiveUpAt)}, detail{"created", when(d.CreatedAt)}, detail{"done", when(d.DoneAt)}, detail{"body", d.Body})
	})
}

func (a *app) deliveryRetry() *cobra.Command {
	return a.changes(a.command("retry ID", "Try a delivery again now, though it failed or waits", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		if err := api.RetryDelivery(ctx, args[0], a.reason); err != nil {
			return err
		}
		a.done("Delivery %s is due.", args[0])
		return nil
	}))
}
