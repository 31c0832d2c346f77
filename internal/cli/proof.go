package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

// tokenProof makes DPoP proofs, for people who try things with curl. Programs
// have package client.
func (a *app) tokenProof() *cobra.Command {
	var keyFile, nonce, tokenFile string
	var showKey bool
	cmd := a.command("proof METHOD URL", "Make a DPoP proof for one request, good for a minute", cobra.ExactArgs(2), func(_ context.Context, args []string) error {
		key, err := proofKey(keyFile)
		if err != nil {
			return err
		}
		if showKey {
			a.say("thumbprint %s\n", key.Thumbprint())
		}
		p := jwt.Presentation{Method: strings.ToUpper(args[0]), URL: args[1], Nonce: nonce}
		if tokenFile != "" {
			if p.AccessToken, err = a.hidden(tokenFile, "token", false); err != nil {
				return err
			}
		}
		proof, err := jwt.NewProof(key, p)
		if err != nil {
			return err
		}
		return a.print(proof + "\n")
	})
	cmd.Flags().StringVar(&keyFile, "key", "dpop.json", "`FILE` with the private key, a JWK; made if it is not there")
	cmd.Flags().StringVar(&tokenFile, "token", "", "`FILE` with the access token that the request carries, - for standard input; none at the token endpoint")
	cmd.Flags().StringVar(&nonce, "nonce", "", "the `NONCE` that the server gave out in DPoP-Nonce")
	cmd.Flags().BoolVar(&showKey, "thumbprint", false, "tell the thumbprint of the key (dpop_jkt)")
	return cmd
}

// proofKey reads the key, or makes one for its owner alone.
func proofKey(path string) (*jwk.Key, error) {
	content, err := os.ReadFile(path) // #nosec G304 -- the caller names it
	if err == nil {
		key, err := jwk.ParsePrivate(content)
		if err != nil {
			return nil, fmt.Errorf("the file %s has no private key: %w", path, err)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := jwk.Generate(jwk.ES256)
	if err != nil {
		return nil, err
	}
	if content, err = key.MarshalPrivate(); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 -- the caller names it
	if err != nil {
		return nil, err
	}
	_, err = file.Write(append(content, '\n'))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return key, nil
}
