package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) sessionCommand() *cobra.Command {
	return a.administers(a.group("session", "Sign-ins in browsers", a.sessionList(), a.sessionEnd()))
}

func (a *app) sessionList() *cobra.Command {
	var account string
	cmd := a.command("list", "List sessions", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		sessions, err := collect(admin.All(ctx, func(ctx context.Context, p admin.Page) (admin.List[admin.Session], error) {
			return api.Sessions(ctx, account, p)
		}))
		if err != nil {
			return err
		}
		return table(a, sessions, []string{"ID", "ACCOUNT", "SIGNED IN", "LAST SEEN", "FIRST NETWORK", "NETWORK", "LIVE", "USER AGENT"}, func(s admin.Session) []string {
			return []string{s.ID, s.AccountID, when(s.AuthTime), when(s.LastSeen), s.FirstNetwork, s.Network, yes(s.Live), s.UserAgent}
		})
	})
	cmd.Flags().StringVar(&account, "account", "", "only of this `LOGIN` or id")
	return cmd
}

func (a *app) sessionEnd() *cobra.Command {
	return a.changes(a.command("end ID", "End a session and its grants", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		if err := api.EndSession(ctx, args[0], a.reason); err != nil {
			return err
		}
		a.done("Session %s has ended.", args[0])
		return nil
	}))
}
