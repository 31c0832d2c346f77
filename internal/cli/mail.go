package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) mailCommand() *cobra.Command {
	return a.administers(a.group("mail", "Mail about what happened", a.mailTest()))
}

func (a *app) mailTest() *cobra.Command {
	var to string
	cmd := a.command("test", "Send a test mail now and print what the mail server answers", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if to == "" {
			return usagef("--to names the address to send to")
		}
		api, err := a.admin()
		if err != nil {
			return err
		}
		tested, err := api.TestMail(ctx, to)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(tested)
		}
		return a.print("The mail server took it: " + printable(tested.Answer) + "\n")
	})
	cmd.Flags().StringVar(&to, "to", "", "`ADDRESS` to send to")
	return cmd
}
