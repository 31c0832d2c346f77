package etcd_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/jetonhq/jeton/internal/coordtest"
	"github.com/jetonhq/jeton/internal/faultproxy"
	place "github.com/jetonhq/jeton/internal/publish/etcd"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwk/etcd"
)

const issuer = "https://id.example.com"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition that others bring about.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after 30 s: %s", what)
		}
	}
}

// writer publishes as the authority does.
type writer struct {
	t     testing.TB
	place *place.Place
}

func newWriter(t testing.TB, address string) *writer {
	t.Helper()
	p, err := place.Open(place.Config{Endpoints: []string{"http://" + address}, Prefix: "/jeton"})
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return &writer{t, p}
}

func (w *writer) put(document []byte) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	eventually(w.t, "it is written", func() bool {
		return w.place.Update(ctx, "access", func([]byte) ([]byte, error) { return document, nil }) == nil
	})
}

func (w *writer) publish(version uint64, keys ...*jwk.Key) {
	w.t.Helper()
	w.put(document(w.t, version, keys...))
}

func document(t testing.TB, version uint64, keys ...*jwk.Key) []byte {
	t.Helper()
	b, err := jwk.Publication{Issuer: issuer, Ring: "access", Version: version, Time: time.Now(), Primary: keys[0].ID(), Keys: keys}.Encode()
	must(t, err)
	return b
}

func key(t testing.TB) *jwk.Key {
	t.Helper()
	k, err := jwk.Generate(jwk.ES256)
	must(t, err)
	return k
}

