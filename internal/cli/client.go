package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) clientCommand() *cobra.Command {
	return a.administers(a.group("client", "Apps and programs that ask for tokens",
		a.clientCreate(), a.clientList(), a.clientShow(), a.clientUpdate(), a.clientRotateSecret(), a.clientDelete()))
}

// clientFlags are the settings of a client as flags.
type clientFlags struct {
	given                  admin.ClientSpec
	scope                  string
	access, idle, absolute time.Duration
	public                 bool
	mint                   mintFlags
}

func (f *clientFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.given.Name, "name", "", "`NAME` on the consent page")
	flags.StringVar(&f.given.AuthMethod, "auth-method", "", "`METHOD` at the token endpoint: client_secret_basic (default), client_secret_post or none")
	flags.BoolVar(&f.public, "public", false, "the client cannot keep a secret: short for --auth-method none")
	flags.StringSliceVar(&f.given.GrantTypes, "grant", nil, "grant `TYPE` it may use: authorization_code, refresh_token, client_credentials; repeatable")
	flags.StringArrayVar(&f.given.RedirectURIs, "redirect-uri", nil, "`URI` to which sign-ins return, compared byte by byte; repeatable")
	flags.StringArrayVar(&f.given.PostLogoutRedirectURIs, "post-logout-redirect-uri", nil, "`URI` to which sign-outs return; repeatable")
	flags.StringVar(&f.given.BackchannelLogoutURI, "backchannel-logout-uri", "", "`URI` where it is told of sessions that ended")
	flags.BoolVar(&f.given.BackchannelLogoutSessionRequired, "backchannel-logout-session-required", false, "what it is told must name the session")
	flags.StringVar(&f.scope, "scope", "", "`SCOPES` it may ask for, separated by spaces")
	flags.StringVar(&f.given.Audience, "audience", "", "`URL` of the API its tokens are for")
	flags.BoolVar(&f.given.FirstParty, "first-party", false, "people are not asked for consent")
	flags.BoolVar(&f.given.Native, "native", false, "an installed app, with a loopback or custom-scheme redirect")
	flags.StringVar(&f.given.IDTokenAlg, "id-token-alg", "", "`ALG` of its ID tokens: RS256 (default), ES256 or Ed25519")
	flags.DurationVar(&f.access, "access-lifetime", 0, "lifetime of its access tokens (default: the authority's)")
	flags.DurationVar(&f.idle, "refresh-idle", 0, "an unused refresh token dies after this (default: the authority's)")
	flags.DurationVar(&f.absolute, "refresh-absolute", 0, "a grant ends after this (default: the authority's)")
	flags.StringVar(&f.given.RefreshPolicy, "refresh-policy", "", "`POLICY` for refresh tokens: standard (default), strict, tolerant or bound")
	flags.BoolVar(&f.given.RevokeShared, "revoke-shared", false, "end a grant whose refresh token two parties use in turn")
	flags.StringVar(&f.given.IP, "ip", "", "`MODE` when its tokens come from another network: off, flag (default) or enforce")
	flags.BoolVar(&f.given.IPRefresh, "ip-refresh", false, "with --ip enforce: refreshing from another network is refused too")
	flags.BoolVar(&f.given.DPoPBound, "dpop-bound", false, "the client gets only tokens that are bound to a key (DPoP)")
	flags.BoolVar(&f.given.WithoutPKCE, "without-pkce", false, "a confidential client that sends a nonce may leave out PKCE")
	f.mint.register(flags)
	flags.BoolVar(&f.given.Disabled, "disabled", false, "the client gets no tokens")
}

