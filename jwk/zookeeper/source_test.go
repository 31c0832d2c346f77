package zookeeper_test

import (
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/coordtest"
	place "github.com/jetonhq/jeton/internal/publish/zookeeper"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwk/zookeeper"
)

// TestFollow has sessions of a second: in the partition they expire at the server,
// and the watches with them.
func TestFollow(t *testing.T) {
	coordtest.Kind{
		Start: coordtest.ZooKeeper,
		Open: func(address string) (coordtest.Place, error) {
			return place.Open(place.Config{Servers: []string{address}, Path: "/jeton"})
		},
		Source: source,
	}.Run(t)
}

func source(t testing.TB, o coordtest.Options) *jwk.FollowedSet {
	t.Helper()
	s, err := zookeeper.Follow(zookeeper.Config{
		Servers: []string{o.Address}, Issuer: coordtest.Issuer, User: o.User, Password: o.Password,
		SessionTimeout: time.Second, Recheck: o.Recheck, OnChange: o.OnChange, OnError: o.OnError,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.FollowedSet
}

func TestFollow_Misconfigured(t *testing.T) {
	for name, c := range map[string]zookeeper.Config{
		"no servers": {Issuer: coordtest.Issuer},
		"no issuer":  {Servers: []string{"127.0.0.1:1"}},
	} {
		if _, err := zookeeper.Follow(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
