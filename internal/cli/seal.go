package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) sealCommand() *cobra.Command {
	return a.administers(a.group("seal", "What secrets in the database are sealed with", a.sealList(), a.sealRewrap(), a.sealRotate()))
}

func (a *app) sealList() *cobra.Command {
	return a.command("list", "List data keys and the master keys that wrap them", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		s, err := api.Sealing(ctx)
		if err != nil {
			return err
		}
		return a.showSealing(s)
	})
}

func (a *app) sealRewrap() *cobra.Command {
	return a.changes(a.command("rewrap", "Wrap the data keys again, after the master key was changed", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		s, err := api.RewrapSealing(ctx, a.reason)
		if err != nil {
			return err
		}
		if err := a.showSealing(s); err != nil {
			return err
		}
		if len(s.Masters) > 1 {
			a.done("Every data key is wrapped by %s. Backups made before still need the master key they were made with.", s.Masters[0])
		}
		return nil
	}))
}

func (a *app) sealRotate() *cobra.Command {
	return a.changes(a.command("rotate", "Make a new data key, and seal everything again under it", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		s, err := api.RotateSealing(ctx, a.reason)
		if err != nil {
			return err
		}
		if err := a.showSealing(s); err != nil {
			return err
		}
		a.done("Secrets are sealed again in the background. The old data key goes a day after nothing needs it.")
		return nil
	}))
}

func (a *app) showSealing(s admin.Sealing) error {
	if a.json {
		return a.printJSON(s)
	}
	if s.Direct > 0 {
		a.done("%d values are still sealed under a master key itself.", s.Direct)
	}
	a.say("Master keys: %s (the first wraps)\n", printable(strings.Join(s.Masters, ", ")))
	return table(a, s.DataKeys, []string{"DATA KEY", "WRAPPED BY", "CREATED", "WRAPPED", "VALUES", "SEALS"}, func(k admin.DataKey) []string {
		return []string{k.ID, k.Master, when(k.CreatedAt), when(k.WrappedAt), strconv.Itoa(k.Values), yes(k.Current)}
	})
}
