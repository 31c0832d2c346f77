package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) resourceCommand() *cobra.Command {
	return a.administers(a.group("resource", "APIs that accept tokens", a.resourceCreate(), a.resourceList(), a.resourceDelete()))
}

func (a *app) resourceCreate() *cobra.Command {
	var spec admin.ResourceSpec
	var scope string
	cmd := a.command("create AUDIENCE", "Register an API, or replace its registration", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		spec.Audience, spec.Scope = args[0], strings.Fields(scope)
		issued, err := api.PutResource(ctx, admin.NewResource{ResourceSpec: spec, CreateClient: true}, a.reason)
		if err != nil {
			return err
		}
		r := issued.Resource
		err = a.details(issued,
			detail{"audience", r.Audience}, detail{"name", r.Name}, detail{"scope", list(r.Scope)},
			detail{"created", when(r.CreatedAt)}, detail{"client", r.ClientID}, detail{"ring", r.Signing.Ring}, detail{"secret", issued.Secret})
		if err == nil && issued.Secret != "" {
			a.done("The API talks to the authority as this client. Keep the secret now: it is not shown again.")
		}
		return err
	})
	flags := cmd.Flags()
	flags.StringVar(&spec.Name, "name", "", "`NAME` on the consent page")
	flags.StringVar(&spec.ClientID, "client", "", "`ID` of the client as which the API talks to the authority; made if it does not exist (default: a chosen one)")
	flags.StringVar(&spec.Signing.Ring, "ring", "", "sign its tokens with HS256 by the shared secrets of the ring `NAME`, which is made if it does not exist")
	flags.StringVar(&scope, "scope", "", "`SCOPES` it understands, separated by spaces")
	return a.changes(cmd)
}

func (a *app) resourceList() *cobra.Command {
	return a.command("list", "List APIs by audience", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		resources, err := api.Resources(ctx)
		if err != nil {
			return err
		}
		return table(a, resources.Items, []string{"AUDIENCE", "NAME", "CLIENT", "SCOPE"}, func(r admin.Resource) []string {
			return []string{r.Audience, r.Name, r.ClientID, list(r.Scope)}
		})
	})
}

func (a *app) resourceDelete() *cobra.Command {
	return a.changes(a.command("delete AUDIENCE", "Remove an API's registration", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		if err := api.DeleteResource(ctx, args[0], a.reason); err != nil {
			return err
		}
		a.done("Resource %s is removed.", args[0])
		return nil
	}))
}
