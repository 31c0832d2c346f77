// Command jeton is the token authority: the server, and the commands that
// administer it.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jetonhq/jeton/internal/agent"
	"github.com/jetonhq/jeton/internal/bffserver"
	"github.com/jetonhq/jeton/internal/cli"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/internal/traces"
)

func main() {
	os.Exit(run())
}

// run stops in order at the first interrupt. A second one ends the process at
// once.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	streams := cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ()}
	return cli.Run(ctx, os.Args[1:], streams, cli.Commands{Dev: dev, Serve: serve, Agent: check, BFF: front})
}

func dev(ctx context.Context, o cli.DevOptions) error {
	return server.Dev(ctx, server.DevOptions{
		Listen: o.Listen, APIListen: o.APIListen, ManageListen: o.ManageListen, Data: o.Data, Stdout: o.Stdout,
		Logger: logger(os.Stderr, config.Log{Format: "text", Level: slog.LevelInfo}),
	})
}

func serve(ctx context.Context, c config.Config) error {
	log := logger(os.Stderr, c.Log)
	spans, err := traces.Open(ctx, os.Getenv, log)
	if err != nil {
		return err
	}
	err = server.Run(ctx, c, server.Options{Logger: log, Traces: spans})
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, spans.Close(last))
}

func check(ctx context.Context, c agent.Config, log config.Log) error {
	return agent.Run(ctx, c, logger(os.Stderr, log))
}

func front(ctx context.Context, c bffserver.Config) error {
	return bffserver.Run(ctx, c, logger(os.Stderr, c.Log))
}

func logger(w io.Writer, c config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "text" {
		return slog.New(server.WithRequestID(slog.NewTextHandler(w, options)))
	}
	return slog.New(server.WithRequestID(slog.NewJSONHandler(w, options)))
}