func follow(t testing.TB, c etcd.Config) *etcd.Source {
	t.Helper()
	c.Issuer = issuer
	if c.Recheck == 0 {
		c.Recheck = time.Hour // only the watches count
	}
	s, err := etcd.Follow(c)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func knows(t testing.TB, s *etcd.Source, k *jwk.Key) func() bool {
	return func() bool {
		_, err := s.Keys(t.Context(), k.ID())
		return err == nil
	}
}

func version(s *etcd.Source) uint64 {
	p, _ := s.Publication()
	return p.Version
}

func TestFollow_EveryRotation(t *testing.T) {
	server := coordtest.Etcd(t)
	var mu sync.Mutex
	var versions []uint64
	s := follow(t, etcd.Config{Endpoints: []string{"http://" + server.Address}, OnChange: func(p jwk.Publication) {
		mu.Lock()
		defer mu.Unlock()
		versions = append(versions, p.Version)
	}})
	if _, err := s.Keys(t.Context(), "any"); !errors.Is(err, jwk.ErrUnavailable) {
		t.Errorf("nothing was published yet: %v", err)
	}
	w := newWriter(t, server.Address)
	old := key(t)
	for v := uint64(1); v <= 30; v++ {
		next := key(t)
		w.publish(v, next, old)
		eventually(t, "the new key is known", knows(t, s, next))
		if !knows(t, s, old)() {
			t.Fatal("the old key went too early")
		}
		old = next
	}
	// Faster than anybody reads: watches may tell of several at once.
	for v := uint64(31); v <= 200; v++ {
		w.publish(v, old)
	}
	eventually(t, "the last one is held", func() bool { return version(s) == 200 })
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i < len(versions); i++ {
		if versions[i] <= versions[i-1] {
			t.Fatalf("version %d after %d", versions[i], versions[i-1])
		}
	}
}

// The key goes back, because somebody restored or meddled: the followers do not.
func TestFollow_NeverRegresses(t *testing.T) {
	server := coordtest.Etcd(t)
	failures := make(chan error, 100)
	s := follow(t, etcd.Config{Endpoints: []string{"http://" + server.Address}, OnError: func(err error) { failures <- err }})
	w := newWriter(t, server.Address)
	good := key(t)
	w.publish(7, good)
	eventually(t, "version 7", func() bool { return version(s) == 7 })
	for _, bad := range [][]byte{document(t, 6, key(t)), []byte("not a publication"), {}} {
		w.put(bad)
		for err := range failures {
			if errors.Is(err, jwk.ErrOlder) || errors.Is(err, jwk.ErrMalformed) {
				break
			}
		}
		if version(s) != 7 || !knows(t, s, good)() {
			t.Errorf("after %.20q: version %d", bad, version(s))
		}
	}
	w.publish(8, good)
	eventually(t, "version 8", func() bool { return version(s) == 8 })
}

func TestFollow_ServerKilledAndStartedAgain(t *testing.T) {
	server := coordtest.Etcd(t)
	s := follow(t, etcd.Config{Endpoints: []string{"http://" + server.Address}})
	w := newWriter(t, server.Address)
	first, second := key(t), key(t)
	w.publish(1, first)
	eventually(t, "the first key", knows(t, s, first))
	server.Kill()
	if !knows(t, s, first)() {
		t.Error("the last good keys are gone with the server")
	}
	server.Start()
	w.publish(2, second, first)
	eventually(t, "the key of after the restart", knows(t, s, second))
}

// What was published while nothing passed is there when that is over.
func TestFollow_Partition(t *testing.T) {
	server := coordtest.Etcd(t)
	link := faultproxy.New(t, server.Address)
	s := follow(t, etcd.Config{Endpoints: []string{"http://" + link.Address}})
	w := newWriter(t, server.Address)
	first, second := key(t), key(t)
	w.publish(1, first)
	eventually(t, "the first key", knows(t, s, first))
	link.Stall()
	w.publish(2, second, first)
	eventually(t, "it is said how old the keys are", func() bool { return s.Staleness() > 2*time.Second })
	if !knows(t, s, first)() || knows(t, s, second)() {
		t.Error("cut off, it should have the first key and no other")
	}
	link.Reset()
	eventually(t, "what was published meanwhile", knows(t, s, second))
}

// A server that is there all the time, and a watch that is not: the key is read
// without being asked to.
func TestFollow_RechecksByItself(t *testing.T) {
	server := coordtest.Etcd(t)
	s := follow(t, etcd.Config{Endpoints: []string{"http://" + server.Address}, Recheck: 50 * time.Millisecond})
	newWriter(t, server.Address).publish(1, key(t))
	must(t, s.Wait(t.Context()))
	for range 3 {
		before := s.Staleness()
		eventually(t, "it is confirmed", func() bool { return s.Staleness() < before || s.Staleness() < 40*time.Millisecond })
	}
}

func TestFollow_DownAtTheStart(t *testing.T) {
	server := coordtest.Etcd(t)
	k := key(t)
	newWriter(t, server.Address).publish(1, k)
	server.Kill()
	s := follow(t, etcd.Config{Endpoints: []string{"http://" + server.Address}, User: "app", Password: "secret"})
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Wait(short); err == nil {
		t.Error("it has keys, but from where?")
	}
	server.Start()
	eventually(t, "the keys, once the server is there", knows(t, s, k))
}

func TestFollow_Misconfigured(t *testing.T) {
	for name, c := range map[string]etcd.Config{
		"no endpoints": {Issuer: issuer},
		"no issuer":    {Endpoints: []string{"127.0.0.1:1"}},
	} {
		if _, err := etcd.Follow(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What the watch missed has been compacted away: the key is read anew.
func TestFollow_Compaction(t *testing.T) {
	server := coordtest.Etcd(t)
	link := faultproxy.New(t, server.Address)
	s := follow(t, etcd.Config{Endpoints: []string{"http://" + link.Address}})
	w := newWriter(t, server.Address)
	first := key(t)
	w.publish(1, first)
	eventually(t, "the first key", knows(t, s, first))
	link.Stall()
	for v := uint64(2); v <= 20; v++ {
		w.publish(v, first)
	}
	last := key(t)
	w.publish(21, last)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + server.Address}})
	must(t, err)
	defer func() { _ = client.Close() }()
	now, err := client.Get(t.Context(), "/jeton/access")
	must(t, err)
	_, err = client.Compact(t.Context(), now.Header.Revision)
	must(t, err)
	link.Reset()
	eventually(t, "the last key", knows(t, s, last))
}

// With etcd's own authentication, on both sides.
func TestFollow_Authenticated(t *testing.T) {
	server := coordtest.Etcd(t)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + server.Address}})
	must(t, err)
	defer func() { _ = client.Close() }()
	for user, password := range map[string]string{"root": "for-tests-only", "app": "also-for-tests"} {
		_, err := client.UserAdd(t.Context(), user, password)
		must(t, err)
	}
	_, err = client.RoleAdd(t.Context(), "reader")
	must(t, err)
	_, err = client.RoleGrantPermission(t.Context(), "reader", "/jeton/", clientv3.GetPrefixRangeEnd("/jeton/"), clientv3.PermissionType(clientv3.PermRead))
	must(t, err)
	_, err = client.UserGrantRole(t.Context(), "root", "root")
	must(t, err)
	_, err = client.UserGrantRole(t.Context(), "app", "reader")
	must(t, err)
	_, err = client.AuthEnable(t.Context())
	must(t, err)

	k := key(t)
	for user, allowed := range map[string]bool{"": false, "app": false, "root": true} {
		p, err := place.Open(place.Config{Endpoints: []string{"http://" + server.Address}, Prefix: "/jeton", User: user, Password: map[string]string{"root": "for-tests-only", "app": "also-for-tests"}[user]})
		must(t, err)
		err = p.Update(t.Context(), "access", func([]byte) ([]byte, error) { return document(t, 1, k), nil })
		if (err == nil) != allowed {
			t.Errorf("user %q writes: %v", user, err)
		}
	}
	s := follow(t, etcd.Config{Endpoints: []string{"http://" + server.Address}, User: "app", Password: "also-for-tests"})
	eventually(t, "the key", knows(t, s, k))
}