// apply copies what was given on the command line, and nothing else.
func (f *clientFlags) apply(flags *pflag.FlagSet, to *admin.ClientSpec) {
	given := f.given
	given.Scope = strings.Fields(f.scope)
	if f.public {
		given.AuthMethod = "none"
	}
	for name, copyOne := range map[string]func(){
		"name":                                func() { to.Name = given.Name },
		"auth-method":                         func() { to.AuthMethod = given.AuthMethod },
		"public":                              func() { to.AuthMethod = given.AuthMethod },
		"grant":                               func() { to.GrantTypes = given.GrantTypes },
		"redirect-uri":                        func() { to.RedirectURIs = given.RedirectURIs },
		"post-logout-redirect-uri":            func() { to.PostLogoutRedirectURIs = given.PostLogoutRedirectURIs },
		"backchannel-logout-uri":              func() { to.BackchannelLogoutURI = given.BackchannelLogoutURI },
		"backchannel-logout-session-required": func() { to.BackchannelLogoutSessionRequired = given.BackchannelLogoutSessionRequired },
		"scope":                               func() { to.Scope = given.Scope },
		"audience":                            func() { to.Audience = given.Audience },
		"first-party":                         func() { to.FirstParty = given.FirstParty },
		"native":                              func() { to.Native = given.Native },
		"id-token-alg":                        func() { to.IDTokenAlg = given.IDTokenAlg },
		"access-lifetime":                     func() { to.AccessLifetime = admin.Duration(f.access) },
		"refresh-idle":                        func() { to.RefreshIdle = admin.Duration(f.idle) },
		"refresh-absolute":                    func() { to.RefreshAbsolute = admin.Duration(f.absolute) },
		"refresh-policy":                      func() { to.RefreshPolicy = given.RefreshPolicy },
		"revoke-shared":                       func() { to.RevokeShared = given.RevokeShared },
		"dpop-bound":                          func() { to.DPoPBound = given.DPoPBound },
		"ip":                                  func() { to.IP = given.IP },
		"ip-refresh":                          func() { to.IPRefresh = given.IPRefresh },
		"without-pkce":                        func() { to.WithoutPKCE = given.WithoutPKCE },
		"disabled":                            func() { to.Disabled = given.Disabled },
	} {
		if flags.Changed(name) {
			copyOne()
		}
	}
	f.mint.apply(flags, to)
}

func (a *app) clientCreate() *cobra.Command {
	var f clientFlags
	var file string
	var cmd *cobra.Command
	cmd = a.command("create ID", "Register a client; its secret is shown once", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		var n admin.NewClient
		f.apply(cmd.Flags(), &n.ClientSpec)
		n.ID = args[0]
		if file != "" {
			if n.Secret, err = a.hidden(file, "secret", false); err != nil {
				return err
			}
		}
		issued, err := api.CreateClient(ctx, n, a.reason)
		if err != nil {
			return err
		}
		return a.showIssued(issued)
	})
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&file, "secret-file", "", "`FILE` with a secret to use, - for standard input (default: a random one)")
	cmd.MarkFlagsMutuallyExclusive("public", "auth-method")
	cmd.MarkFlagsMutuallyExclusive("public", "secret-file")
	return a.changes(cmd)
}

func (a *app) clientList() *cobra.Command {
	return a.command("list", "List clients by id", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		clients, err := collect(admin.All(ctx, api.Clients))
		if err != nil {
			return err
		}
		return table(a, clients, []string{"ID", "NAME", "AUTHENTICATION", "GRANTS", "SCOPE", "DISABLED"}, func(c admin.ClientRecord) []string {
			return []string{c.ID, c.Name, c.AuthMethod, list(c.GrantTypes), list(c.Scope), yes(c.Disabled)}
		})
	})
}

func (a *app) clientShow() *cobra.Command {
	return a.command("show ID", "Show a client", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		c, err := api.Client(ctx, args[0])
		if err != nil {
			return err
		}
		return a.showClient(c, c)
	})
}

func (a *app) clientUpdate() *cobra.Command {
	var f clientFlags
	var cmd *cobra.Command
	cmd = a.command("update ID", "Change the settings that are given as flags, and no others", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		c, err := api.Client(ctx, args[0])
		if err != nil {
			return err
		}
		u := admin.ClientUpdate{ClientSpec: c.ClientSpec, Version: c.Version}
		f.apply(cmd.Flags(), &u.ClientSpec)
		if c, err = api.UpdateClient(ctx, u, a.reason); err != nil {
			return err
		}
		return a.showClient(c, c)
	})
	f.register(cmd.Flags())
	cmd.MarkFlagsMutuallyExclusive("public", "auth-method")
	return a.changes(cmd)
}

