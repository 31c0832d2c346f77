package bffserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jetonhq/jeton/bff"
)

// Limits of connections.
const (
	headerPatience = 10 * time.Second
	idlePatience   = 2 * time.Minute
	drainPatience  = 10 * time.Second
	maxHeader      = 64 << 10
)

// Server is an app with its listeners' handlers.
type Server struct {
	cfg    Config
	log    *slog.Logger
	app    *bff.App
	public http.Handler
	manage http.Handler
}

// New checks the configuration and opens the sessions. It waits for nothing:
// the process may start before the authority.
func New(cfg Config, log *slog.Logger) (*Server, error) {
	settings, err := cfg.app()
	if err != nil {
		return nil, err
	}
	settings.Logger = log
	app, err := bff.New(settings)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: log, app: app}
	m := newMetrics(app)
	public := http.NewServeMux()
	public.Handle(cfg.Path+"/", m.counted("own", app))
	for path := range cfg.Upstreams {
		public.Handle(path, m.counted(path, app))
	}
	if cfg.Static.Dir != "" {
		files, err := newStatic(cfg)
		if err != nil {
			return nil, fmt.Errorf("static.dir: %w", err)
		}
		public.Handle("/", m.counted("static", files))
	}
	manage := http.NewServeMux()
	for _, path := range []string{"GET /livez", "GET /readyz"} { // there is nothing that it waits for
		manage.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"status":"ok"}`+"\n")
		})
	}
	manage.Handle("GET /metrics", m.handler())
	s.public, s.manage = public, manage
	return s, nil
}

// Run serves until ctx is done, then finishes what is under way, for at most ten
// seconds, and waits for refreshes, so that none is lost.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	s, err := New(cfg, log)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("bff: listen: %w", err)
	}
	manage, err := lc.Listen(ctx, "tcp", cfg.Manage)
	if err != nil {
		return errors.Join(fmt.Errorf("bff: listen for management: %w", err), public.Close())
	}
	return errors.Join(s.Serve(ctx, public, manage), s.app.Close())
}

// Serve answers on both listeners until ctx is done or one of them fails, then
// drains. It closes the listeners.
func (s *Server) Serve(ctx context.Context, public, manage net.Listener) error {
	s.log.InfoContext(ctx, "serving a browser app", "issuer", s.cfg.Issuer, "listen", public.Addr().String(), "manage", manage.Addr().String(),
		"redirect_uri", s.app.RedirectURI(), "post_logout_redirect_uri", s.app.SignedOutURI(), "backchannel_logout_uri", s.app.BackChannelURI())
	if s.cfg.Sessions.Dir == "" {
		s.log.WarnContext(ctx, "sessions are kept in memory: everybody has to sign in again after a restart (sessions.dir keeps them)")
	}
	servers := []*http.Server{s.httpServer(s.public), s.httpServer(s.manage)}
	failed := make(chan error, len(servers))
	for i, ln := range []net.Listener{public, manage} {
		go func() { failed <- servers[i].Serve(ln) }()
	}
	var err error
	select {
	case failure := <-failed:
		err = fmt.Errorf("bff: serve: %w", failure)
	case <-ctx.Done():
		s.log.InfoContext(ctx, "stopping; requests under way are finished first")
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainPatience)
	defer cancel()
	for _, srv := range servers {
		if e := srv.Shutdown(drain); e != nil {
			err = errors.Join(err, fmt.Errorf("bff: requests were cut off after %v: %w", drainPatience, e), srv.Close())
		}
	}
	return err
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headerPatience, IdleTimeout: idlePatience, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	return srv
}
