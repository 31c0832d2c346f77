package jeton

import (
	"time"

	"github.com/jetonhq/jeton/revocation"
)

// Observer is told what a guard does. Its methods are called where the work is done, many at the same time,
// and should return at once. Package jetonprom has one for Prometheus.
type Observer interface {
	// Checked is called once per check: with the code of the refusal, or "" when the token was accepted,
	// and whether it had been seen before.
	Checked(reason string, seen bool)
	// Feed is called when the state of the feed changes.
	Feed(state revocation.State)
	// Registry is called after each round trip to the authority's registry, for so many tokens.
	Registry(tokens int, took time.Duration, err error)
}

// nobody observes nothing.
type nobody struct{}

func (nobody) Checked(string, bool)               {}
func (nobody) Feed(revocation.State)              {}
func (nobody) Registry(int, time.Duration, error) {}

// Mode is what a guard can do.
type Mode uint8

const (
	// SignaturesOnly: no credentials, so neither feed nor registry. Revoked tokens work until they expire.
	SignaturesOnly Mode = iota
	// Full: everything.
	Full
)

// String returns "full" or "signatures_only".
func (m Mode) String() string {
	if m == Full {
		return "full"
	}
	return "signatures_only"
}

// Stats are a guard's numbers at one moment.
type Stats struct {
	Mode  Mode
	Ready bool

	Feed        revocation.State // idle in mode SignaturesOnly
	Lag         time.Duration    // since the feed last proved the view complete
	Stale       bool             // Lag is above MaxStaleness, or there is no view yet
	Epoch       uint64           // of the view
	ViewEntries int
	ViewBytes   int // estimate

	SeenTokens    int
	SeenBytes     int64 // estimate
	SeenEvicted   uint64
	RefusedTokens int // bad tokens that are remembered for a moment
	RefusedBytes  int64

	FirstSights   uint64 // tokens that were verified
	RegistryTrips uint64
	RegistryAsked uint64 // tokens asked about
	KeyFetches    uint64
}

// Stats adds up the guard's numbers. It is meant for a scrape, not for a request.
func (g *Guard) Stats() Stats {
	seen, refused := g.seen.Stats(), g.refused.Stats()
	s := Stats{
		Mode:          g.Mode(),
		Ready:         g.Ready(),
		SeenTokens:    seen.Entries,
		SeenBytes:     seen.Bytes,
		SeenEvicted:   seen.Evicted,
		RefusedTokens: refused.Entries,
		RefusedBytes:  refused.Bytes,
		FirstSights:   g.firstSights.Load(),
		KeyFetches:    g.keys.Fetches(),
	}
	if g.view != nil {
		s.Feed = g.follower.State()
		s.Lag = g.view.Lag()
		s.Stale = g.view.Stale(g.config.MaxStaleness)
		s.Epoch = g.view.Epoch()
		s.ViewEntries = g.view.Len()
		s.ViewBytes = g.view.MemoryBytes()
		s.RegistryTrips = g.registry.trips.Load()
		s.RegistryAsked = g.registry.asked.Load()
	}
	return s
}
