package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

// healthcheckCommand is for containers without a shell.
func (a *app) healthcheckCommand() *cobra.Command {
	var manage string
	cmd := a.command("healthcheck", "Ask a server whether it is ready; exit code 1 if it is not", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		base := cmp.Or(manage, a.getenv("JETON_MANAGE_URL"), "http://127.0.0.1:8082")
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+"/readyz", nil)
		if err != nil {
			return usageError{err}
		}
		resp, err := callClient().Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("not ready: %s", resp.Status)
		}
		return nil
	})
	cmd.Flags().StringVar(&manage, "manage", "", "`URL` of the management listener (environment: JETON_MANAGE_URL; default http://127.0.0.1:8082)")
	return cmd
}
