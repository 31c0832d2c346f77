package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Server is what one server of Redis says about itself.
type Server struct {
	Address   string
	Version   string
	Policy    string // maxmemory-policy
	AOF       bool
	Snapshots bool   // it has made one: it may come back with old data
	Fsync     string // appendfsync; "" where it may not be asked
	Replicas  int    // connected
}

// Servers asks all primaries.
func (s *Store) Servers(ctx context.Context) ([]Server, error) {
	var found []Server
	for address, node := range s.client.Nodes() {
		text, err := node.Do(ctx, node.B().Info().Build()).ToString()
		if err != nil {
			return nil, fmt.Errorf("registry: server %s: %w", address, err)
		}
		facts := infoFacts(text)
		if facts["role"] != "master" {
			continue
		}
		replicas, _ := strconv.Atoi(facts["connected_slaves"])
		v := Server{
			Address: address, Version: facts["redis_version"], Policy: facts["maxmemory_policy"], AOF: facts["aof_enabled"] == "1", Replicas: replicas,
		}
		if m, err := node.Do(ctx, node.B().ConfigGet().Parameter("appendfsync", "save").Build()).AsStrMap(); err == nil {
			v.Fsync, v.Snapshots = m["appendfsync"], m["save"] != ""
		}
		found = append(found, v)
	}
	return found, nil
}

func infoFacts(text string) map[string]string {
	facts := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[name] = value
		}
	}
	return facts
}

// fit refuses servers that drop what they were told to keep. One that does not say
// is taken at the operator's word.
func (s *Store) fit(ctx context.Context) error {
	servers, err := s.Servers(ctx)
	if err != nil && isDenied(err) {
		s.cfg.Logger.WarnContext(ctx, "Redis does not let this program ask for its settings; maxmemory-policy has to be noeviction", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	for _, v := range servers {
		if v.Policy != "" && v.Policy != "noeviction" {
			return fmt.Errorf("%w, and is %s at %s", ErrEvicts, v.Policy, v.Address)
		}
	}
	return nil
}

func isDenied(err error) bool { return strings.Contains(err.Error(), "NOPERM") }
