package jwk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrOlder says that a publication is older than the one that is held.
var ErrOlder = errors.New("jwk: publication is older than the one held")

// firstPatience is how long a request waits for the first publication.
const firstPatience = time.Second

// FollowConfig says whose ring a [FollowedSet] holds.
type FollowConfig struct {
	// Issuer must have made the publication. Required.
	Issuer string

	// Ring is its name. Default "access".
	Ring string

	// Member opens rings of shared secrets; nil for public keys.
	Member *MemberKey

	// OnChange is told of each change, one after the other. It may be nil.
	OnChange func(Publication)

	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// FollowedSet is a [Source] whose keys are handed to it as they change, by
// whatever watches a coordination service. It never goes back to an older
// version, and keeps the last good one whatever is offered.
type FollowedSet struct {
	config FollowConfig
	held   atomic.Pointer[followed]
	heard  atomic.Int64 // Unix nanoseconds: when what is held was last known to be current
	first  chan struct{}
	mu     sync.Mutex // guards writes of held
}

type followed struct {
	publication Publication
	set         *Set
}

var _ Source = (*FollowedSet)(nil)

// NewFollowedSet checks the configuration. The set holds nothing yet.
func NewFollowedSet(c FollowConfig) (*FollowedSet, error) {
	if c.Issuer == "" {
		return nil, errors.New("jwk: followed set: Issuer is empty")
	}
	if c.Ring == "" {
		c.Ring = "access"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.OnChange == nil {
		c.OnChange = func(Publication) {}
	}
	return &FollowedSet{config: c, first: make(chan struct{})}, nil
}

// Offer takes a publication as it was found. It answers nil if the set holds it
// then, be it new or the same as before. The error is [ErrOlder], or says what
// is wrong with it; the set stays as it was.
func (f *FollowedSet) Offer(document []byte) error {
	p, err := ParsePublication(document, f.config.Member)
	if err != nil {
		return err
	}
	if p.Issuer != f.config.Issuer || p.Ring != f.config.Ring {
		return fmt.Errorf("%w: publication of ring %q of %q", ErrMalformed, p.Ring, p.Issuer)
	}
	set, err := NewSet(p.Keys...)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.held.Load()
	switch {
	case before != nil && p.Version < before.publication.Version:
		return fmt.Errorf("%w: version %d after %d", ErrOlder, p.Version, before.publication.Version)
	case before == nil || p.Version > before.publication.Version:
		f.held.Store(&followed{p, set})
		f.config.OnChange(p)
	}
	f.heard.Store(f.config.Now().UnixNano())
	if before == nil {
		close(f.first)
	}
	return nil
}

// Keys implements [Source]. Errors are [ErrUnknownKey], and [ErrUnavailable]
// while nothing was offered yet: a request waits for that up to a second.
func (f *FollowedSet) Keys(ctx context.Context, kid string) ([]*Key, error) {
	held := f.held.Load()
	if held == nil {
		ctx, cancel := context.WithTimeout(ctx, firstPatience)
		defer cancel()
		if err := f.Wait(ctx); err != nil {
			return nil, ErrUnavailable
		}
		held = f.held.Load()
	}
	return held.set.Keys(ctx, kid)
}

// Wait returns once there is a first publication, or ctx is done.
func (f *FollowedSet) Wait(ctx context.Context) error {
	select {
	case <-f.first:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Publication is what is held; false before the first. Its keys are shared.
func (f *FollowedSet) Publication() (Publication, bool) {
	held := f.held.Load()
	if held == nil {
		return Publication{}, false
	}
	return held.publication, true
}

// Staleness is how long ago what is held was last known to be current. It is 0
// before the first publication, which [FollowedSet.Publication] tells apart.
func (f *FollowedSet) Staleness() time.Duration {
	heard := f.heard.Load()
	if heard == 0 {
		return 0
	}
	return max(0, f.config.Now().Sub(time.Unix(0, heard)))
}
