package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// Limits of connections.
const (
	headerPatience = 10 * time.Second
	idlePatience   = 2 * time.Minute
	drainPatience  = 10 * time.Second
	maxHeader      = 64 << 10
)

// socketMode lets the group ask, and nobody else.
const socketMode = 0o660

// Run serves until ctx is done, then answers what is under way, for at most
// ten seconds, and stops the guard.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	a, err := New(cfg, log)
	if err != nil {
		return err
	}
	ln, err := listen(ctx, a.cfg)
	if err != nil {
		return errors.Join(err, a.Close())
	}
	return errors.Join(a.Serve(ctx, ln), a.Close())
}

// Serve answers on ln until ctx is done or ln fails, then drains. It closes ln.
func (a *Agent) Serve(ctx context.Context, ln net.Listener) error {
	if a.cfg.InsecureListenAnywhere {
		a.log.WarnContext(ctx, "listening where others can reach it: tokens cross the network in the clear", "listen", ln.Addr().String())
	}
	a.log.InfoContext(ctx, "checking tokens", "issuer", a.cfg.Issuer, "audience", a.cfg.Audience, "listen", ln.Addr().String())
	srv := &http.Server{
		Handler: a.handler, ReadHeaderTimeout: headerPatience, IdleTimeout: idlePatience, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("agent: serve: %w", err)
	case <-ctx.Done():
	}
	a.log.InfoContext(ctx, "stopping; questions under way are answered first")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainPatience)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("agent: questions were cut off after %v: %w", drainPatience, err), srv.Close())
	}
	return nil
}

func listen(ctx context.Context, cfg Config) (net.Listener, error) {
	var lc net.ListenConfig
	path, unix := strings.CutPrefix(cfg.Listen, unixPrefix)
	if !unix {
		ln, err := lc.Listen(ctx, "tcp", cfg.Listen)
		if err != nil {
			return nil, fmt.Errorf("agent: listen: %w", err)
		}
		// "localhost" is whatever the machine's name service says it is.
		if at, ok := ln.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() && !cfg.InsecureListenAnywhere {
			return nil, errors.Join(errors.New("agent: listen: the address is not a loopback address after all"), ln.Close())
		}
		return ln, nil
	}
	if err := clearSocket(ctx, path); err != nil {
		return nil, err
	}
	ln, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("agent: listen: %w", err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("agent: listen: %w", err), ln.Close())
	}
	return ln, nil
}

// clearSocket removes what a killed agent left behind, and nothing else.
func clearSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("agent: listen: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("agent: listen: %s exists and is no socket", path)
	}
	var d net.Dialer
	if conn, err := d.DialContext(ctx, "unix", path); err == nil {
		return errors.Join(fmt.Errorf("agent: listen: somebody answers at %s", path), conn.Close())
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("agent: listen: %w", err)
	}
	return nil
}
