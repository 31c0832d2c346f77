package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) tokenCommand() *cobra.Command {
	return a.administers(a.group("token", "Look at a token, end it, or prove whose it is", a.tokenExplain(), a.tokenRevoke(), a.tokenProof()))
}

func (a *app) tokenExplain() *cobra.Command {
	return a.command("explain TOKEN|-", "Show a token and every check it must pass; exit code 1 if one fails", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		token, err := a.token(args[0])
		if err != nil {
			return err
		}
		e, err := api.ExplainToken(ctx, token)
		if err != nil {
			return err
		}
		if err := a.showExplanation(e); err != nil {
			return err
		}
		if !e.Active() {
			return errFailed
		}
		return nil
	})
}

func (a *app) tokenRevoke() *cobra.Command {
	return a.changes(a.command("revoke TOKEN|-", "End an access token, or the grant of a refresh token", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		token, err := a.token(args[0])
		if err != nil {
			return err
		}
		if err := api.RevokeToken(ctx, token, a.reason); err != nil {
			return err
		}
		a.done("The token is revoked.")
		return nil
	}))
}

// token is the argument, or with "-" what stands on standard input.
func (a *app) token(argument string) (string, error) {
	if argument == "-" {
		return a.hidden("-", "token", false)
	}
	return argument, nil
}

func (a *app) showExplanation(e admin.Explanation) error {
	if a.json {
		return a.printJSON(e)
	}
	var parts strings.Builder
	if e.Kind != "" {
		parts.WriteString(printable(e.Kind) + "\n")
	}
	for _, part := range []struct {
		name string
		json json.RawMessage
	}{{"header", e.Header}, {"claims", e.Claims}} {
		var pretty bytes.Buffer
		if len(part.json) == 0 || json.Indent(&pretty, part.json, "  ", "  ") != nil {
			continue
		}
		parts.WriteString("\n" + part.name + "\n  ")
		for line := range strings.Lines(pretty.String()) { // the token may come from anybody
			parts.WriteString(printable(strings.TrimSuffix(line, "\n")) + "\n")
		}
	}
	if err := a.print(parts.String() + "\nchecks\n"); err != nil {
		return err
	}
	var checks strings.Builder
	for _, c := range e.Checks {
		result := "ok"
		if !c.OK {
			result = "FAIL"
		}
		checks.WriteString("  " + result + "\t" + printable(c.Name) + "\t" + printable(c.Detail) + "\n")
	}
	return a.align(checks.String())
}
