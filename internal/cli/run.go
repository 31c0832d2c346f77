package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/internal/agent"
	"github.com/jetonhq/jeton/internal/bffserver"
	"github.com/jetonhq/jeton/internal/config"
)

// Streams is the world around the command.
type Streams struct {
	In      io.Reader // prompts appear when it is a terminal
	Out     io.Writer
	Err     io.Writer
	Environ []string // as os.Environ gives it
}

// Commands are the long-running ones, which live above this package. One that
// is nil does not exist.
type Commands struct {
	Dev   func(context.Context, DevOptions) error
	Serve func(context.Context, config.Config) error
	Agent func(context.Context, agent.Config, config.Log) error
	BFF   func(context.Context, bffserver.Config) error
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errFailed ends a command with exit code 1 after its output has said why.
var errFailed = errors.New("failed")

// app is one run of the command.
type app struct {
	Streams
	commands Commands
	began    bool // the command line made sense

	connection connection
	json       bool
	reason     string
}

// Run executes the command line args, without the program's name, and returns
// the exit code.
func Run(ctx context.Context, args []string, s Streams, c Commands) int {
	a := &app{Streams: s, commands: c}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	cmd, err := root.ExecuteContextC(ctx)
	return a.finish(cmd, err)
}

func (a *app) finish(cmd *cobra.Command, err error) int {
	_, usage := errors.AsType[usageError](err)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFailed):
		return exitFailed
	case usage, !a.began:
		a.complain(err)
		a.say("Run '%s --help' for how to call it.\n", cmd.CommandPath())
		return exitUsage
	default:
		a.complain(err)
		return exitFailed
	}
}

// complain prints an error that may have several lines, one problem each.
func (a *app) complain(err error) {
	for line := range strings.Lines(err.Error()) {
		a.say("jeton: %s\n", printable(strings.TrimSuffix(line, "\n")))
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "jeton",
		Short:         "A token authority: signs people and programs in, issues tokens, and takes them back",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	if a.commands.Dev != nil {
		root.AddCommand(a.devCommand())
	}
	if a.commands.Serve != nil {
		root.AddCommand(a.serveCommand())
	}
	if a.commands.Agent != nil {
		root.AddCommand(a.agentCommand())
	}
	if a.commands.BFF != nil {
		root.AddCommand(a.bffCommand())
	}
	root.AddCommand(
		a.configCommand(), a.accountCommand(), a.clientCommand(), a.resourceCommand(), a.policyCommand(), a.webhookCommand(), a.deliveryCommand(), a.sealCommand(), a.keyCommand(), a.ringCommand(), a.sessionCommand(),
		a.grantCommand(), a.consentCommand(), a.tokenCommand(), a.mintCommand(), a.eventCommand(), a.mailCommand(), a.applyCommand(), a.backupCommand(), a.restoreCommand(), a.migrateCommand(), a.storeCommand(), a.doctorCommand(), a.healthcheckCommand(), a.versionCommand(),
	)
	return root
}

// body is what a command does.
type body func(ctx context.Context, args []string) error

// command makes a command of its usage line, whose first word is the name.
func (a *app) command(use, short string, args cobra.PositionalArgs, run body) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.began = true
			return run(cmd.Context(), args)
		},
	}
}

// group makes a command that only has others below it.
func (a *app) group(name, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q below %q", args[0], cmd.CommandPath())
			}
			cmd.SetOut(a.Err)
			if err := cmd.Help(); err != nil {
				return err
			}
			return usagef("%q needs a command", cmd.CommandPath())
		},
	}
	cmd.AddCommand(below...)
	return cmd
}
