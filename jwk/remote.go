package jwk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultCoolDown = 30 * time.Second
	defaultMaxAge   = 10 * time.Minute
	defaultWait     = time.Second
	fetchTimeout    = 10 * time.Second
	firstBackoff    = time.Second
)

// RemoteConfig says which set to follow, and how.
type RemoteConfig struct {
	// URL is the jwks_uri: https, or http to a loopback address.
	URL string

	// Client makes the requests; nil means a plain one. It is copied, and its
	// redirects are limited: never to another scheme, at most three.
	Client *http.Client

	// CoolDown is the least time between the last fetch and one that an unknown
	// kid causes. Zero means 30 seconds.
	CoolDown time.Duration

	// MaxAge is how long an answer is used before it is refreshed in the
	// background. Zero means 10 minutes. A smaller Cache-Control max-age lowers
	// it, though not below CoolDown; a larger one does not raise it.
	MaxAge time.Duration

	// Wait is how long the single request whose unknown kid started a fetch waits
	// for the answer, so that a key rotated without notice is found at once.
	// Zero means one second, negative not at all. No other request ever waits
	// once a set is held.
	Wait time.Duration

	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// OnError is told about each failed fetch. It may be nil.
	OnError func(error)

	// InsecureHTTP allows http to hosts that are not loopback. Whoever can alter
	// that traffic can then sign tokens.
	InsecureHTTP bool
}

// RemoteSet is a key set that lives at a URL. It is fetched at first use, kept,
// and refreshed in the background; the last good set stays in use for as long as
// the other side is down. One fetch is under way at a time.
//
// Tokens with made-up key ids do not get to do anything: an unknown kid causes
// at most one fetch per cool-down, and while that is under way or the cool-down
// runs it is refused at once with [ErrUnknownKey]. Only when nothing is held yet
// do requests wait, each no longer than its context. A set that is out of date
// cannot say of a kid that nobody has it: then the error is [ErrUnavailable].
type RemoteSet struct {
	url      string
	client   *http.Client
	coolDown time.Duration
	maxAge   time.Duration
	wait     time.Duration
	now      func() time.Time
	onError  func(error)

	held    atomic.Pointer[heldSet]
	fetches atomic.Uint64

	mu       sync.Mutex // guards the fields below, and writes of held
	flight   *flight    // nil when no fetch is under way
	started  time.Time  // of the last fetch
	failures int        // in a row
	lastErr  error
	replaced uint64 // how often Replace was called
}

// heldSet is a good answer and the time until which it is fresh.
type heldSet struct {
	set   *Set
	fresh time.Time
	etag  string
}

// flight is one fetch. err is written before done is closed.
type flight struct {
	done chan struct{}
	err  error
}

var _ Source = (*RemoteSet)(nil)

