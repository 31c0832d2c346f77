package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/internal/store/transfer"
)

func (a *app) storeCommand() *cobra.Command {
	var file string
	cmd := a.group("store", "The database as a whole, while no server runs", a.storeCopy(&file), a.storeRenew(&file))
	cmd.PersistentFlags().StringVarP(&file, "config", "c", "", "YAML `FILE` (default: the environment alone)")
	cmd.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) storeCopy(file *string) *cobra.Command {
	var from, to string
	var o transfer.Options
	cmd := a.command("copy", "Copy everything into an empty database, of another kind too", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if to == "" {
			return usagef("--to names the database to copy into")
		}
		c, err := config.Load(*file, a.Environ)
		if err != nil {
			return err
		}
		o.Progress = func(d transfer.Done) { a.done("%-16s %9d rows", d.Table, d.Rows) }
		began := time.Now()
		done, err := server.CopyStore(ctx, c, cmp.Or(from, c.Store.URL), to, o)
		if err != nil {
			return err
		}
		return a.copied(done, o.Retire, time.Since(began))
	})
	cmd.Flags().StringVar(&from, "from", "", "`URL` of the database to copy (default: store.url of the configuration)")
	cmd.Flags().StringVar(&to, "to", "", "`URL` of the database to copy into, such as postgres://jeton@db.example.com/jeton")
	cmd.Flags().BoolVar(&o.Retire, "retire", false, "mark the source, once the copy is complete, so that no server opens it again")
	return cmd
}

func (a *app) copied(done []transfer.Done, retired bool, took time.Duration) error {
	var rows int64
	for _, d := range done {
		rows += d.Rows
	}
	a.done("Complete: %d rows, read again on both sides and the same, in %v.", rows, took.Round(100*time.Millisecond))
	if retired {
		a.done("No server opens the source any more. Set store.url to the copy and start.")
	} else {
		a.done("The source can still be served. Never serve both: what one revokes the other does not know. With --retire the source is marked.")
	}
	return table(a, done, []string{"TABLE", "ROWS", "DIGEST"}, func(d transfer.Done) []string {
		return []string{d.Table, strconv.FormatInt(d.Rows, 10), fmt.Sprintf("%.16s", d.Digest)}
	})
}

func (a *app) storeRenew(file *string) *cobra.Command {
	return a.command("renew", "Begin a new life of the revocation log, after the database was restored by other tools", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		c, err := config.Load(*file, a.Environ)
		if err != nil {
			return err
		}
		newest, err := server.RenewStore(ctx, c)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(map[string]any{"newest_event": newest})
		}
		a.done("Renewed: guards take a new snapshot. What happened after %s is gone, revocations included.", cmp.Or(when(newest), "its beginning"))
		return nil
	})
}
