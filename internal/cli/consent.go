package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) consentCommand() *cobra.Command {
	return a.administers(a.group("consent", "What people allow apps", a.consentList(), a.consentWithdraw()))
}

func (a *app) consentList() *cobra.Command {
	return a.command("list LOGIN", "List what a person allows, by app", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		consents, err := api.Consents(ctx, args[0])
		if err != nil {
			return err
		}
		return table(a, consents.Items, []string{"CLIENT", "SCOPE", "SINCE", "LAST CHANGED"}, func(c admin.Consent) []string {
			return []string{c.ClientID, list(c.Scope), when(c.CreatedAt), when(c.UpdatedAt)}
		})
	})
}

func (a *app) consentWithdraw() *cobra.Command {
	return a.changes(a.command("withdraw LOGIN CLIENT", "Take back what a person allows an app, and end what it holds", cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		if err := api.WithdrawConsent(ctx, args[0], args[1], a.reason); err != nil {
			return err
		}
		a.done("%s may do nothing for %s any more; its grants have ended.", args[1], args[0])
		return nil
	}))
}
