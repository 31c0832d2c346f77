package cli

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/internal/bffserver"
)

func (a *app) bffCommand() *cobra.Command {
	var file string
	cmd := a.command("bff", "Sign people in for a browser app, and pass its requests on with their tokens", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		c, err := bffserver.Load(cmp.Or(file, a.getenv(bffserver.Prefix+"CONFIG")), a.Environ)
		if err != nil {
			return err
		}
		return a.commands.BFF(ctx, c)
	})
	cmd.Flags().StringVar(&file, "config", "", "`FILE` in YAML (environment: JETON_BFF_CONFIG; each of its keys has a variable too, such as JETON_BFF_LISTEN)")
	return cmd
}
