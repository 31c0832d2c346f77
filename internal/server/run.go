package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/jetonhq/jeton/internal/config"
)

// Limits of connections. A body's own deadline is set by the handler that
// reads it; streams of the feed have none.
const (
	headerPatience = 10 * time.Second
	idlePatience   = 3 * time.Minute // longer than proxies keep an idle connection, so that they close it, and not we under their request
	maxHeader      = 64 << 10
)

// Run opens a server for cfg and serves until ctx is done. Then it goes on for
// cfg.Shutdown.Notice, while its readiness says no, and drains what is being
// answered, for at most cfg.Shutdown.Drain.
func Run(ctx context.Context, cfg config.Config, opts Options) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	public, manage, err := listen(ctx, cfg.Listen.Address, cfg.Manage.Address)
	if err != nil {
		return err
	}
	s, err := Open(ctx, cfg, opts)
	if err != nil {
		return errors.Join(err, public.Close(), manage.Close())
	}
	s.log.InfoContext(ctx, "serving", "issuer", cfg.Issuer, "listen", public.Addr().String(), "manage", manage.Addr().String())
	return errors.Join(s.Serve(ctx, public, manage), s.Close())
}

// listen takes the sockets that systemd has opened, if any, and opens the rest.
func listen(ctx context.Context, publicAddr, manageAddr string) (public, manage net.Listener, err error) {
	given, err := activated(os.Getenv, firstActivated)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, given.close())
		}
	}()
	if public, err = given.take(ctx, publicSocket, publicAddr); err != nil {
		return nil, nil, fmt.Errorf("server: listen: %w", err)
	}
	if manage, err = given.take(ctx, manageSocket, manageAddr); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("server: listen for management: %w", err), public.Close())
	}
	if len(given) > 0 {
		return nil, nil, errors.Join(fmt.Errorf("server: sockets were handed over that are named neither %s nor %s: set FileDescriptorName in the socket unit", publicSocket, manageSocket), public.Close(), manage.Close())
	}
	return public, manage, nil
}

// site is a handler on a listener.
type site struct {
	name    string
	ln      net.Listener
	handler http.Handler
	tls     bool
}

// Serve answers on both listeners until ctx is done or one of them fails, then
// drains. It closes the listeners.
func (s *Server) Serve(ctx context.Context, public, manage net.Listener) error {
	return s.serve(ctx,
		site{"public", public, s.public, s.cfg.Listen.TLS.CertFile != ""},
		site{"management", manage, s.manage, false})
}

func (s *Server) serve(ctx context.Context, sites ...site) error {
	failed := make(chan error, len(sites))
	servers := make([]*http.Server, len(sites))
	for i, at := range sites {
		srv, err := s.httpServer(at)
		if err != nil {
			return err
		}
		servers[i] = srv
		go func() {
			var err error
			if at.tls {
				err = srv.ServeTLS(at.ln, "", "")
			} else {
				err = srv.Serve(at.ln)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("server: %s listener: %w", at.name, err)
			}
		}()
	}
	var err error
	select {
	case <-ctx.Done():
		s.log.InfoContext(ctx, "stopping; requests under way are finished first")
		s.Drain()
		select {
		case <-time.After(s.cfg.Shutdown.Notice):
		case err = <-failed:
		}
	case err = <-failed:
	}
	s.Drain()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Shutdown.Drain)
	defer cancel()
	for _, srv := range servers {
		if e := srv.Shutdown(drain); e != nil {
			err = errors.Join(err, fmt.Errorf("server: requests were cut off after %v: %w", s.cfg.Shutdown.Drain, e), srv.Close())
		}
	}
	return err
}

func (s *Server) httpServer(at site) (*http.Server, error) {
	srv := &http.Server{
		Handler: at.handler, ReadHeaderTimeout: headerPatience, IdleTimeout: idlePatience, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	if at.tls {
		cert, err := loadCertificate(s.cfg.Listen.TLS, s.log)
		if err != nil {
			return nil, err
		}
		srv.TLSConfig = cert.config()
		return srv, nil
	}
	// Behind a proxy HTTP/2 comes without TLS.
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	return srv, nil
}
