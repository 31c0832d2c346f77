package cli

import (
	"cmp"
	"context"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/doctor"
)

func (a *app) doctorCommand() *cobra.Command {
	var file, manage string
	cmd := a.command("doctor", "Look for what keeps a server from working well; exit code 1 if there are problems", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.showFindings(a.examine(ctx, file, manage))
	})
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&manage, "manage", "", "`URL` of the management listener (environment: JETON_MANAGE_URL; default: manage.address of the configuration)")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) examine(ctx context.Context, file, manage string) []doctor.Finding {
	c, err := config.Load(file, a.Environ)
	if err != nil {
		var found []doctor.Finding
		for line := range strings.Lines(err.Error()) {
			found = append(found, doctor.Finding{Check: "configuration", Level: doctor.Problem, Found: strings.TrimSpace(line), Do: "mend it; `jeton config print` describes every key"})
		}
		return found
	}
	d := doctor.Config{Config: c}
	token, err := a.adminToken()
	if err != nil || token == "" {
		token = c.Manage.AdminToken.Reveal()
	}
	if token != "" {
		d.Admin = &admin.Client{BaseURL: cmp.Or(manage, a.getenv("JETON_MANAGE_URL"), manageAt(c.Manage.Address)), Token: token, HTTP: callClient()}
	}
	return doctor.Examine(ctx, d)
}

// manageAt is the URL of the management listener for somebody on its machine.
func manageAt(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	switch host {
	case "", "0.0.0.0", "::":
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func (a *app) showFindings(found []doctor.Finding) error {
	err := table(a, found, []string{"CHECK", "", "FOUND"}, func(f doctor.Finding) []string { return []string{f.Check, string(f.Level), f.Found} })
	if err != nil {
		return err
	}
	bad := false
	for _, f := range found {
		bad = bad || f.Level == doctor.Problem
		if f.Do != "" && !a.json {
			a.done("%s: %s: %s", f.Level, f.Check, f.Do)
		}
	}
	if bad {
		return errFailed
	}
	return nil
}
