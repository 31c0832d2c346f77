package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) grantCommand() *cobra.Command {
	return a.administers(a.group("grant", "Lineages of tokens", a.grantList(), a.grantEnd()))
}

func (a *app) grantList() *cobra.Command {
	var account, client string
	cmd := a.command("list", "List live grants", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		grants, err := collect(admin.All(ctx, func(ctx context.Context, p admin.Page) (admin.List[admin.Grant], error) {
			return api.Grants(ctx, account, client, p)
		}))
		if err != nil {
			return err
		}
		return table(a, grants, []string{"ID", "TYPE", "CLIENT", "ACCOUNT", "SESSION", "SCOPE", "LAST USED", "FIRST NETWORK", "NETWORK", "USER AGENT"}, func(g admin.Grant) []string {
			return []string{g.ID, g.Type, g.ClientID, g.AccountID, g.SessionID, list(g.Scope), when(g.LastUsed), g.FirstNetwork, g.Network, g.UserAgent}
		})
	})
	cmd.Flags().StringVar(&account, "account", "", "only of this `LOGIN` or id")
	cmd.Flags().StringVar(&client, "client", "", "only of this client `ID`")
	return cmd
}

func (a *app) grantEnd() *cobra.Command {
	return a.changes(a.command("end ID", "End a grant and every token of it", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		if err := api.EndGrant(ctx, args[0], a.reason); err != nil {
			return err
		}
		a.done("Grant %s has ended.", args[0])
		return nil
	}))
}
