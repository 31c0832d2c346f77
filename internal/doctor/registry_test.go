package doctor_test

import (
	"testing"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/doctor"
	"github.com/jetonhq/jeton/internal/redistest"
)

func TestExamine_Registry(t *testing.T) {
	redis := redistest.Start(t, "appendonly yes")
	s := newSite(t, func(c *config.Config) { c.Store.Registry.URL = redis.URL() })
	check := "registry " + redis.Address
	want := func(what string, level doctor.Level) {
		t.Helper()
		if got := levels(t, s.config)[check]; got != level {
			t.Errorf("%s: got %q, want %q", what, got, level)
		}
	}
	want("with an append-only file", doctor.OK)
	redis.Do("CONFIG", "SET", "appendfsync", "no")
	want("which the system writes when it likes", doctor.Warning)
	redis.Do("CONFIG", "SET", "appendonly", "no")
	want("without one", doctor.Warning)
	redis.Do("CONFIG", "SET", "appendonly", "yes", "appendfsync", "everysec")
	s.config.Config.Store.Registry.Replicas = 1
	want("without the replica that is asked for", doctor.Problem)
	s.config.Config.Store.Registry.Replicas = 0
	redis.Do("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
	want("when it has begun to evict", doctor.Problem)
}
