package publish_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/coordtest"
	"github.com/jetonhq/jeton/internal/faultproxy"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/publish"
	"github.com/jetonhq/jeton/internal/publish/etcd"
	"github.com/jetonhq/jeton/internal/publish/zookeeper"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/jwk"
	follow "github.com/jetonhq/jeton/jwk/zookeeper"
)

const (
	issuer = "https://id.example.com"
	fleet  = "fleet" // a ring of shared secrets
)

var operator = keys.Why{Actor: authority.Actor{Kind: "admin", ID: "test"}, Reason: "test"}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after 40 s: %s", what)
		}
	}
}

// node is an authority as far as keys go.
type node struct {
	t     testing.TB
	rings *keys.Rings
}

// open opens the rings of a database of its own.
func open(t testing.TB, path string, sealer *secret.Sealer) *node {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return join(t, store, sealer)
}

// join opens another node's rings over a store.
func join(t testing.TB, store authority.Store, sealer *secret.Sealer) *node {
	t.Helper()
	rings, err := keys.Open(t.Context(), keys.Config{Store: store, Sealer: sealer})
	must(t, err)
	return &node{t, rings}
}

func newSealer(t testing.TB) *secret.Sealer {
	t.Helper()
	s, err := secret.NewSealer(secret.Bytes(32))
	must(t, err)
	return s
}

// rotate puts another key in charge of a ring, and returns its id.
func (n *node) rotate(ring string) string {
	n.t.Helper()
	alg := jwk.ES256
	if ring == fleet {
		alg = jwk.HS256
	}
	staged, err := n.rings.Stage(n.t.Context(), ring, alg, operator)
	must(n.t, err)
	active, err := n.rings.Activate(n.t.Context(), staged.ID, true, operator)
	must(n.t, err)
	return active.ID
}

// publish runs a publisher for the length of the test, or until stop.
func (n *node) publish(c publish.Config) (p *publish.Publisher, stop func()) {
	n.t.Helper()
	c.Issuer, c.Rings = issuer, n.rings
	if c.Recheck == 0 {
		c.Recheck = time.Hour // changes alone count
	}
	p = publish.New(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		p.Run(ctx)
		close(done)
	}()
	stop = func() {
		cancel()
		<-done
	}
	n.t.Cleanup(stop)
	return p, stop
}

// watched is a place, a service behind it, and a look at what is in it.
type watched struct {
	service *coordtest.Service
	at      func(address string) publish.Place
}

func (w *watched) open() publish.Place { return w.at(w.service.Address) }

func (w *watched) read(t testing.TB, ring string) (document []byte) {
	t.Helper()
	p := w.open()
	defer func() { _ = p.Close() }()
	eventually(t, "the place answers", func() bool {
		return p.Update(t.Context(), ring, func(present []byte) ([]byte, error) {
			document = present
			return nil, nil
		}) == nil
	})
	return document
}

func (w *watched) head(t testing.TB, ring string) jwk.PublicationHead {
	t.Helper()
	head, _ := jwk.ParsePublicationHead(w.read(t, ring))
	return head
}

func (w *watched) write(t testing.TB, ring string, document []byte) {
	t.Helper()
	p := w.open()
	defer func() { _ = p.Close() }()
	eventually(t, "the place answers", func() bool {
		return p.Update(t.Context(), ring, func([]byte) ([]byte, error) { return document, nil }) == nil
	})
}

// each runs a test against both services.
func each(t *testing.T, test func(t *testing.T, w *watched)) {
	t.Run("zookeeper", func(t *testing.T) {
		s := coordtest.ZooKeeper(t)
		test(t, &watched{s, func(address string) publish.Place {
			p, err := zookeeper.Open(zookeeper.Config{Servers: []string{address}, Path: "/apps/jeton"})
			must(t, err)
			return p
		}})
	})
	t.Run("etcd", func(t *testing.T) {
		s := coordtest.Etcd(t)
		test(t, &watched{s, func(address string) publish.Place {
			p, err := etcd.Open(etcd.Config{Endpoints: []string{"http://127.0.0.1:1", "http://" + address}, Prefix: "/apps/jeton"})
			must(t, err)
			return p
		}})
	})
}

func TestPublish_RotationsAndOutage(t *testing.T) {
	each(t, func(t *testing.T, w *watched) {
		n := open(t, filepath.Join(t.TempDir(), "jeton.db"), newSealer(t))
		p, _ := n.publish(publish.Config{Places: []publish.Place{w.open()}})
		eventually(t, "the ring is there", func() bool { return w.head(t, "access").Primary != "" })

		first := w.head(t, "access")
		id := n.rotate("access")
		eventually(t, "the rotation is there", func() bool { return w.head(t, "access").Primary == id })
		if second := w.head(t, "access"); second.Version <= first.Version || len(second.KeyIDs) != 2 || second.KeyIDs[1] != first.Primary {
			t.Errorf("after the rotation: %+v, before: %+v", second, first)
		}

		w.service.Kill()
		missed := n.rotate("access")
		eventually(t, "the failure is told", func() bool { return p.Status()[0].Failures > 0 && p.Status()[0].LastError != nil })
		w.service.Start()
		eventually(t, "the rotation of during the outage is there", func() bool { return w.head(t, "access").Primary == missed })
		eventually(t, "that is told too", func() bool { return p.Status()[0].Failures == 0 })
	})
}

