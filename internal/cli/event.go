package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) eventCommand() *cobra.Command {
	return a.administers(a.group("event", "The audit trail", a.eventList()))
}

func (a *app) eventList() *cobra.Command {
	var filter admin.EventFilter
	var since string
	var limit int
	cmd := a.command("list", "List what happened, newest first", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		var err error
		if filter.Since, err = parseSince(since, time.Now()); err != nil {
			return err
		}
		if limit < 1 || limit > 1000 {
			return usagef("--limit is 1 to 1000")
		}
		api, err := a.admin()
		if err != nil {
			return err
		}
		events, err := api.Events(ctx, filter, admin.Page{Limit: limit})
		if err != nil {
			return err
		}
		return table(a, events.Items, []string{"TIME", "EVENT", "ACTOR", "CLIENT", "ACCOUNT", "REASON"}, func(e admin.Event) []string {
			return []string{when(e.At), e.Type, actor(e.Actor), e.ClientID, e.AccountID, e.Reason}
		})
	})
	flags := cmd.Flags()
	flags.StringVar(&filter.Type, "type", "", "only this `EVENT`, for example sign_in_failed")
	flags.StringVar(&filter.AccountID, "account", "", "only of this `LOGIN` or id")
	flags.StringVar(&filter.ClientID, "client", "", "only of this client `ID`")
	flags.StringVar(&since, "since", "", "only after this `TIME`: 24h ago, or 2026-01-31T12:00:00Z")
	flags.IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

// parseSince reads a time, or how long ago it was.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago.Abs()), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usagef("--since %q is neither a duration such as 24h nor a time such as 2026-01-31T12:00:00Z", text)
	}
	return t, nil
}

func actor(x admin.Actor) string {
	if x.ID == "" || x.ID == x.Kind {
		return x.Kind
	}
	return x.Kind + ":" + x.ID
}
