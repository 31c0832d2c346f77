package server_test

import (
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/coordtest"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/spread"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwk/zookeeper"
	"github.com/jetonhq/jeton/revocation"
)

var byTest = keys.Why{Actor: authority.System, Reason: "test"}

// followRing follows a ring of the world's authority for the length of the test.
func (w *world) followRing(service *coordtest.Service, ring string, member *jwk.MemberKey) *zookeeper.Source {
	w.t.Helper()
	s, err := zookeeper.Follow(zookeeper.Config{Servers: []string{service.Address}, Issuer: w.issuer, Ring: ring, Member: member})
	must(w.t, err)
	w.t.Cleanup(func() { _ = s.Close() })
	return s
}

// published waits until a followed ring has this primary key.
func published(t *testing.T, s *zookeeper.Source, id string) {
	t.Helper()
	eventually(t, "the key is primary at the server", 30*time.Second, func() bool {
		p, ok := s.Publication()
		return ok && p.Primary == id
	})
}

// A guard that can reach ZooKeeper and not the authority's key set: it accepts the
// tokens of every rotation, and a rotation during an outage of ZooKeeper once that
// is over. Whatever happens to ZooKeeper, the authority serves.
func TestPublish_GuardFollowsZooKeeper(t *testing.T) {
	service := coordtest.ZooKeeper(t)
	w := newWorld(t, options{edit: func(c *config.Config) { c.Publish.ZooKeeper.Servers = []string{service.Address} }})
	source := w.followRing(service, "access", nil)
	c := w.guardConfig()
	c.Keys, c.JWKSURL = source, "http://127.0.0.1:1/jwks"
	c.Client = jeton.Credential{}
	g := guard(t, c)
	eventually(t, "the guard is ready", 30*time.Second, g.Ready)

	rotate := func() string {
		t.Helper()
		staged, err := w.parts.Keys.Stage(t.Context(), authority.RingAccess, "", byTest)
		must(t, err)
		_, err = w.parts.Keys.Activate(t.Context(), staged.ID, true, byTest)
		must(t, err)
		return staged.ID
	}
	tokens := []string{w.machine()}
	for range 3 {
		published(t, source, rotate())
		tokens = append(tokens, w.machine())
	}
	service.Kill()
	id := rotate()
	late := w.machine()
	if got := refusal(t, g, late); got == "" {
		t.Error("a key that the guard cannot have verifies")
	}
	service.Start()
	published(t, source, id)
	for i, token := range append(tokens, late) {
		if got := refusal(t, g, token); got != "" {
			t.Errorf("token %d is refused: %s", i, got)
		}
	}
	if w.gauge(`jeton_publish_failures{place="zookeeper/jeton"}`) != 0 {
		t.Error("publishing still fails")
	}
}

// A fleet's secrets reach its members through ZooKeeper, each rotation of them,
// and nobody else.
func TestPublish_FleetFollowsZooKeeper(t *testing.T) {
	service := coordtest.ZooKeeper(t)
	member, err := jwk.NewMemberKey()
	must(t, err)
	stranger, err := jwk.NewMemberKey()
	must(t, err)
	w := newWorld(t, options{edit: func(c *config.Config) {
		c.Publish.ZooKeeper.Servers = []string{service.Address}
		c.Publish.Members = []string{"fleet " + member.Member().String()}
	}})
	w.shares("fleet")
	source, other := w.followRing(service, "fleet", member), w.followRing(service, "fleet", stranger)
	c := w.guardConfig()
	c.SharedKeys = source
	g := guard(t, c)
	eventually(t, "the guard is ready", 30*time.Second, g.Ready)
	first := w.machine()
	published(t, source, header(t, first).Kid)
	staged, err := w.parts.Keys.Stage(t.Context(), "fleet", "", byTest)
	must(t, err)
	eventually(t, "the secondary is at the server", 30*time.Second, func() bool {
		_, err := source.Keys(t.Context(), staged.ID)
		return err == nil
	})
	_, err = w.parts.Keys.Activate(t.Context(), staged.ID, true, byTest)
	must(t, err)
	second := w.machine()
	if header(t, second).Kid != staged.ID {
		t.Fatal("the secret has not changed")
	}
	for what, token := range map[string]string{"of the old secret": first, "of the new secret": second} {
		if got := refusal(t, g, token); got != "" {
			t.Errorf("a token %s is refused: %s", what, got)
		}
	}
	published(t, source, staged.ID)
	if _, ok := other.Publication(); ok {
		t.Error("somebody who is no member has the secrets")
	}
}

// BenchmarkKeyRing_Feed is the time from the answer of a step of the access ring
// until a hundred followers of the feed can verify with its keys. The same over
// coordination services: internal/publish and jwk/etcd.
func BenchmarkKeyRing_Feed(b *testing.B) {
	w := newWorld(b, options{})
	const watchers = 100
	arrivals := make(chan time.Time, watchers)
	clients := overHTTP1(b)
	for range watchers {
		s := w.mustSubscribe(clients, w.origin, "")
		_, err := s.next() // what there is
		must(b, err)
		go func() {
			for {
				m, err := s.next()
				if err != nil {
					return
				}
				for _, e := range m.Entries {
					if set, err := jwk.ParseSet(e.Data); e.Kind == revocation.KeyRing && err == nil && set.Len() > 0 {
						arrivals <- time.Now()
					}
				}
			}
		}()
	}
	var all []time.Duration
	for b.Loop() {
		key, err := jwk.Generate(jwk.ES256)
		must(b, err)
		_, err = w.parts.Keys.Import(b.Context(), authority.RingAccess, key, byTest)
		must(b, err)
		answered := time.Now()
		for range watchers {
			all = append(all, max(0, (<-arrivals).Sub(answered)))
		}
	}
	spread.Of(all).Report(b)
	b.ReportMetric(0, "ns/op")
}
