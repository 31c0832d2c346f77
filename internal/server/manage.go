package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/jetonhq/jeton/internal/endpoint/adminapi"
)

// readyPatience bounds one readiness probe.
const readyPatience = 2 * time.Second

// manageHandler serves the management listener: health, metrics and, when there
// is an admin token, the admin API.
func (s *Server) manageHandler() (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", s.health)
	mux.HandleFunc("GET /healthz", s.health)
	mux.Handle("GET /metrics", s.metrics.handler())
	if !s.cfg.Manage.AdminToken.Empty() {
		api, err := adminapi.New(adminapi.Config{
			Token: s.cfg.Manage.AdminToken, Previous: s.cfg.Manage.AdminTokenPrevious, Sealing: s.sealing, Keys: s.rings, Feed: s.feed, Accounts: s.accounts, Clients: s.clients, Tokens: s.tokens, Mint: s.mint, Provision: s.provisioner(), Policies: s.policies,
			Webhooks: s.webhooks, Notify: s.notify, Deliveries: s.store,
			Grants: s.store, Events: s.records, Mail: s.mail, Examined: s, Logger: s.log, Now: s.now,
		})
		if err != nil {
			return nil, err
		}
		mux.Handle("/admin/v1/", api)
	}
	return s.outermost(mux), nil
}

// health exercises the serving path: a write to the store that is read back,
// and a view that is up to date. A node that drains is not ready.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	if err := s.ready(r.Context()); err != nil {
		s.log.WarnContext(r.Context(), "not ready", "error", err)
		answer(w, http.StatusServiceUnavailable, map[string]string{"status": "unavailable", "reason": err.Error()})
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Server) ready(ctx context.Context) error {
	select {
	case <-s.stopping:
		return fmt.Errorf("stopping")
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	if err := s.store.Ready(ctx, s.now()); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if lag := s.feed.View().Lag(); lag > 4*s.cfg.Feed.Heartbeat {
		return fmt.Errorf("the revocation log was last read %v ago", lag.Round(time.Millisecond))
	}
	return nil
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
