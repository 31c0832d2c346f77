// Package publish writes the rings that servers verify with to coordination
// services, where servers wait for changes: DESIGN section 8. Every node does, and
// the one that is first wins: a document is only replaced by one that was made of
// what the store held after the document was read.
package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/jwk"
)

// Place is a coordination service that holds a document for each ring.
type Place interface {
	// Update replaces the document of a ring by what decide makes of the present
	// one, which is nil when there is none; nil leaves it as it is. When somebody
	// else was faster, decide is asked again.
	Update(ctx context.Context, ring string, decide func(present []byte) ([]byte, error)) error
	String() string // for logs and metrics
	Close() error
}

// Rings is what is published, see [keys.Rings].
type Rings interface {
	Changed() <-chan struct{}
	Reload(ctx context.Context) error
	ForServers() []keys.Ring
}

// Config holds the parts of a Publisher.
type Config struct {
	Issuer  string
	Rings   Rings
	Places  []Place
	Members map[string][]jwk.Member // who may read the rings of shared secrets, by ring
	Recheck time.Duration           // how often a place is looked at without a change; default 30 s
	Now     func() time.Time
	Logger  *slog.Logger
}

const (
	defaultRecheck = 30 * time.Second
	updatePatience = 10 * time.Second
	firstPause     = 250 * time.Millisecond
	longestPause   = 15 * time.Second
)

// Publisher keeps the places up to date.
type Publisher struct {
	cfg Config

	mu    sync.Mutex
	state map[string]*Status // guarded by mu; by place
}

// Status is how it goes with one place.
type Status struct {
	Place     string
	Written   int       // documents
	Failures  int       // in a row
	LastError error     // of them
	Complete  time.Time // when the place was last known to hold every ring
}

// New returns a Publisher.
func New(cfg Config) *Publisher {
	if cfg.Recheck == 0 {
		cfg.Recheck = defaultRecheck
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Publisher{cfg: cfg, state: make(map[string]*Status)}
	for _, place := range cfg.Places {
		p.state[place.String()] = &Status{Place: place.String()}
	}
	return p
}

// Run publishes until ctx is done, and closes the places. A place that is down
// holds up no other; it gets what it missed when it is back.
func (p *Publisher) Run(ctx context.Context) {
	var work sync.WaitGroup
	for _, place := range p.cfg.Places {
		work.Go(func() {
			p.serve(ctx, place)
			_ = place.Close()
		})
	}
	work.Wait()
}

// Status tells how it goes with each place.
func (p *Publisher) Status() []Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Status
	for _, s := range p.state {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Place, b.Place) })
	return out
}

func (p *Publisher) serve(ctx context.Context, place Place) {
	for {
		changed := p.cfg.Rings.Changed() // before it is read: a change in between is seen
		wait := p.cfg.Recheck
		if err := p.publish(ctx, place); err != nil {
			if ctx.Err() != nil {
				return
			}
			wait = p.failed(ctx, place, err)
			changed = nil // the pause is not cut short
		} else {
			p.succeeded(ctx, place)
		}
		pause := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-changed:
			pause.Stop()
		case <-pause.C:
		}
	}
}

// publish brings every ring of one place up to date.
func (p *Publisher) publish(ctx context.Context, place Place) error {
	var problems []error
	for _, ring := range p.cfg.Rings.ForServers() {
		if p.readable(ring) {
			problems = append(problems, p.ring(ctx, place, ring.Name))
		}
	}
	return errors.Join(problems...)
}

// readable reports whether anybody could read the ring: shared secrets are for
// members.
func (p *Publisher) readable(ring keys.Ring) bool {
	return !ring.Keys[0].Algorithm().Symmetric() || len(p.cfg.Members[ring.Name]) > 0
}

func (p *Publisher) ring(ctx context.Context, place Place, name string) error {
	ctx, cancel := context.WithTimeout(ctx, updatePatience)
	defer cancel()
	wrote := false
	err := place.Update(ctx, name, func(present []byte) ([]byte, error) {
		wrote = false
		// What is read now is no older than what the present document was made of.
		if err := p.cfg.Rings.Reload(ctx); err != nil {
			return nil, err
		}
		for _, ring := range p.cfg.Rings.ForServers() {
			if ring.Name == name {
				next, err := p.next(present, ring)
				wrote = next != nil
				return next, err
			}
		}
		return nil, nil // gone meanwhile
	})
	if err != nil {
		return fmt.Errorf("publish ring %s to %s: %w", name, place, err)
	}
	if wrote {
		p.mu.Lock()
		p.state[place.String()].Written++
		p.mu.Unlock()
	}
	return nil
}

// next is the document to put in place of the present one, nil if that says the
// same. Versions at a place rise whatever the store says: one that was restored
// from a backup goes on from where the place is.
func (p *Publisher) next(present []byte, ring keys.Ring) ([]byte, error) {
	version := uint64(max(ring.Version, 1)) // #nosec G115 -- positive
	members := p.cfg.Members[ring.Name]
	if head, err := jwk.ParsePublicationHead(present); err == nil && head.Issuer == p.cfg.Issuer && head.Ring == ring.Name {
		if p.same(head, ring, members) {
			return nil, nil
		}
		version = max(version, head.Version+1)
	}
	return jwk.Publication{
		Issuer: p.cfg.Issuer, Ring: ring.Name, Version: version, Time: p.cfg.Now(), Primary: ring.Primary, Keys: ring.Keys,
	}.Encode(members...)
}

// same reports whether a document tells what the ring is.
func (p *Publisher) same(head jwk.PublicationHead, ring keys.Ring, members []jwk.Member) bool {
	var ids, readers []string
	for _, k := range ring.Keys {
		ids = append(ids, k.ID())
	}
	if ring.Keys[0].Algorithm().Symmetric() {
		for _, m := range members {
			readers = append(readers, m.ID())
		}
		slices.Sort(readers)
		readers = slices.Compact(readers)
	}
	return head.Primary == ring.Primary && slices.Equal(head.KeyIDs, ids) && slices.Equal(head.Members, readers)
}

func (p *Publisher) failed(ctx context.Context, place Place, err error) time.Duration {
	p.mu.Lock()
	s := p.state[place.String()]
	s.Failures++
	s.LastError = err
	failures := s.Failures
	p.mu.Unlock()
	if failures == 1 {
		p.cfg.Logger.WarnContext(ctx, "key rings not published; trying again", "place", place.String(), "error", err)
	}
	return min(firstPause<<min(failures-1, 10), longestPause)
}

func (p *Publisher) succeeded(ctx context.Context, place Place) {
	p.mu.Lock()
	s := p.state[place.String()]
	before := s.Failures
	s.Failures, s.LastError, s.Complete = 0, nil, p.cfg.Now()
	p.mu.Unlock()
	if before > 0 {
		p.cfg.Logger.InfoContext(ctx, "key rings published again", "place", place.String())
	}
}