// Nothing passes between the authority and the service for a while, and nobody is
// told. The last of the rotations of that time is there afterwards.
func TestPublish_Partition(t *testing.T) {
	each(t, func(t *testing.T, w *watched) {
		link := faultproxy.New(t, w.service.Address)
		n := open(t, filepath.Join(t.TempDir(), "jeton.db"), newSealer(t))
		p, _ := n.publish(publish.Config{Places: []publish.Place{w.at(link.Address)}})
		eventually(t, "the ring is there", func() bool { return w.head(t, "access").Primary != "" })
		before := w.head(t, "access")
		link.Stall()
		n.rotate("access")
		last := n.rotate("access")
		eventually(t, "the failure is told", func() bool { return p.Status()[0].Failures > 0 })
		if now := w.head(t, "access"); now.Version != before.Version {
			t.Fatalf("version %d came through a cut link", now.Version)
		}
		link.Reset()
		eventually(t, "the last rotation is there", func() bool { return w.head(t, "access").Primary == last })
		if after := w.head(t, "access"); after.Version <= before.Version {
			t.Errorf("version %d after %d", after.Version, before.Version)
		}
	})
}

// Somebody meddles with the node, or deletes what is in it.
func TestPublish_RepairsWhatOthersBroke(t *testing.T) {
	each(t, func(t *testing.T, w *watched) {
		n := open(t, filepath.Join(t.TempDir(), "jeton.db"), newSealer(t))
		n.publish(publish.Config{Places: []publish.Place{w.open()}, Recheck: 50 * time.Millisecond})
		eventually(t, "the ring is there", func() bool { return w.head(t, "access").Primary != "" })
		good := w.head(t, "access")
		stranger, err := jwk.Generate(jwk.ES256)
		must(t, err)
		forged, err := jwk.Publication{Issuer: issuer, Ring: "access", Version: 1000, Primary: stranger.ID(), Keys: []*jwk.Key{stranger}, Time: time.Now()}.Encode()
		must(t, err)
		for _, bad := range [][]byte{forged, []byte("nonsense")} {
			w.write(t, "access", bad)
			eventually(t, "the ring is as it should be", func() bool { return w.head(t, "access").Primary == good.Primary })
		}
	})
}

// Many nodes publish at once: every rotation ends with the same, and the version
// at the place only rises.
func TestPublish_ManyNodes(t *testing.T) {
	each(t, func(t *testing.T, w *watched) {
		store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
		must(t, err)
		t.Cleanup(func() { _ = store.Close() })
		sealer := newSealer(t)
		var nodes []*node
		for range 3 {
			n := join(t, store, sealer)
			n.publish(publish.Config{Places: []publish.Place{w.open()}, Recheck: 20 * time.Millisecond})
			nodes = append(nodes, n)
		}
		var version uint64
		for i := range 12 {
			id := nodes[i%3].rotate("access")
			eventually(t, "the rotation is there", func() bool {
				head := w.head(t, "access")
				if head.Version < version {
					t.Fatalf("version %d after %d", head.Version, version)
				}
				version = head.Version
				return head.Primary == id
			})
		}
	})
}

// A backup was restored: the authority knows less than the place. What it has is
// published all the same, under a version that followers accept.
func TestPublish_RestoredBackup(t *testing.T) {
	each(t, func(t *testing.T, w *watched) {
		dir, sealer := t.TempDir(), newSealer(t)
		n := open(t, filepath.Join(dir, "new.db"), sealer)
		_, stop := n.publish(publish.Config{Places: []publish.Place{w.open()}})
		var id string
		for range 5 {
			id = n.rotate("access")
		}
		eventually(t, "the rotations are there", func() bool { return w.head(t, "access").Primary == id })
		stop()
		before := w.head(t, "access")

		old := open(t, filepath.Join(dir, "old.db"), sealer)
		old.publish(publish.Config{Places: []publish.Place{w.open()}})
		signer, err := old.rings.AccessSigner()
		must(t, err)
		eventually(t, "the restored ring is there", func() bool { return w.head(t, "access").Primary == signer.ID() })
		if after := w.head(t, "access"); after.Version <= before.Version {
			t.Errorf("version %d after %d: followers would not take it", after.Version, before.Version)
		}
	})
}