// NewRemoteSet checks the configuration. It does not fetch anything.
func NewRemoteSet(c RemoteConfig) (*RemoteSet, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("jwk: remote set: URL does not parse")
	}
	if err := checkURL(u, c.InsecureHTTP); err != nil {
		return nil, err
	}
	r := &RemoteSet{
		url:      u.String(),
		coolDown: orDefault(c.CoolDown, defaultCoolDown),
		wait:     orDefault(c.Wait, defaultWait),
		now:      c.Now,
		onError:  c.OnError,
	}
	r.maxAge = max(orDefault(c.MaxAge, defaultMaxAge), r.coolDown)
	if r.coolDown < 0 || c.MaxAge < 0 {
		return nil, errors.New("jwk: remote set: a time is negative")
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.onError == nil {
		r.onError = func(error) {}
	}
	r.client = guardedClient(c.Client, c.InsecureHTTP)
	return r, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Keys implements [Source]. Errors are [ErrUnknownKey], and [ErrUnavailable]
// while no set could be had, or the one that is held is out of date.
func (r *RemoteSet) Keys(ctx context.Context, kid string) ([]*Key, error) {
	h := r.held.Load()
	if h == nil {
		return r.firstKeys(ctx, kid)
	}
	var mine *flight
	if now := r.now(); !now.Before(h.fresh) {
		mine = r.start(now, r.backoff)
	}
	if keys := h.set.candidates(kid); len(keys) > 0 {
		return keys, nil
	}
	if kid == "" {
		return nil, ErrUnknownKey
	}
	if mine == nil {
		mine = r.start(r.now(), func() time.Duration { return r.coolDown })
	}
	if mine == nil || r.wait < 0 {
		return nil, r.missing()
	}
	patience := time.NewTimer(r.wait)
	defer patience.Stop()
	select {
	case <-mine.done:
	case <-patience.C:
	case <-ctx.Done():
	}
	if keys := r.held.Load().set.candidates(kid); len(keys) > 0 {
		return keys, nil
	}
	return nil, r.missing()
}

// missing is what the lack of a key means.
func (r *RemoteSet) missing() error {
	if r.now().Before(r.held.Load().fresh) {
		return ErrUnknownKey
	}
	return fmt.Errorf("%w: it is out of date", ErrUnavailable)
}

// firstKeys waits for the first set: without one there is nothing to say.
func (r *RemoteSet) firstKeys(ctx context.Context, kid string) ([]*Key, error) {
	r.start(r.now(), r.backoff)
	r.mu.Lock()
	f, lastErr := r.flight, r.lastErr
	r.mu.Unlock()
	if f != nil {
		select {
		case <-f.done:
			lastErr = f.err
		case <-ctx.Done():
			lastErr = ctx.Err()
		}
	}
	if h := r.held.Load(); h != nil {
		if keys := h.set.candidates(kid); len(keys) > 0 {
			return keys, nil
		}
		return nil, ErrUnknownKey
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, lastErr)
}

// backoff is how long to leave a failing server alone: one second, doubled with
// each failure up to the cool-down. The caller holds mu.
func (r *RemoteSet) backoff() time.Duration {
	if r.failures == 0 {
		return 0
	}
	return min(firstBackoff<<min(r.failures-1, 16), r.coolDown)
}

// start begins a fetch unless one is under way or the last began less than gap
// ago, and answers the flight it began. gap is called with mu held.
func (r *RemoteSet) start(now time.Time, gap func() time.Duration) *flight {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flight != nil || now.Sub(r.started) < gap() {
		return nil
	}
	f := &flight{done: make(chan struct{})}
	r.flight, r.started = f, now
	r.fetches.Add(1)
	// The fetch belongs to nobody's request: it goes on when the one that
	// started it gives up.
	go r.fly(f, r.replaced)
	return f
}

func (r *RemoteSet) fly(f *flight, generation uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	h, err := r.fetch(ctx)

	r.mu.Lock()
	if err != nil {
		r.failures++
	} else {
		r.failures = 0
		// An answer that was asked for before Replace may contain the very key
		// that Replace took out.
		if r.replaced == generation {
			r.held.Store(h)
		}
	}
	f.err, r.lastErr, r.flight = err, err, nil
	r.mu.Unlock()
	close(f.done)
	if err != nil {
		r.onError(err)
	}
}

// Prefetch fetches now, whatever the cool-down says, or waits for the fetch that
// is under way. It is for start-up, and for those who know that keys changed.
func (r *RemoteSet) Prefetch(ctx context.Context) error {
	r.start(r.now(), func() time.Duration { return -1 })
	r.mu.Lock()
	f, err := r.flight, r.lastErr
	r.mu.Unlock()
	if f == nil {
		return err // it ended between the two locks
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("jwk: remote set: %w", ctx.Err())
	}
}

// Replace puts a set in place by other means than fetching, for example because
// a feed says that keys changed. It counts as fresh for MaxAge, and a fetch that
// is under way does not overwrite it.
func (r *RemoteSet) Replace(s *Set) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replaced++
	r.held.Store(&heldSet{set: s, fresh: r.now().Add(r.maxAge)})
}

// Invalidate says that keys may have changed. What is held stays in use, but it is
// refreshed at the next request, and does not rule a kid out before it was.
func (r *RemoteSet) Invalidate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replaced++ // an answer that was asked for before may be of before the change
	if h := r.held.Load(); h != nil {
		r.held.Store(&heldSet{set: h.set, etag: h.etag})
	}
}

// Fresh reports whether a set is held that is not out of date.
func (r *RemoteSet) Fresh() bool {
	h := r.held.Load()
	return h != nil && r.now().Before(h.fresh)
}

// Held is the set in use, nil before the first was had.
func (r *RemoteSet) Held() *Set {
	if h := r.held.Load(); h != nil {
		return h.set
	}
	return nil
}

// Fetches is how many fetches were started.
func (r *RemoteSet) Fetches() uint64 { return r.fetches.Load() }
