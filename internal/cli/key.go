package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
)

func (a *app) keyCommand() *cobra.Command {
	return a.administers(a.group("key", "Keys that sign tokens, and their rotation",
		a.keyList(), a.keyRotate(), a.keyRehearse(), a.keyStage(), a.keyActivate(), a.keyRetire(), a.keyCompromise(), a.keyExport(), a.keyImport()))
}

func (a *app) keyList() *cobra.Command {
	var ring string
	cmd := a.command("list", "List keys by ring, oldest first", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		list, err := api.Keys(ctx, ring)
		if err != nil {
			return err
		}
		return table(a, list.Items, []string{"RING", "ID", "ALGORITHM", "STATE", "SINCE", "NEXT"}, func(k admin.Key) []string {
			return []string{k.Ring, k.ID, k.Algorithm, k.State, when(k.ChangedAt), next(k)}
		})
	})
	cmd.Flags().StringVar(&ring, "ring", "", "only keys of this `RING`: access, id, refresh, flow, or a named one")
	return cmd
}

func next(k admin.Key) string {
	if k.NextState == "" {
		return ""
	}
	return k.NextState + " at " + when(k.NextAt)
}

func (a *app) showKey(k admin.Key) error {
	return a.details(k, detail{"id", k.ID}, detail{"ring", k.Ring}, detail{"algorithm", k.Algorithm}, detail{"state", k.State},
		detail{"since", when(k.ChangedAt)}, detail{"next", next(k)})
}

func (a *app) keyRotate() *cobra.Command {
	return a.nextKey("rotate RING", "Let the next key of a ring take over, once every verifier can know it",
		func(ctx context.Context, api *admin.Client, ring string, n admin.NewKey) (admin.Key, error) {
			return api.RotateKey(ctx, ring, n, a.reason)
		})
}

func (a *app) keyStage() *cobra.Command {
	return a.nextKey("stage RING", "Publish the next key of a ring, without using it",
		func(ctx context.Context, api *admin.Client, ring string, n admin.NewKey) (admin.Key, error) {
			return api.StageKey(ctx, ring, n, a.reason)
		})
}

func (a *app) nextKey(use, short string, call func(context.Context, *admin.Client, string, admin.NewKey) (admin.Key, error)) *cobra.Command {
	var n admin.NewKey
	cmd := a.command(use, short, cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		k, err := call(ctx, api, args[0], n)
		if err != nil {
			return err
		}
		return a.showKey(k)
	})
	cmd.Flags().StringVar(&n.Algorithm, "algorithm", "", "`ALG`, in ring id, which has a key for each")
	return a.changes(cmd)
}

func (a *app) keyRehearse() *cobra.Command {
	var n admin.NewKey
	var patience time.Duration
	cmd := a.command("rehearse RING", "Stage a key and tell which guards could verify with it", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		k, err := api.StageKey(ctx, args[0], n, a.reason)
		if err != nil {
			return err
		}
		held, err := a.awaitGuards(ctx, api, k.ID, patience)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(struct {
				Key admin.Key `json:"key"`
				admin.KeyHolders
			}{k, held})
		}
		a.done("Key %s is staged; every verifier can know it at %s.", k.ID, when(held.UsableFrom))
		return table(a, held.Guards, []string{"GUARD", "FROM", "CONNECTED", "HOLDS THE KEY"}, func(g admin.KeyHolder) []string {
			holds := "no"
			if g.Holds {
				holds = "yes"
			}
			return []string{g.Client, place(g), when(g.Since), holds}
		})
	})
	cmd.Flags().StringVar(&n.Algorithm, "algorithm", "", "`ALG`, in ring id, which has a key for each")
	cmd.Flags().DurationVar(&patience, "wait", 10*time.Second, "how `LONG` to wait for guards that do not hold it yet")
	return a.changes(cmd)
}