// Shared secrets are there for members and for nobody else, in clear for nobody.
func TestPublish_SharedSecrets(t *testing.T) {
	each(t, func(t *testing.T, w *watched) {
		member, err := jwk.NewMemberKey()
		must(t, err)
		newcomer, err := jwk.NewMemberKey()
		must(t, err)
		n := open(t, filepath.Join(t.TempDir(), "jeton.db"), newSealer(t))
		must(t, n.rings.NewRing(t.Context(), fleet, operator))
		must(t, n.rings.NewRing(t.Context(), "unread", operator))
		members := map[string][]jwk.Member{fleet: {member.Member()}}
		_, stop := n.publish(publish.Config{Places: []publish.Place{w.open()}, Members: members})
		id := n.rotate(fleet)
		eventually(t, "primary and secondary are there", func() bool { return w.head(t, fleet).Primary == id })
		document := w.read(t, fleet)
		p, err := jwk.ParsePublication(document, member)
		must(t, err)
		if len(p.Keys) != 2 || p.Keys[0].ID() != id || !p.Keys[1].Private() {
			t.Errorf("the member has %v", p.Keys)
		}
		if _, err := jwk.ParsePublication(document, newcomer); err == nil {
			t.Error("somebody who is no member reads the secrets")
		}
		for _, key := range p.Keys {
			if text := secretOf(t, key); strings.Contains(string(document), text) {
				t.Error("a secret is in clear")
			}
		}
		signer, err := n.rings.AccessSigner()
		must(t, err)
		private, err := signer.MarshalPrivate()
		must(t, err)
		var text struct{ D string }
		must(t, json.Unmarshal(private, &text))
		if public := string(w.read(t, "access")); text.D == "" || strings.Contains(public, text.D) || strings.Contains(public, `"d"`) {
			t.Error("the private key of the access ring is published")
		}
		for _, ring := range []string{"unread", authority.RingRefresh, authority.RingFlow, authority.RingID} {
			if b := w.read(t, ring); b != nil {
				t.Errorf("ring %s is published", ring)
			}
		}

		// A member comes and another goes: it is written anew, although no key changed.
		stop()
		n.publish(publish.Config{Places: []publish.Place{w.open()}, Members: map[string][]jwk.Member{fleet: {newcomer.Member()}}})
		eventually(t, "the newcomer can read", func() bool {
			_, err := jwk.ParsePublication(w.read(t, fleet), newcomer)
			return err == nil
		})
	})
}

func secretOf(t *testing.T, key *jwk.Key) string {
	t.Helper()
	private, err := key.MarshalPrivate()
	must(t, err)
	var text struct{ K string }
	must(t, json.Unmarshal(private, &text))
	return text.K
}

// A dead place holds up no other.
func TestPublish_PlacesAreIndependent(t *testing.T) {
	dead, err := zookeeper.Open(zookeeper.Config{Servers: []string{"127.0.0.1:1"}, Path: "/jeton"})
	must(t, err)
	s := coordtest.Etcd(t)
	w := &watched{s, func(address string) publish.Place {
		p, err := etcd.Open(etcd.Config{Endpoints: []string{"http://" + address}, Prefix: "jeton"})
		must(t, err)
		return p
	}}
	n := open(t, filepath.Join(t.TempDir(), "jeton.db"), newSealer(t))
	n.publish(publish.Config{Places: []publish.Place{dead, w.open()}})
	for range 3 {
		id := n.rotate("access")
		eventually(t, "the rotation is there", func() bool { return w.head(t, "access").Primary == id })
	}
}

// With credentials, only the authority writes in ZooKeeper, and anyone reads.
func TestPublish_ZooKeeperCredentials(t *testing.T) {
	s := coordtest.ZooKeeper(t)
	at := func(user string) publish.Place {
		p, err := zookeeper.Open(zookeeper.Config{Servers: []string{s.Address}, Path: "/jeton", User: user, Password: "for-tests-only"})
		must(t, err)
		return p
	}
	n := open(t, filepath.Join(t.TempDir(), "jeton.db"), newSealer(t))
	n.publish(publish.Config{Places: []publish.Place{at("authority")}})
	source, err := follow.Follow(follow.Config{Servers: []string{s.Address}, Issuer: issuer})
	must(t, err)
	defer func() { _ = source.Close() }()
	must(t, source.Wait(t.Context()))
	for _, user := range []string{"", "meddler"} {
		p := at(user)
		eventually(t, "the place answers", func() bool {
			return p.Update(t.Context(), "access", func([]byte) ([]byte, error) { return nil, nil }) == nil
		})
		if err := p.Update(t.Context(), "access", func([]byte) ([]byte, error) { return []byte("x"), nil }); err == nil {
			t.Errorf("user %q may write", user)
		}
		_ = p.Close()
	}
}

// BenchmarkPublish is the time from a rotation to its use by a hundred watchers.
func BenchmarkPublish_ZooKeeper(b *testing.B) {
	s := coordtest.ZooKeeper(b)
	place, err := zookeeper.Open(zookeeper.Config{Servers: []string{s.Address}, Path: "/jeton"})
	must(b, err)
	n := open(b, filepath.Join(b.TempDir(), "jeton.db"), newSealer(b))
	n.publish(publish.Config{Places: []publish.Place{place}})
	const watchers = 100
	arrivals := make(chan time.Time, watchers)
	for range watchers {
		source, err := follow.Follow(follow.Config{Servers: []string{s.Address}, Issuer: issuer, OnChange: func(jwk.Publication) { arrivals <- time.Now() }})
		must(b, err)
		defer func() { _ = source.Close() }()
	}
	for range watchers {
		<-arrivals
	}
	measure(b, watchers, arrivals, func() { stage(b, n) })
}
