package etcd_test

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/jetonhq/jeton/internal/coordtest"
	"github.com/jetonhq/jeton/internal/faultproxy"
	place "github.com/jetonhq/jeton/internal/publish/etcd"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwk/etcd"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var kind = coordtest.Kind{
	Start: coordtest.Etcd,
	Open: func(address string) (coordtest.Place, error) {
		return place.Open(place.Config{Endpoints: []string{"http://" + address}, Prefix: "/jeton"})
	},
	Source: source,
}

func source(t testing.TB, o coordtest.Options) *jwk.FollowedSet {
	t.Helper()
	s, err := etcd.Follow(etcd.Config{
		Endpoints: []string{"http://" + o.Address}, Issuer: coordtest.Issuer, User: o.User, Password: o.Password,
		Recheck: o.Recheck, OnChange: o.OnChange, OnError: o.OnError,
	})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s.FollowedSet
}

func TestFollow(t *testing.T) { kind.Run(t) }

func TestFollow_Misconfigured(t *testing.T) {
	for name, c := range map[string]etcd.Config{
		"no endpoints": {Issuer: coordtest.Issuer},
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
	s := kind.Follow(t, coordtest.Options{Address: link.Address})
	w := kind.Writer(t, server.Address)
	first := coordtest.Key(t)
	w.Publish(1, first)
	coordtest.Eventually(t, "the first key", coordtest.Knows(t, s, first))
	link.Stall()
	for v := uint64(2); v <= 20; v++ {
		w.Publish(v, first)
	}
	last := coordtest.Key(t)
	w.Publish(21, last)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + server.Address}})
	must(t, err)
	defer func() { _ = client.Close() }()
	now, err := client.Get(t.Context(), "/jeton/access")
	must(t, err)
	_, err = client.Compact(t.Context(), now.Header.Revision)
	must(t, err)
	link.Reset()
	coordtest.Eventually(t, "the last key", coordtest.Knows(t, s, last))
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

	k := coordtest.Key(t)
	for user, allowed := range map[string]bool{"": false, "app": false, "root": true} {
		p, err := place.Open(place.Config{Endpoints: []string{"http://" + server.Address}, Prefix: "/jeton", User: user, Password: map[string]string{"root": "for-tests-only", "app": "also-for-tests"}[user]})
		must(t, err)
		err = p.Update(t.Context(), coordtest.Ring, func([]byte) ([]byte, error) { return coordtest.Document(t, 1, k), nil })
		if (err == nil) != allowed {
			t.Errorf("user %q writes: %v", user, err)
		}
	}
	s := kind.Follow(t, coordtest.Options{Address: server.Address, User: "app", Password: "also-for-tests"})
	coordtest.Eventually(t, "the key", coordtest.Knows(t, s, k))
}
