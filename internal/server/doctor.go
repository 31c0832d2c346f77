package server

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/store/redis"
)

// writeSamples is how many durable writes a diagnosis makes.
const writeSamples = 5

// Diagnose says how this server is, for `jeton doctor`.
func (s *Server) Diagnose(ctx context.Context) (admin.Diagnosis, error) {
	d := admin.Diagnosis{Time: s.now(), Publications: []admin.Publication{}}
	if err := s.ready(ctx); err != nil {
		d.NotReady = err.Error()
	}
	for range writeSamples {
		start := time.Now()
		if err := s.store.Ready(ctx, s.now()); err != nil {
			break // NotReady says it
		}
		d.StoreWrite = max(d.StoreWrite, admin.Duration(time.Since(start)))
	}
	var err error
	if d.Metadata, err = s.served(ctx, "/.well-known/openid-configuration"); err != nil {
		return d, err
	}
	if d.JWKS, err = s.served(ctx, "/jwks"); err != nil {
		return d, err
	}
	stats, err := s.store.DeliveryStats(ctx)
	if err != nil {
		return d, fmt.Errorf("delivery statistics: %w", err)
	}
	if d.Pending = stats.Pending; !stats.Oldest.IsZero() {
		d.OldestWaits = admin.Duration(s.now().Sub(stats.Oldest).Round(time.Second))
	}
	if s.publishing != nil {
		for _, p := range s.publishing.Status() {
			d.Publications = append(d.Publications, admin.Publication{Place: p.Place, Failures: p.Failures, Complete: p.Complete})
		}
	}
	if r, ok := s.store.(*redis.Store); ok && d.NotReady == "" {
		servers, err := r.Servers(ctx)
		if err != nil {
			return d, err
		}
		for _, v := range servers {
			d.Registry = append(d.Registry, admin.Registry{
				Address: v.Address, Version: v.Version, Eviction: v.Policy, AppendOnly: v.AOF, Fsync: v.Fsync, Replicas: v.Replicas,
			})
		}
	}
	return d, nil
}

// served is a public document as this process serves it, without any network.
func (s *Server) served(ctx context.Context, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.cfg.Issuer+path, nil)
	if err != nil {
		return "", err
	}
	w := &inside{header: make(http.Header), status: http.StatusOK}
	s.public.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		return "", fmt.Errorf("%s is answered with %d", path, w.status)
	}
	return w.body.String(), nil
}

// inside is an answer that stays in the process.
type inside struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *inside) Header() http.Header         { return w.header }
func (w *inside) WriteHeader(status int)      { w.status = status }
func (w *inside) Write(b []byte) (int, error) { return w.body.Write(b) }
