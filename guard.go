package jeton

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/internal/seen"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
	"github.com/jetonhq/jeton/revocation"
)

const (
	refusedEntries = 8192
	refusedBytes   = 8 << 20
)

// Guard checks access tokens for one API. It is safe for concurrent use.
type Guard struct {
	config      Config
	log         *slog.Logger
	observer    Observer
	clock       *clock
	born        time.Time
	life        atomic.Pointer[life] // of the log; nil until the first look
	metadataURL string               // "" when the audience is no URL

	keys     *jwk.RemoteSet
	verifier *jwt.Verifier
	proofs   *proofs
	seen     *seen.Cache[record]
	refused  *seen.Cache[*Refusal] // bad tokens, for a moment

	// Without credentials these five are nil.
	view      *revocation.View
	follower  *revocation.Follower
	registry  *registry
	counter   *counter
	movements *movements

	policies policies
	stale    staleGrants

	firstSights atomic.Uint64
	flights     flights
	keysMoved   atomic.Bool            // there are other keys than those that are held, and they are being fetched
	reported    atomic.Pointer[string] // the keys that the authority was told of
	keysDown    atomic.Bool            // has been logged

	proxyUnnamed sync.Once // has been logged

	cancel context.CancelFunc
	ctx    context.Context // of the work in the background
	work   sync.WaitGroup
}

// NewGuard checks the configuration and reports all its problems at once. It waits for nothing: keys are
// fetched and the feed is followed in the background, and both come when the authority does.
func NewGuard(config Config) (*Guard, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Guard{
		config:   config,
		log:      config.Logger,
		observer: config.Observer,
		clock:    newClock(config.Now),
		seen:     seen.New[record](seen.Config{Entries: config.Cache.Entries, Bytes: config.Cache.Bytes}),
		refused:  seen.New[*Refusal](seen.Config{Entries: refusedEntries, Bytes: refusedBytes}),
	}
	g.born = g.clock.now().time
	if g.observer == nil {
		g.observer = nobody{}
	}
	if isURL(config.Audience) {
		g.metadataURL = oauth.InsertWellKnown(config.Audience, oauth.WellKnownResource)
	}
	g.keys, err = jwk.NewRemoteSet(jwk.RemoteConfig{
		URL:          config.JWKSURL,
		Client:       config.HTTPClient,
		Now:          config.Now,
		OnError:      g.keysFailed,
		InsecureHTTP: config.InsecureHTTP,
	})
	if err != nil {
		return nil, err
	}
	var keys jwk.Source = g.keys
	if config.Keys != nil {
		keys = pushedKeys{pushed: config.Keys, fetched: g.keys}
	}
	if config.SharedKeys != nil {
		keys = keySources{shared: config.SharedKeys, published: keys}
	}
	g.verifier, err = jwt.NewVerifier(jwt.Config{
		Profile:      jwt.AccessToken,
		Issuer:       config.Issuer,
		Audience:     []string{config.Audience},
		Algorithms:   config.Algorithms,
		Keys:         keys,
		Leeway:       config.Leeway,
		FutureLeeway: config.FutureLeeway,
		Now:          config.Now,
	})
	if err != nil {
		return nil, err
	}
	if g.proofs, err = newProofs(config, g.clock); err != nil {
		return nil, err
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	if config.Client.none() {
		g.log.Warn("guard has no credentials: revoked and forged tokens work until they expire", "mode", g.Mode().String(), "issuer", config.Issuer)
	} else if err := g.follow(); err != nil {
		g.cancel()
		return nil, err
	}
	g.work.Go(g.firstKeys)
	return g, nil
}

// follow starts what needs credentials.
func (g *Guard) follow() error {
	now := g.config.Now
	if now == nil {
		now = time.Now
	}
	g.view = revocation.NewView(revocation.ViewConfig{Now: now, OnEntry: g.onEntry, OnSnapshot: g.onSnapshot})
	follower, err := revocation.NewFollower(revocation.FollowerConfig{
		URL:       g.config.FeedURL,
		Client:    g.config.HTTPClient,
		Authorize: g.introduce,
		View:      g.view,
		Now:       now,
		OnState:   g.observer.Feed,
		Logger:    g.log,
	})
	if err != nil {
		return err
	}
	g.follower = follower
	g.registry = newRegistry(g.ctx, g.config, g.observer)
	g.counter = &counter{url: g.config.ConsumeURL, registry: g.registry}
	g.movements = &movements{url: g.config.NetworkURL, registry: g.registry}
	g.work.Go(func() { _ = follower.Run(g.ctx) })
	return nil
}

// Close stops the background work and waits for it. A closed guard trusts its view no longer than before:
// its routes soon do what their fail mode says.
func (g *Guard) Close() error {
	if g.movements != nil {
		g.movements.close()
	}
	g.cancel()
	if g.registry != nil {
		g.counter.close()
		g.registry.close()
	}
	g.work.Wait()
	return nil
}

// Mode says whether the guard knows what was revoked.
func (g *Guard) Mode() Mode {
	if g.view == nil {
		return SignaturesOnly
	}
	return Full
}

// Ready reports whether the guard can decide about any token without the authority's help: it has keys, and,
// in mode Full, a view that is not stale. It is meant for a readiness probe.
func (g *Guard) Ready() bool {
	keys := g.keys.Held() != nil && !g.keysMoved.Load() || pushed(g.config.Keys)
	return keys && (g.view == nil || !g.view.StaleAt(g.clock.now().time, g.config.MaxStaleness))
}

// onEntry is called by the view for what the feed brings besides revocations.
func (g *Guard) onEntry(e revocation.Entry) {
	switch e.Kind {
	case revocation.KeyRing:
		g.onKeys(e)
	case revocation.Policy:
		if err := g.policies.set(g.config.Audience, e); err != nil {
			g.log.Warn("a central policy cannot be applied", "policy", e.Name, "error", err)
		}
	case revocation.GrantStale:
		g.stale.add(e, g.clock.now().seconds())
	default: // not for a guard
	}
}

// onSnapshot is called by the view with all that there is besides revocations.
func (g *Guard) onSnapshot(entries []revocation.Entry) {
	told := false
	for _, e := range entries {
		if e.Kind != revocation.Policy {
			g.onEntry(e)
		}
		told = told || e.Kind == revocation.KeyRing && ofAccess(e)
	}
	if !told && g.keys.Held() != nil {
		g.changedKeys() // the news of it may be older than the log
	}
	if err := g.policies.replace(g.config.Audience, entries); err != nil {
		g.log.Warn("a central policy cannot be applied", "error", err)
	}
}

// noRedirects is a copy of c (or a client of our own) that follows none: a redirect would carry the
// credentials elsewhere.
func noRedirects(c *http.Client) *http.Client {
	client := &http.Client{}
	if c != nil {
		*client = *c
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		client.Transport = t.Clone()
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}
