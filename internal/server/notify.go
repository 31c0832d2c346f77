package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jetonhq/jeton/internal/notify"
)

// openNotify makes what carries events out. It begins once everything is open.
func (s *Server) openNotify() error {
	sealer := s.sealing.Sealer()
	s.webhooks = notify.NewWebhooks(notify.WebhooksConfig{Store: s.store, Sealer: sealer, Now: s.now, Logger: s.log})
	logout := notify.NewLogout(notify.LogoutConfig{
		Store: s.store, Client: s.store.Client, Token: s.tokens.LogoutToken, AllowPrivate: s.cfg.Notify.PrivateLogout,
	})
	channels := []notify.Channel{s.webhooks, logout}
	var err error
	if s.mail, err = s.openMail(); err != nil {
		return err
	}
	if s.mail != nil {
		channels = append(channels, s.mail)
	}
	s.notify, err = notify.New(notify.Config{
		Store: s.store, Sealer: sealer, Now: s.now, Logger: s.log, Channels: channels,
		Timeout: s.cfg.Notify.Timeout, GiveUp: s.cfg.Notify.GiveUp, Keep: s.cfg.Notify.Keep, Observe: s.metrics.delivery, Traces: s.traces,
	})
	return err
}

// untilDrain is ctx, and ends when draining begins.
func (s *Server) untilDrain(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-s.stopping:
		case <-ctx.Done():
		}
	}()
	return ctx
}

// statsPatience bounds what one scrape asks the store.
const statsPatience = 2 * time.Second

// waiting is what there is to send, asked at each scrape.
type waiting struct{ s *Server }

var (
	pendingDesc = prometheus.NewDesc("jeton_deliveries_pending", "Deliveries that were not made yet.", nil, nil)
	oldestDesc  = prometheus.NewDesc("jeton_deliveries_oldest_seconds", "Age of the oldest of them; 0 when there is none.", nil, nil)
)

// Describe implements prometheus.Collector.
func (waiting) Describe(descs chan<- *prometheus.Desc) {
	descs <- pendingDesc
	descs <- oldestDesc
}

// Collect implements prometheus.Collector. A store that does not answer leaves
// the two out.
func (w waiting) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), statsPatience)
	defer cancel()
	stats, err := w.s.store.DeliveryStats(ctx)
	if err != nil {
		w.s.log.WarnContext(ctx, "delivery statistics not read", "error", err)
		return
	}
	var age float64
	if !stats.Oldest.IsZero() {
		age = max(0, w.s.now().Sub(stats.Oldest).Seconds())
	}
	metrics <- prometheus.MustNewConstMetric(pendingDesc, prometheus.GaugeValue, float64(stats.Pending))
	metrics <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, age)
}
