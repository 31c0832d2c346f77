package server

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/publish"
	"github.com/jetonhq/jeton/internal/publish/etcd"
	"github.com/jetonhq/jeton/internal/publish/zookeeper"
)

// publisher makes what writes the key rings to the configured coordination
// services, nil if there are none. None of them has to be up.
func (s *Server) publisher() (_ *publish.Publisher, err error) {
	members, err := s.cfg.Publish.MembersByRing()
	if err != nil {
		return nil, fmt.Errorf("publish.members: %w", err)
	}
	var places []publish.Place
	defer func() {
		if err != nil {
			for _, p := range places {
				err = errors.Join(err, p.Close())
			}
		}
	}()
	for _, open := range []func(config.Publish) (publish.Place, error){openZooKeeper, openEtcd} {
		place, err := open(s.cfg.Publish)
		if err != nil {
			return nil, fmt.Errorf("publish: %w", err)
		}
		if place != nil {
			places = append(places, place)
		}
	}
	if len(places) == 0 {
		return nil, nil
	}
	p := publish.New(publish.Config{
		Issuer: s.cfg.Issuer, Rings: s.rings, Places: places, Members: members, Now: s.now, Logger: s.log,
	})
	s.metrics.registry.MustRegister(publications{p})
	return p, nil
}

func openZooKeeper(c config.Publish) (publish.Place, error) {
	z := c.ZooKeeper
	if len(z.Servers) == 0 {
		return nil, nil
	}
	secure, err := z.ClientTLS()
	if err != nil {
		return nil, err
	}
	return zookeeper.Open(zookeeper.Config{Servers: z.Servers, Path: z.Path, User: z.User, Password: z.Password.Reveal(), TLS: secure})
}

func openEtcd(c config.Publish) (publish.Place, error) {
	e := c.Etcd
	if len(e.Endpoints) == 0 {
		return nil, nil
	}
	secure, err := e.ClientTLS()
	if err != nil {
		return nil, err
	}
	return etcd.Open(etcd.Config{Endpoints: e.Endpoints, Prefix: e.Prefix, User: e.User, Password: e.Password.Reveal(), TLS: secure})
}

// publications tells how it goes with the coordination services.
type publications struct{ publisher *publish.Publisher }

var (
	publishedDocuments = prometheus.NewDesc("jeton_publish_documents_total", "Key rings written to a coordination service since start.", []string{"place"}, nil)
	publishedFailures  = prometheus.NewDesc("jeton_publish_failures", "Attempts in a row that failed; 0 when all is well.", []string{"place"}, nil)
	publishedComplete  = prometheus.NewDesc("jeton_publish_complete_timestamp_seconds", "When the service was last known to hold every ring as it is.", []string{"place"}, nil)
)

// Describe implements prometheus.Collector.
func (publications) Describe(out chan<- *prometheus.Desc) {
	out <- publishedDocuments
	out <- publishedFailures
	out <- publishedComplete
}

// Collect implements prometheus.Collector.
func (p publications) Collect(out chan<- prometheus.Metric) {
	for _, s := range p.publisher.Status() {
		out <- prometheus.MustNewConstMetric(publishedDocuments, prometheus.CounterValue, float64(s.Written), s.Place)
		out <- prometheus.MustNewConstMetric(publishedFailures, prometheus.GaugeValue, float64(s.Failures), s.Place)
		if !s.Complete.IsZero() {
			out <- prometheus.MustNewConstMetric(publishedComplete, prometheus.GaugeValue, float64(s.Complete.Unix()), s.Place)
		}
	}
}
