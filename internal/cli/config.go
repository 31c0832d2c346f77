package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/internal/config"
)

func (a *app) configCommand() *cobra.Command {
	return a.group("config", "Print and check the configuration", a.configPrint(), a.configCheck())
}

func (a *app) configPrint() *cobra.Command {
	return a.command("print", "Print every key with its comment, default and environment name", cobra.NoArgs, func(context.Context, []string) error {
		return config.Print(a.Out)
	})
}

func (a *app) configCheck() *cobra.Command {
	var file string
	cmd := a.command("check", "Check a configuration and report every problem", cobra.NoArgs, func(context.Context, []string) error {
		if _, err := config.Load(file, a.Environ); err != nil {
			return err
		}
		a.done("The configuration is good.")
		return nil
	})
	configFlag(cmd, &file)
	return cmd
}
