package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"
)

// DevOptions is how `jeton dev` was called.
type DevOptions struct {
	Listen       string // of the authority; port 0 picks a free one
	APIListen    string // of the guarded example API
	ManageListen string // of the management listener
	Data         string // directory of the state and of dev.json
	Stdout       io.Writer
}

func (a *app) devCommand() *cobra.Command {
	var o DevOptions
	cmd := a.command("dev", "Start an authority and a guarded example API to try things with", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		var err error
		if o.Data, err = a.dataDir(o.Data); err != nil {
			return err
		}
		o.Stdout = a.Out
		return a.commands.Dev(ctx, o)
	})
	flags := cmd.Flags()
	flags.StringVar(&o.Listen, "listen", "127.0.0.1:8080", "`ADDRESS` of the authority; port 0 picks a free one")
	flags.StringVar(&o.APIListen, "api-listen", "127.0.0.1:8081", "`ADDRESS` of the example API")
	flags.StringVar(&o.ManageListen, "manage-listen", "127.0.0.1:8082", "`ADDRESS` of health, metrics and the admin API")
	flags.StringVar(&o.Data, "data", "", "`DIR` for the state (environment: JETON_DATA; default: jeton/dev in the user's state directory)")
	return cmd
}
