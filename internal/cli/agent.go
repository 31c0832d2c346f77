package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/internal/agent"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
)

// agentFlags is how `jeton agent` was called, before the environment is added.
type agentFlags struct {
	issuer, audience, clientID string
	publicURL, listen          string
	secretFile, callerFile     string
	sharedKeys                 string
	proxies                    []string
	failMode, logFormat        string
	maxStaleness               time.Duration
	anywhere                   bool
}

func (a *app) agentCommand() *cobra.Command {
	var f agentFlags
	cmd := a.command("agent", "Check tokens for services and proxies on this machine", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		c, log, err := a.agentConfig(f)
		if err != nil {
			return err
		}
		return a.commands.Agent(ctx, c, log)
	})
	flags := cmd.Flags()
	flags.StringVar(&f.issuer, "issuer", "", "`URL` of the authority, as in the iss of its tokens (environment: JETON_AGENT_ISSUER)")
	flags.StringVar(&f.audience, "audience", "", "`AUD` that tokens must be for (environment: JETON_AGENT_AUDIENCE)")
	flags.StringVar(&f.publicURL, "public-url", "", "`URL` before the path, as callers know it, for tokens that are good for one URL (environment: JETON_AGENT_PUBLIC_URL; default: the origin of the audience)")
	flags.StringVar(&f.clientID, "client-id", "", "`ID` of the resource's client at the authority (environment: JETON_AGENT_CLIENT_ID)")
	flags.StringVar(&f.secretFile, "client-secret-file", "", "`FILE` with its secret (environment: JETON_AGENT_CLIENT_SECRET_FILE or JETON_AGENT_CLIENT_SECRET)")
	flags.StringVar(&f.listen, "listen", "", "loopback `ADDRESS`, or unix: and the path of a socket (environment: JETON_AGENT_LISTEN; default "+agent.DefaultListen+")")
	flags.BoolVar(&f.anywhere, "insecure-listen-anywhere", false, "allow an address that others can reach; needs a caller secret (environment: JETON_AGENT_INSECURE_LISTEN_ANYWHERE)")
	flags.StringVar(&f.callerFile, "caller-secret-file", "", "`FILE` with a secret that callers must show (environment: JETON_AGENT_CALLER_SECRET_FILE or JETON_AGENT_CALLER_SECRET)")
	flags.StringVar(&f.sharedKeys, "shared-keys-file", "", "`FILE` with the secrets of the ring that signs the API's tokens, from jeton ring export (environment: JETON_AGENT_SHARED_KEYS_FILE)")
	flags.StringSliceVar(&f.proxies, "trusted-proxies", nil, "`NETWORKS` of proxies, beside this machine, whose X-Forwarded-For is believed (environment: JETON_AGENT_TRUSTED_PROXIES)")
	flags.StringVar(&f.failMode, "fail-mode", "", "introspect, closed or open: what to do while the view is stale (environment: JETON_AGENT_FAIL_MODE; default introspect)")
	flags.DurationVar(&f.maxStaleness, "max-staleness", 0, "how long the revocation feed may be silent (environment: JETON_AGENT_MAX_STALENESS; default 2s)")
	flags.StringVar(&f.logFormat, "log-format", "", "json or text (environment: JETON_AGENT_LOG_FORMAT; default json)")
	return cmd
}

// agentConfig lays the flags over the environment, and reports all problems at
// once.
func (a *app) agentConfig(f agentFlags) (agent.Config, config.Log, error) {
	var problems []error
	note := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	c := agent.Config{
		Issuer:    cmp.Or(f.issuer, a.getenv("JETON_AGENT_ISSUER")),
		Audience:  cmp.Or(f.audience, a.getenv("JETON_AGENT_AUDIENCE")),
		PublicURL: cmp.Or(f.publicURL, a.getenv("JETON_AGENT_PUBLIC_URL")),
		ClientID:  cmp.Or(f.clientID, a.getenv("JETON_AGENT_CLIENT_ID")),
		Listen:    cmp.Or(f.listen, a.getenv("JETON_AGENT_LISTEN")),

		SharedKeysFile:         cmp.Or(f.sharedKeys, a.getenv("JETON_AGENT_SHARED_KEYS_FILE")),
		InsecureListenAnywhere: f.anywhere,
		MaxStaleness:           f.maxStaleness,
	}
	if text := a.getenv("JETON_AGENT_TRUSTED_PROXIES"); text != "" && len(f.proxies) == 0 {
		f.proxies = strings.Split(text, ",")
	}
	for _, text := range f.proxies {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			note(fmt.Errorf("trusted-proxies: %q is no network such as 10.0.0.0/8", text))
			continue
		}
		c.TrustedProxies = append(c.TrustedProxies, p)
	}
	var err error
	c.ClientSecret, err = a.secretOf(f.secretFile, "JETON_AGENT_CLIENT_SECRET")
	note(err)
	c.CallerSecret, err = a.secretOf(f.callerFile, "JETON_AGENT_CALLER_SECRET")
	note(err)
	c.FailMode, err = failMode(cmp.Or(f.failMode, a.getenv("JETON_AGENT_FAIL_MODE")))
	note(err)
	if text, ok := a.lookup("JETON_AGENT_MAX_STALENESS"); ok && f.maxStaleness == 0 {
		if c.MaxStaleness, err = time.ParseDuration(text); err != nil {
			note(errors.New("JETON_AGENT_MAX_STALENESS: is no duration such as 2s"))
		}
	}
	if text, ok := a.lookup("JETON_AGENT_INSECURE_LISTEN_ANYWHERE"); ok && !f.anywhere {
		if c.InsecureListenAnywhere, err = strconv.ParseBool(text); err != nil {
			note(errors.New("JETON_AGENT_INSECURE_LISTEN_ANYWHERE: is neither true nor false"))
		}
	}
	log := config.Log{Format: cmp.Or(f.logFormat, a.getenv("JETON_AGENT_LOG_FORMAT"), "json"), Level: slog.LevelInfo}
	if log.Format != "json" && log.Format != "text" {
		note(errors.New("log-format: is neither json nor text"))
	}
	return c, log, errors.Join(problems...)
}

func failMode(text string) (jeton.FailMode, error) {
	for _, mode := range []jeton.FailMode{jeton.Introspect, jeton.Closed, jeton.Open} {
		if text == mode.String() {
			return mode, nil
		}
	}
	if text == "" {
		return jeton.Introspect, nil
	}
	return 0, errors.New("fail-mode: is none of introspect, closed, open")
}

// secretOf reads a secret from the file a flag names, or from the environment:
// name holds it, name_FILE its file.
func (a *app) secretOf(file, name string) (secret.Value, error) {
	if file == "" {
		value, direct := a.lookup(name)
		if file = a.getenv(name + "_FILE"); file == "" || direct {
			if file != "" {
				return secret.Value{}, fmt.Errorf("%s: %s_FILE is set too", name, name)
			}
			return secret.New(value), nil
		}
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return secret.Value{}, err
	}
	text := strings.TrimSpace(string(content))
	if text == "" {
		return secret.Value{}, fmt.Errorf("file %s is empty", file)
	}
	return secret.New(text), nil
}
