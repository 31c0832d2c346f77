package admin

import (
	"context"
	"net/http"
	"time"
)

// ProbeHeader marks a request that `jeton doctor` sends through the issuer URL.
// Its value is the id of an open probe.
const ProbeHeader = "Jeton-Probe"

// Probe is what has arrived of the requests that carried its id.
type Probe struct {
	ID       string    `json:"id"`
	Arrivals []Arrival `json:"arrivals"`
}

// Arrival is a request as the server has seen it.
type Arrival struct {
	Path         string `json:"path"`
	Host         string `json:"host"`
	Peer         string `json:"peer"`          // address that the connection came from
	PeerTrusted  bool   `json:"peer_trusted"`  // it is in listen.trusted_proxies
	ForwardedFor bool   `json:"forwarded_for"` // there was an X-Forwarded-For
	Caller       string `json:"caller"`        // address that the server takes the caller's to be
	HeaderBytes  int    `json:"header_bytes"`
}

// Diagnosis is what a server knows of itself.
type Diagnosis struct {
	Time         time.Time     `json:"time"`                // by its clock
	NotReady     string        `json:"not_ready,omitempty"` // why; empty: it is
	StoreWrite   Duration      `json:"store_write"`         // the slowest of a few durable writes
	Metadata     string        `json:"metadata"`            // the documents as it serves them
	JWKS         string        `json:"jwks"`
	Pending      int           `json:"deliveries_pending"`
	OldestWaits  Duration      `json:"deliveries_oldest"`
	Publications []Publication `json:"publications"`
	Registry     []Registry    `json:"registry,omitempty"` // the servers of Redis, if there are any
}

// Registry is one server of the Redis that keeps the registry, as it tells itself.
type Registry struct {
	Address    string `json:"address"`
	Version    string `json:"version"`
	Eviction   string `json:"eviction"` // its maxmemory-policy
	AppendOnly bool   `json:"append_only"`
	Fsync      string `json:"fsync,omitempty"` // its appendfsync, if that may be asked
	Replicas   int    `json:"replicas"`        // that are connected
}

// Publication is how it goes with a coordination service.
type Publication struct {
	Place    string    `json:"place"`
	Failures int       `json:"failures"`          // attempts in a row
	Complete time.Time `json:"complete,omitzero"` // when it was last known to hold every ring as it is
}

// OpenProbe begins a probe. It is forgotten after a minute.
func (c *Client) OpenProbe(ctx context.Context) (Probe, error) {
	var p Probe
	err := c.do(ctx, request{method: http.MethodPost, path: []string{"probes"}, into: &p})
	return p, err
}

// Probe returns what has arrived.
func (c *Client) Probe(ctx context.Context, id string) (Probe, error) {
	var p Probe
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"probes", id}, into: &p})
	return p, err
}

// Diagnosis asks the server about itself.
func (c *Client) Diagnosis(ctx context.Context) (Diagnosis, error) {
	var d Diagnosis
	err := c.do(ctx, request{method: http.MethodGet, path: []string{"diagnosis"}, into: &d})
	return d, err
}