// awaitGuards asks until every connected guard holds the key, or patience is over.
func (a *app) awaitGuards(ctx context.Context, api *admin.Client, id string, patience time.Duration) (admin.KeyHolders, error) {
	for end := time.Now().Add(patience); ; {
		held, err := api.KeyHolders(ctx, id)
		if err != nil || len(lacking(held)) == 0 || !time.Now().Before(end) {
			return held, err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return held, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// lacking names the guards that do not hold the key.
func lacking(held admin.KeyHolders) []string {
	var names []string
	for _, g := range held.Guards {
		if !g.Holds {
			names = append(names, g.Client+" at "+place(g))
		}
	}
	return names
}

// place is where a guard is, and how many more are like it.
func place(g admin.KeyHolder) string {
	if g.Others > 0 {
		return fmt.Sprintf("%s and %d more", g.From, g.Others)
	}
	return g.From
}

func (a *app) keyActivate() *cobra.Command {
	var change admin.KeyChange
	var wait bool
	var patience time.Duration
	cmd := a.command("activate KID", "Let a staged key take over now", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		if wait {
			if err := a.awaitAll(ctx, api, args[0], change.Force, patience); err != nil {
				return err
			}
		}
		k, err := api.ActivateKey(ctx, args[0], change, a.reason)
		if err != nil {
			return err
		}
		return a.showKey(k)
	})
	cmd.Flags().BoolVar(&change.Force, "force", false, "also if it was not staged for long enough: verifiers that are no guards may refuse its tokens for a while")
	cmd.Flags().BoolVar(&wait, "wait-for-guards", false, "wait until it was staged for long enough and every connected guard holds it")
	cmd.Flags().DurationVar(&patience, "patience", 5*time.Minute, "how `LONG` to wait at most")
	return a.changes(cmd)
}

// awaitAll waits for every guard and, unless forced, for those who only read the
// published set.
func (a *app) awaitAll(ctx context.Context, api *admin.Client, id string, force bool, patience time.Duration) error {
	end := time.Now().Add(patience)
	held, err := a.awaitGuards(ctx, api, id, patience)
	if err != nil {
		return err
	}
	if names := lacking(held); len(names) > 0 {
		return fmt.Errorf("these guards do not hold the key: %s", strings.Join(names, ", "))
	}
	if force {
		return nil
	}
	if held.UsableFrom.After(end) {
		return fmt.Errorf("every guard holds the key, but other verifiers may not know it before %s; wait longer with --patience, or use --force", when(held.UsableFrom))
	}
	// The server's clock decides; a little more than what is left by ours will do.
	return pause(ctx, max(time.Until(held.UsableFrom)+100*time.Millisecond, 0))
}

func (a *app) keyRetire() *cobra.Command {
	var change admin.KeyChange
	cmd := a.command("retire KID", "Take a key that is staged or retiring out of use", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		k, err := api.RetireKey(ctx, args[0], change, a.reason)
		if err != nil {
			return err
		}
		return a.showKey(k)
	})
	cmd.Flags().BoolVar(&change.Force, "force", false, "also if tokens that it signed may be alive: they are refused then")
	return a.changes(cmd)
}

func (a *app) keyCompromise() *cobra.Command {
	return a.changes(a.command("compromise KID", "Refuse a stolen key, and all it has signed, everywhere and at once", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		if a.reason == "" {
			return errors.New("--reason is needed: it is on record for ever after")
		}
		api, err := a.admin()
		if err != nil {
			return err
		}
		k, err := api.CompromiseKey(ctx, args[0], a.reason)
		if err != nil {
			return err
		}
		if k.ID == args[0] {
			a.done("Key %s is refused everywhere.", k.ID)
		} else {
			a.done("Key %s is refused everywhere; %s signs instead.", args[0], k.ID)
		}
		return a.showKey(k)
	}))
}

func (a *app) keyExport() *cobra.Command {
	return a.command("export KID", "Print the public JWK of a key; private keys do not leave the authority", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		k, err := api.Key(ctx, args[0])
		if err != nil {
			return err
		}
		if k.Public == nil {
			return errors.New("a shared secret has no public part; jeton ring export writes the secrets of a ring for its servers")
		}
		return a.printJSON(k.Public)
	})
}

func (a *app) keyImport() *cobra.Command {
	var alg string
	cmd := a.command("import RING FILE", "Stage a private key that was made elsewhere, a JWK or PEM file", cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		b, err := os.ReadFile(args[1])
		if err != nil {
			return err
		}
		private, err := privateJWK(b, alg)
		if err != nil {
			return fmt.Errorf("%s: %w", args[1], err)
		}
		api, err := a.admin()
		if err != nil {
			return err
		}
		k, err := api.ImportKey(ctx, args[0], admin.ImportedKey{Key: private}, a.reason)
		if err != nil {
			return err
		}
		return a.showKey(k)
	})
	cmd.Flags().StringVar(&alg, "algorithm", "", "`ALG` of an RSA key in PEM: RS256 (default) or PS256")
	return a.changes(cmd)
}