func (a *app) clientRotateSecret() *cobra.Command {
	var compromised bool
	var until string
	cmd := a.command("rotate-secret ID", "Give a client a new secret, shown once; the one before keeps working until the next rotation", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		r := admin.SecretRotation{Compromised: compromised}
		if until != "" {
			var err error
			if r.OldUntil, err = moment(until, time.Now()); err != nil {
				return err
			}
		}
		api, err := a.admin()
		if err != nil {
			return err
		}
		issued, err := api.RotateSecret(ctx, args[0], r, a.reason)
		if err != nil {
			return err
		}
		return a.showIssued(issued)
	})
	cmd.Flags().BoolVar(&compromised, "compromised", false, "all former secrets die at once, and all grants of the client with them")
	cmd.Flags().StringVar(&until, "old-until", "", "`WHEN` the one before ends: a time such as 2026-01-31T12:00:00Z, or how long from now, such as 24h")
	cmd.MarkFlagsMutuallyExclusive("compromised", "old-until")
	return a.changes(cmd)
}

// moment reads a time, or how long from now it is.
func moment(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d).Truncate(time.Second), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q is no time such as 2026-01-31T12:00:00Z, and no duration such as 24h", text)
	}
	return t, nil
}

func (a *app) clientDelete() *cobra.Command {
	return a.changes(a.command("delete ID", "Delete a client, its consents and its grants", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		if err := api.DeleteClient(ctx, args[0], a.reason); err != nil {
			return err
		}
		a.done("Client %s is deleted; its grants have ended.", args[0])
		return nil
	}))
}

func (a *app) showClient(c admin.ClientRecord, record any, more ...detail) error {
	var secrets []string
	for _, s := range c.Secrets {
		text := "made " + when(s.CreatedAt)
		if !s.ExpiresAt.IsZero() {
			text += ", ends " + when(s.ExpiresAt)
		}
		secrets = append(secrets, text)
	}
	return a.details(record, append([]detail{
		{"id", c.ID}, {"name", c.Name}, {"authentication", c.AuthMethod}, {"secrets", strings.Join(secrets, "; ")},
		{"grants", list(c.GrantTypes)}, {"redirect URIs", list(c.RedirectURIs)}, {"after sign-out", list(c.PostLogoutRedirectURIs)}, {"told of sign-outs", c.BackchannelLogoutURI},
		{"scope", list(c.Scope)}, {"audience", c.Audience}, {"first party", yes(c.FirstParty)}, {"native", yes(c.Native)},
		{"without PKCE", yes(c.WithoutPKCE)}, {"ID token algorithm", c.IDTokenAlg}, {"access lifetime", lifetime(c.AccessLifetime)},
		{"refresh idle", lifetime(c.RefreshIdle)}, {"refresh absolute", lifetime(c.RefreshAbsolute)},
		{"refresh policy", c.RefreshPolicy}, {"revoke shared", yes(c.RevokeShared)}, {"network", c.IP}, {"network at refresh", yes(c.IPRefresh)}, {"bound tokens only", yes(c.DPoPBound)}, {"mints for", mints(c.Mint)}, {"disabled", yes(c.Disabled)},
		{"version", strconv.FormatInt(c.Version, 10)}, {"created", when(c.CreatedAt)}, {"updated", when(c.UpdatedAt)},
	}, more...)...)
}

func (a *app) showIssued(issued admin.IssuedClient) error {
	if err := a.showClient(issued.Client, issued, detail{"secret", issued.Secret}); err != nil {
		return err
	}
	if issued.Secret != "" {
		a.done("Keep the secret now: it is not shown again.")
	}
	return nil
}

func lifetime(d admin.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}
