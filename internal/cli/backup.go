package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/server"
)

func (a *app) backupCommand() *cobra.Command {
	var out string
	cmd := a.administers(a.changes(a.command("backup", "Copy the database of a running server to a file", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if out == "" {
			return usagef("--out names the file to write")
		}
		return a.backup(ctx, out)
	})))
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write; it must not exist")
	return cmd
}

// partial is added to a backup's name until it is complete.
const partial = ".partial"

// backup writes beside out, and gives the file its name once its digest was
// checked and it is on disk: whatever is called out is whole.
func (a *app) backup(ctx context.Context, out string) (err error) {
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s: %w", out, fs.ErrExist), err)
	}
	api, err := a.admin()
	if err != nil {
		return err
	}
	api.HTTP.Timeout = 0 // a large database takes as long as it takes
	temporary, err := os.CreateTemp(filepath.Dir(out), filepath.Base(out)+".*"+partial)
	if err != nil {
		return err
	}
	defer func() {
		if gone := os.Remove(temporary.Name()); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}()
	size, err := api.Backup(ctx, temporary, a.reason)
	if err == nil {
		err = temporary.Sync()
	}
	if err = errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	// A link is refused when the name is taken, which a rename is not.
	if err := os.Link(temporary.Name(), out); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"file": out, "bytes": size})
	}
	a.done("%s holds the whole database (%d bytes). Keep it as safe as the database, and apart from the sealing key, without which it cannot be used.", out, size)
	return nil
}

func (a *app) restoreCommand() *cobra.Command {
	var file, from, to string
	cmd := a.command("restore", "Put a backup in place of a database, while no server runs", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if from == "" {
			return usagef("--from names the backup")
		}
		c, err := config.Load(file, a.Environ)
		if err != nil {
			return err
		}
		r, err := server.Restore(ctx, c, from, cmp.Or(to, c.Store.URL))
		if err != nil {
			return err
		}
		a.done("Restored %s. What happened after %s is gone, revocations included.", r.Path, cmp.Or(when(r.Newest), "its beginning"))
		if r.Older > 0 {
			a.done("Its schema is older: %d migrations are applied at the next start, or by `jeton migrate up`.", r.Older)
		}
		count := strconv.Itoa
		return a.details(r, detail{"newest event", when(r.Newest)}, detail{"accounts", count(r.Accounts)}, detail{"clients", count(r.Clients)},
			detail{"resources", count(r.Resources)}, detail{"sessions", count(r.Sessions)}, detail{"grants", count(r.Grants)},
			detail{"tokens", count(r.Tokens)}, detail{"revocations", count(r.Revocations)}, detail{"events", count(r.Events)})
	})
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&from, "from", "", "`FILE` that jeton backup has written")
	cmd.Flags().StringVar(&to, "to", "", "`URL` of the database to make, such as sqlite:/var/lib/jeton/jeton.db (default: store.url of the configuration)")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// indented sets off a block of text.
func indented(text string) string {
	return "    " + strings.ReplaceAll(text, "\n", "\n    ") + "\n"
}
