package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) policyCommand() *cobra.Command {
	return a.administers(a.group("policy", "Demands on routes of APIs, applied live",
		a.policySet(), a.policyList(), a.policyShow(), a.policyDelete(), a.policyTest()))
}

func (a *app) policySet() *cobra.Command {
	var spec admin.PolicySpec
	var scope string
	var maxAge, authAge, staleness time.Duration
	cmd := a.command("set NAME", "Create a policy, or replace it", cobra.ExactArgs(1), nil)
	flags := cmd.Flags()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.began = true
		api, err := a.admin()
		if err != nil {
			return err
		}
		spec.Name, spec.Scope = args[0], strings.Fields(scope)
		if flags.Changed("max-age") {
			spec.MaxAge = new(admin.Duration(maxAge))
		}
		if flags.Changed("auth-age") {
			spec.AuthAge = new(admin.Duration(authAge))
		}
		if flags.Changed("max-staleness") {
			spec.MaxStaleness = new(admin.Duration(staleness))
		}
		p, err := api.PutPolicy(cmd.Context(), spec, a.reason)
		if err != nil {
			return err
		}
		return a.showPolicy(p)
	}
	flags.StringVar(&spec.Audience, "audience", "", "`AUDIENCE` of the API")
	flags.StringVar(&spec.Method, "method", "", "`METHOD`, such as POST (default: any)")
	flags.StringVar(&spec.Pattern, "path", "/", "`PATTERN` as of net/http.ServeMux; / is all of the API")
	flags.DurationVar(&maxAge, "max-age", 0, "`AGE` of a token at most, since it was issued; 0 locks the route")
	flags.StringVar(&scope, "scope", "", "`SCOPES` a token must have, separated by spaces")
	flags.StringSliceVar(&spec.Clients, "client", nil, "`ID` of a client whose tokens pass; may be repeated")
	flags.DurationVar(&authAge, "auth-age", 0, "`AGE` of the person's sign-in at most")
	flags.StringSliceVar(&spec.ACR, "acr", nil, "`ACR` by which the person signed in; may be repeated, for one of them")
	flags.BoolVar(&spec.FreshClaims, "fresh-claims", false, "only tokens that say what is true now of their subject")
	flags.BoolVar(&spec.SingleUse, "single-use", false, "only tokens that may be used once")
	flags.BoolVar(&spec.DPoP, "dpop", false, "only tokens that are bound to a key (DPoP)")
	flags.BoolVar(&spec.NoCookie, "no-cookie", false, "no session cookies of browser apps, also where the code allows them")
	flags.BoolVar(&spec.Registry, "registry", false, "ask whether a token was issued also where the code does not")
	flags.StringVar(&spec.Network, "network", "", "flag or enforce: `WHAT` to do with tokens from another network than they were issued to")
	flags.StringVar(&spec.Fail, "fail", "", "introspect or closed: `WHAT` to do while the feed is silent")
	flags.DurationVar(&staleness, "max-staleness", 0, "how `LONG` the feed may be silent")
	return a.changes(cmd)
}

func (a *app) policyList() *cobra.Command {
	var audience string
	cmd := a.command("list", "List policies by name", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		list, err := api.Policies(ctx, audience)
		if err != nil {
			return err
		}
		return table(a, list.Items, []string{"NAME", "AUDIENCE", "METHOD", "PATH", "DEMANDS"}, func(p admin.Policy) []string {
			return []string{p.Name, p.Audience, p.Method, p.Pattern, demands(p.PolicySpec)}
		})
	})
	cmd.Flags().StringVar(&audience, "audience", "", "only those of this `AUDIENCE`")
	return cmd
}

func (a *app) policyShow() *cobra.Command {
	return a.command("show NAME", "Show a policy", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		p, err := api.Policy(ctx, args[0])
		if err != nil {
			return err
		}
		return a.showPolicy(p)
	})
}

func (a *app) showPolicy(p admin.Policy) error {
	return a.details(p,
		detail{"name", p.Name}, detail{"audience", p.Audience}, detail{"method", p.Method}, detail{"path", p.Pattern},
		detail{"demands", demands(p.PolicySpec)}, detail{"created", when(p.CreatedAt)}, detail{"updated", when(p.UpdatedAt)})
}

func (a *app) policyDelete() *cobra.Command {
	return a.changes(a.command("delete NAME", "Remove a policy", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		if err := api.DeletePolicy(ctx, args[0], a.reason); err != nil {
			return err
		}
		a.done("Policy %s is removed.", args[0])
		return nil
	}))
}

func (a *app) policyTest() *cobra.Command {
	var audience string
	cmd := a.command("test METHOD PATH", "Say which policies apply to a request, and what they demand together", cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		test, err := api.TestPolicies(ctx, audience, args[0], args[1])
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(test)
		}
		if len(test.Policies) == 0 {
			return a.print("no policy applies\n")
		}
		var names []string
		for _, p := range test.Policies {
			names = append(names, p.Name)
		}
		return a.details(test, detail{"policies", list(names)}, detail{"demands", demands(test.Together)}, detail{"nobody passes", yes(test.Nobody)})
	})
	cmd.Flags().StringVar(&audience, "audience", "", "`AUDIENCE` of the API")
	return cmd
}

// demands is what a policy asks, in a line.
func demands(p admin.PolicySpec) string {
	var parts []string
	add := func(set bool, text string) {
		if set {
			parts = append(parts, text)
		}
	}
	if p.MaxAge != nil {
		add(true, "max age "+p.MaxAge.String())
		add(*p.MaxAge == 0, "(locked)")
	}
	add(len(p.Scope) > 0, "scope "+list(p.Scope))
	add(len(p.Clients) > 0, "clients "+list(p.Clients))
	if p.AuthAge != nil {
		add(true, "sign-in age "+p.AuthAge.String())
	}
	add(len(p.ACR) > 0, "acr "+list(p.ACR))
	add(p.FreshClaims, "fresh claims")
	add(p.SingleUse, "single use")
	add(p.DPoP, "dpop")
	add(p.NoCookie, "no cookie")
	add(p.Registry, "registry")
	add(p.Network != "", "network "+p.Network)
	add(p.Fail != "", "fail "+p.Fail)
	if p.MaxStaleness != nil {
		add(true, "max staleness "+p.MaxStaleness.String())
	}
	return strings.ReplaceAll(strings.Join(parts, ", "), ", (", " (")
}
