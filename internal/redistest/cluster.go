package redistest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// slots is how many a cluster has.
const slots = 16384

// Cluster is a Redis Cluster of three primaries, each with a replica.
type Cluster struct {
	Servers []*Server // the first three began as primaries; the replica of each is three further on
}

// StartCluster starts six servers and waits until they are one cluster. A primary
// that is gone is replaced after about a second.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range 6 {
		c.Servers = append(c.Servers, Start(t, "cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 1000",
			"cluster-replica-validity-factor 0", "repl-diskless-sync-delay 0"))
	}
	first := c.Servers[0]
	for i, s := range c.Servers {
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if i < 3 {
			s.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/3), strconv.Itoa((i+1)*slots/3-1))
		}
		host, port, _ := strings.Cut(first.Address, ":")
		s.Do("CLUSTER", "MEET", host, port)
	}
	all := func(what string, so func(*Server) bool) {
		t.Helper()
		eventually(t, what, func() bool { return !slices.ContainsFunc(c.Servers, func(s *Server) bool { return !so(s) }) })
	}
	all("all know each other", func(s *Server) bool { return strings.Contains(info(s), "cluster_known_nodes:6") })
	for i, s := range c.Servers[3:] {
		id := c.Servers[i].Text("CLUSTER", "MYID")
		s.Do("CLUSTER", "REPLICATE", id)
	}
	all("the cluster serves", func(s *Server) bool { return strings.Contains(info(s), "cluster_state:ok") })
	all("replicas follow", func(s *Server) bool {
		text := s.Text("INFO", "replication")
		return strings.Contains(text, "role:master") && strings.Contains(text, "connected_slaves:1") ||
			strings.Contains(text, "role:slave") && strings.Contains(text, "master_link_status:up")
	})
	return c
}

func info(s *Server) string { return s.Text("CLUSTER", "INFO") }

// URL names all servers.
func (c *Cluster) URL() string {
	hosts := make([]string, len(c.Servers))
	for i, s := range c.Servers {
		hosts[i] = s.Address
	}
	return "redis://" + strings.Join(hosts, ",")
}

// Sentinels is a primary with a replica, and three Sentinels that watch them.
type Sentinels struct {
	Primary, Replica *Server
	Watchers         []*Server
}

// StartSentinels starts them. A primary that is gone is replaced after about a
// second.
func StartSentinels(t testing.TB) *Sentinels {
	t.Helper()
	c := &Sentinels{Primary: Start(t, "repl-diskless-sync-delay 0")}
	host, port, _ := strings.Cut(c.Primary.Address, ":")
	c.Replica = Start(t, "repl-diskless-sync-delay 0", "replicaof "+host+" "+port)
	eventually(t, "the replica follows", func() bool {
		return strings.Contains(c.Replica.Text("INFO", "replication"), "master_link_status:up")
	})
	for range 3 {
		s := prepare(t, freeAddress(t), []string{
			fmt.Sprintf("sentinel monitor jeton %s %s 2", host, port), "sentinel down-after-milliseconds jeton 700",
			"sentinel failover-timeout jeton 3000",
		}, "--sentinel")
		s.must(s.Resume())
		c.Watchers = append(c.Watchers, s)
	}
	eventually(t, "the Sentinels know each other and the replica", func() bool {
		return !slices.ContainsFunc(c.Watchers, func(s *Server) bool {
			answer := s.Do("SENTINEL", "MASTER", "jeton")
			m, err := answer.AsStrMap()
			return err != nil || m["num-other-sentinels"] != "2" || m["num-slaves"] != "1"
		})
	})
	return c
}

// URL names the Sentinels.
func (c *Sentinels) URL() string {
	hosts := make([]string, len(c.Watchers))
	for i, s := range c.Watchers {
		hosts[i] = s.Address
	}
	return "redis://" + strings.Join(hosts, ",") + "?sentinel=jeton"
}
