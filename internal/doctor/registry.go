package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/jetonhq/jeton/admin"
)

// registry looks at how each server of Redis would lose what it was told to keep.
func (e *examination) registry(context.Context) []Finding {
	if e.diagnosis == nil {
		return nil
	}
	var found []Finding
	for _, v := range e.diagnosis.Registry {
		found = append(found, e.redis(v))
	}
	return found
}

func (e *examination) redis(v admin.Registry) Finding {
	check := "registry " + v.Address
	needs := e.Config.Config.Store.Registry.Replicas
	switch {
	case v.Eviction == "":
		return warning(check, "it does not say what it does when its memory is full", "see to it that maxmemory-policy is noeviction")
	case v.Eviction != "noeviction":
		return problem(check, "it makes room by dropping tokens: maxmemory-policy is "+v.Eviction, "set maxmemory-policy noeviction")
	case v.Replicas < needs:
		return problem(check, fmt.Sprintf("it has %d replicas, and store.registry.replicas is %d: requests with DPoP proofs fail", v.Replicas, needs),
			"mend its replicas, or lower store.registry.replicas")
	case !v.AppendOnly && v.Replicas == 0:
		return warning(check, "it keeps what it knows in memory alone: when it is restarted, access tokens are unknown until they are refreshed",
			"set appendonly yes, or give it a replica")
	case v.Fsync == "no":
		return warning(check, "it leaves to the system when its append-only file is written", "set appendfsync everysec")
	}
	facts := []string{"version " + v.Version, "noeviction", fmt.Sprintf("%d replicas", v.Replicas)}
	if v.AppendOnly {
		facts = append(facts, strings.TrimSpace("append-only file, fsync "+v.Fsync))
	}
	return good(check, strings.Join(facts, ", "))
}
