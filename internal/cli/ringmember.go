package cli

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/jwk"
)

func (a *app) ringMember() *cobra.Command {
	var out string
	cmd := a.command("member", "Make the key with which a server reads its rings in ZooKeeper or etcd", cobra.NoArgs, func(context.Context, []string) error {
		if out == "" {
			return errors.New("--out names the file to write; the private key is not printed")
		}
		key, err := jwk.NewMemberKey()
		if err != nil {
			return err
		}
		text, err := key.Secret()
		if err != nil {
			return err
		}
		// An existing file is somebody's key: it is never replaced.
		file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 -- the caller's choice
		if err != nil {
			return err
		}
		_, err = file.WriteString(text + "\n")
		if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
			return errors.Join(err, os.Remove(out))
		}
		member := key.Member()
		return a.details(struct {
			ID     string `json:"id"`
			Public string `json:"public"`
		}{member.ID(), member.String()}, detail{"id", member.ID()}, detail{"public", member.String()}, detail{"private", out})
	})
	cmd.Flags().StringVar(&out, "out", "", "new `FILE` for the private key, for the server's eyes only (mode 0600)")
	return cmd
}
