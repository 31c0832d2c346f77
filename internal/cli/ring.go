package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/jwk"
)

func (a *app) ringCommand() *cobra.Command {
	return a.administers(a.group("ring", "Secrets shared with a fleet of servers", a.ringCreate(), a.ringExport(), a.ringMember()))
}

func (a *app) ringCreate() *cobra.Command {
	return a.changes(a.command("create RING", "Make a ring of shared secrets, unless there is one", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		if err := api.CreateRing(ctx, args[0], a.reason); err != nil {
			return err
		}
		a.done("Ring %s is there. Export it to the servers before a resource is signed with it.", args[0])
		return nil
	}))
}

func (a *app) ringExport() *cobra.Command {
	var out string
	cmd := a.command("export RING", "Write the secrets of a ring to a file, for a server that verifies with them", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		if out == "" {
			return errors.New("--out names the file to write; secrets are not printed")
		}
		api, err := a.admin()
		if err != nil {
			return err
		}
		set, err := api.ExportRing(ctx, args[0], a.reason)
		if err != nil {
			return err
		}
		if err := jwk.WriteSecretFile(out, set); err != nil {
			return err
		}
		a.done("The secrets of ring %s are in %s, readable by its owner only. Whoever holds them can make tokens that verify.", args[0], out)
		return nil
	})
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write; it is replaced as a whole, and servers that follow it need no restart")
	return a.changes(cmd)
}
