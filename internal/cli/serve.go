package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/internal/config"
)

func (a *app) serveCommand() *cobra.Command {
	var file string
	cmd := a.command("serve", "Run the authority", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		c, err := config.Load(file, a.Environ)
		if err != nil {
			return err
		}
		return a.commands.Serve(ctx, c)
	})
	configFlag(cmd, &file)
	return cmd
}

func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", "", "YAML `FILE` (default: the environment alone)")
}
