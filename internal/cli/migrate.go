package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/internal/store/sqlite"
)

func (a *app) migrateCommand() *cobra.Command {
	var file string
	cmd := a.group("migrate", "The schema of the configured database", a.migrateStatus(&file), a.migratePlan(&file), a.migrateUp(&file))
	cmd.PersistentFlags().StringVarP(&file, "config", "c", "", "YAML `FILE` (default: the environment alone)")
	cmd.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

func (a *app) migrateStatus(file *string) *cobra.Command {
	return a.command("status", "List migrations, applied and not", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		list, err := a.migrations(ctx, *file, server.Migrations)
		if err != nil {
			return err
		}
		return table(a, list, []string{"MIGRATION", "APPLIED"}, func(m migration) []string { return []string{m.Name, when(m.AppliedAt)} })
	})
}

func (a *app) migratePlan(file *string) *cobra.Command {
	return a.command("plan", "Show what jeton migrate up would do, with its SQL", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		all, err := a.migrations(ctx, *file, server.Migrations)
		if err != nil {
			return err
		}
		todo := []migration{}
		for _, m := range all {
			if m.AppliedAt.IsZero() {
				todo = append(todo, m)
			}
		}
		if a.json {
			return a.printJSON(todo)
		}
		if len(todo) == 0 {
			a.done("Nothing is to be done.")
			return nil
		}
		var text strings.Builder
		for _, m := range todo {
			fmt.Fprintf(&text, "%s\n  %s\n%s\n", m.Name, strings.Join(m.Costs, "\n  "), indented(m.SQL))
		}
		a.done("Each migration is one transaction, and what it locks stays locked until it ends. With the embedded store the whole database is locked, and no server may run.")
		return a.print(text.String())
	})
}

func (a *app) migrateUp(file *string) *cobra.Command {
	return a.command("up", "Bring the schema up to date", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		list, err := a.migrations(ctx, *file, server.Migrate)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(list)
		}
		names := make([]string, len(list))
		for i, m := range list {
			names[i] = m.Name
		}
		a.done("Applied %s: %s", plural(len(list), "migration"), cmp.Or(strings.Join(names, ", "), "nothing was missing"))
		return nil
	})
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// migration is one for programs.
type migration struct {
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	AppliedAt time.Time `json:"applied_at,omitzero"`
	Costs     []string  `json:"costs,omitempty"`
	SQL       string    `json:"sql"`
}

func (a *app) migrations(ctx context.Context, file string, get func(context.Context, config.Config) ([]sqlite.Migration, error)) ([]migration, error) {
	c, err := config.Load(file, a.Environ)
	if err != nil {
		return nil, err
	}
	found, err := get(ctx, c)
	if err != nil {
		return nil, err
	}
	list := make([]migration, len(found))
	for i, m := range found {
		list[i] = migration{m.Version, m.Name, m.AppliedAt, m.Costs, m.SQL}
	}
	return list, nil
}
