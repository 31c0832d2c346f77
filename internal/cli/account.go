package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) accountCommand() *cobra.Command {
	return a.administers(a.group("account", "People who can sign in",
		a.accountCreate(), a.accountList(), a.accountShow(), a.accountUpdate(), a.accountPassword(),
		a.accountChange("disable", "Keep a person out and end their sessions and grants", "disabled", (*admin.Client).DisableAccount),
		a.accountChange("enable", "Let a disabled person sign in again", "enabled", (*admin.Client).EnableAccount),
		a.accountChange("end-sessions", "End all sessions and grants of a person", "signed out everywhere", (*admin.Client).EndSessions),
	))
}

func (a *app) accountCreate() *cobra.Command {
	var spec admin.AccountSpec
	var file string
	var without bool
	cmd := a.command("create LOGIN", "Add a person", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		spec.Login = args[0]
		n := admin.NewAccount{AccountSpec: spec}
		if !without {
			if n.Password, err = a.hidden(file, "password", true); err != nil {
				return err
			}
		}
		account, err := api.CreateAccount(ctx, n, a.reason)
		if err != nil {
			return err
		}
		return a.showAccount(account)
	})
	flags := cmd.Flags()
	flags.StringVar(&spec.Name, "name", "", "full `NAME`")
	flags.StringVar(&spec.Email, "email", "", "e-mail `ADDRESS`")
	flags.BoolVar(&spec.EmailVerified, "email-verified", false, "the address is known to be theirs")
	flags.BoolVar(&without, "no-password", false, "the account cannot sign in with a password")
	passwordFlag(cmd, &file)
	cmd.MarkFlagsMutuallyExclusive("no-password", "password-file")
	return a.changes(cmd)
}

func passwordFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "password-file", "", "`FILE` with the password, - for standard input (default: a prompt)")
}

func (a *app) accountList() *cobra.Command {
	return a.command("list", "List people by login", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		accounts, err := collect(admin.All(ctx, api.Accounts))
		if err != nil {
			return err
		}
		return table(a, accounts, []string{"LOGIN", "NAME", "EMAIL", "DISABLED", "CREATED", "ID"}, func(x admin.Account) []string {
			return []string{x.Login, x.Name, x.Email, yes(x.Disabled), when(x.CreatedAt), x.ID}
		})
	})
}

func (a *app) accountShow() *cobra.Command {
	return a.command("show LOGIN|ID", "Show a person", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		account, err := api.Account(ctx, args[0])
		if err != nil {
			return err
		}
		return a.showAccount(account)
	})
}

func (a *app) accountUpdate() *cobra.Command {
	var name, email string
	var verified bool
	cmd := a.command("update LOGIN|ID", "Change a person's profile; they stay signed in", cobra.ExactArgs(1), nil)
	flags := cmd.Flags()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.began = true
		var u admin.AccountUpdate
		if flags.Changed("name") {
			u.Name = &name
		}
		if flags.Changed("email") {
			u.Email = &email
		}
		if flags.Changed("email-verified") {
			u.EmailVerified = &verified
		}
		if u == (admin.AccountUpdate{}) {
			return usagef("say what to change: --name, --email or --email-verified")
		}
		api, err := a.admin()
		if err != nil {
			return err
		}
		account, err := api.UpdateAccount(cmd.Context(), args[0], u, a.reason)
		if err != nil {
			return err
		}
		return a.showAccount(account)
	}
	flags.StringVar(&name, "name", "", "full `NAME`")
	flags.StringVar(&email, "email", "", "e-mail `ADDRESS`; a new one is unverified")
	flags.BoolVar(&verified, "email-verified", false, "the address is known to be theirs")
	return a.changes(cmd)
}

func (a *app) showAccount(x admin.Account) error {
	return a.details(x,
		detail{"id", x.ID}, detail{"login", x.Login}, detail{"name", x.Name},
		detail{"email", x.Email}, detail{"email verified", yes(x.EmailVerified)},
		detail{"password", yes(x.HasPassword)}, detail{"disabled", yes(x.Disabled)},
		detail{"created", when(x.CreatedAt)}, detail{"updated", when(x.UpdatedAt)})
}

func (a *app) accountPassword() *cobra.Command {
	var file string
	cmd := a.command("password LOGIN|ID", "Set a person's password and end their sessions and grants", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		account, err := api.Account(ctx, args[0]) // before the prompt: nobody types a password for an account that is not there
		if err != nil {
			return err
		}
		password, err := a.hidden(file, "password", true)
		if err != nil {
			return err
		}
		if err := api.SetPassword(ctx, account.ID, password, a.reason); err != nil {
			return err
		}
		a.done("The password of %s is set; their sessions and grants have ended.", account.Login)
		return nil
	})
	passwordFlag(cmd, &file)
	return a.changes(cmd)
}

// accountChange is a command that does one thing to one account.
func (a *app) accountChange(name, short, result string, call func(*admin.Client, context.Context, string, string) error) *cobra.Command {
	return a.changes(a.command(name+" LOGIN|ID", short, cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		if err := call(api, ctx, args[0], a.reason); err != nil {
			return err
		}
		a.done("%s: %s.", args[0], result)
		return nil
	}))
}
