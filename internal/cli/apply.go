package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/provision"
)

func (a *app) applyCommand() *cobra.Command {
	var file string
	var dryRun bool
	cmd := a.command("apply -f FILE", "Bring clients, resources and accounts to the state a file declares", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if file == "" {
			return usagef("-f names the file")
		}
		declared, err := a.readDeclared(file)
		if err != nil {
			return err
		}
		api, err := a.admin()
		if err != nil {
			return err
		}
		diff, err := api.Apply(ctx, declared.Document(), dryRun, a.reason)
		if err != nil {
			return err
		}
		return a.showDiff(diff)
	})
	cmd.Flags().StringVarP(&file, "file", "f", "", "YAML `FILE` to apply, - for standard input")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would change, and change nothing")
	return a.administers(a.changes(cmd))
}

func (a *app) readDeclared(file string) (provision.File, error) {
	var content []byte
	var err error
	if file == "-" {
		content, err = io.ReadAll(a.In)
	} else {
		content, err = os.ReadFile(file)
	}
	if err != nil {
		return provision.File{}, err
	}
	declared, err := provision.Parse(content)
	if err != nil {
		return provision.File{}, fmt.Errorf("%s:%w", file, err)
	}
	return declared, declared.Resolve(a.lookup)
}

var signs = map[admin.Action]string{admin.Create: "+", admin.Update: "~", admin.Keep: "=", admin.Delete: "-"}

func (a *app) showDiff(d admin.Diff) error {
	if a.json {
		return a.printJSON(d)
	}
	count := make(map[admin.Action]int)
	var text strings.Builder
	for _, c := range d.Changes {
		count[c.Action]++
		text.WriteString(signs[c.Action] + " " + printable(c.Kind+" "+c.Name) + "\n")
		for _, f := range c.Fields {
			text.WriteString("    " + printable(f.Name+": "+fieldChange(f)) + "\n")
		}
		if c.Secret != "" {
			text.WriteString("    secret, shown once: " + printable(c.Secret) + "\n")
		}
	}
	if err := a.print(text.String()); err != nil {
		return err
	}
	note := ""
	if !d.Applied {
		note = " Nothing was changed: this is a dry run."
	}
	a.done("%d created, %d changed, %d deleted, %d unchanged.%s", count[admin.Create], count[admin.Update], count[admin.Delete], count[admin.Keep], note)
	return nil
}

func fieldChange(f admin.Field) string {
	switch {
	case f.Old == "" && f.New == "":
		return "changed"
	case f.Old == "":
		return "(none) → " + f.New
	case f.New == "":
		return f.Old + " → (none)"
	default:
		return f.Old + " → " + f.New
	}
}
