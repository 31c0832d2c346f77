package bff

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/client"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

// App serves a browser app's routes: its own below [Config.Path], and those of its upstreams. It is safe for
// concurrent use.
type App struct {
	config Config
	log    *slog.Logger
	secure bool // https
	sealer *sealer
	tokens *client.Endpoint
	http   *http.Client // to the authority, without redirects
	ids    *jwt.Verifier
	logout *jwt.Verifier
	mux    *http.ServeMux
	stats  counters
	down   atomic.Bool // refreshing fails, and that was logged
	lost   atomic.Bool // a session could not be read, and that was logged

	work sync.WaitGroup // refreshes

	mu      sync.Mutex // guards the fields below
	flights map[Digest]*flight
	pauses  map[Digest]pause
}

// New checks the configuration and reports all its problems at once. It waits for nothing: the app may start before
// the authority.
func New(config Config) (*App, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	a := &App{
		config: config, log: config.Logger, secure: strings.HasPrefix(config.PublicURL, "https:"),
		flights: make(map[Digest]*flight), pauses: make(map[Digest]pause),
	}
	if a.sealer, err = newSealer(config.Keys); err != nil {
		return nil, err
	}
	a.tokens, err = client.NewEndpoint(client.Config{
		Issuer: config.Issuer, ID: config.ClientID, Secret: config.ClientSecret,
		HTTPClient: config.HTTPClient, Now: config.Now, InsecureHTTP: config.InsecureHTTP,
	})
	if err != nil {
		return nil, err
	}
	a.http = &http.Client{}
	if config.HTTPClient != nil {
		*a.http = *config.HTTPClient
	}
	a.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if err := a.verifiers(); err != nil {
		return nil, err
	}
	a.mux = a.routes()
	return a, nil
}

// verifiers are those of ID tokens and of logout tokens.
func (a *App) verifiers() error {
	keys, err := jwk.NewRemoteSet(jwk.RemoteConfig{
		URL: a.endpoint("/jwks"), Client: a.config.HTTPClient, Now: a.config.Now, InsecureHTTP: a.config.InsecureHTTP,
	})
	if err != nil {
		return err
	}
	common := jwt.Config{
		Issuer: a.config.Issuer, Audience: []string{a.config.ClientID}, Keys: keys, Now: a.config.Now,
		Algorithms: []jwk.Algorithm{jwk.RS256, jwk.ES256, jwk.Ed25519, jwk.ES384, jwk.PS256},
	}
	common.Profile = jwt.IDToken
	if a.ids, err = jwt.NewVerifier(common); err != nil {
		return err
	}
	common.Profile, common.MaxAge = jwt.LogoutToken, maxLogoutAge
	a.logout, err = jwt.NewVerifier(common)
	return err
}

// endpoint is the URL of one of the authority's endpoints. Its metadata is not read, so that nobody who can alter
// that moves credentials elsewhere.
func (a *App) endpoint(path string) string {
	return strings.TrimSuffix(a.config.Issuer, "/") + path
}

// RedirectURI has to be registered for the app's client at the authority.
func (a *App) RedirectURI() string { return a.config.PublicURL + a.config.Path + "/callback" }

// BackChannelURI is where the authority tells of sign-outs (backchannel_logout_uri).
func (a *App) BackChannelURI() string { return a.config.PublicURL + a.config.Path + "/back-channel" }

// SignedOutURI has to be registered for the app's client at the authority (post_logout_redirect_uris).
func (a *App) SignedOutURI() string { return a.config.PublicURL + a.config.SignedOutPath }

func (a *App) routes() *http.ServeMux {
	mux := http.NewServeMux()
	own := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, guarded(h)) }
	own("GET "+a.config.Path+"/sign-in", a.signIn)
	own("GET "+a.config.Path+"/callback", a.callback)
	own("GET "+a.config.Path+"/session", a.session)
	own("POST "+a.config.Path+"/sign-out", a.sameOrigin(a.signOut))
	own("POST "+a.config.Path+"/back-channel", a.backChannel)
	for _, up := range a.config.Upstreams {
		mux.Handle(up.Path, a.proxy(up))
	}
	return mux
}

// guarded has every answer of the app's own routes kept out of caches, frames and referrers.
func guarded(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		next(w, r)
	})
}

// ServeHTTP serves the routes below Config.Path and those of the upstreams, and 404 for anything else.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Close waits for refreshes that are under way, so that none is lost between the authority and the store.
func (a *App) Close() error {
	a.work.Wait()
	return nil
}

func (a *App) now() time.Time { return a.config.Now().Round(0) }

// Stats are counts since the start.
type Stats struct {
	SignIns         uint64 // finished
	Refused         uint64 // sign-ins that came back and were not accepted
	SignOuts        uint64 // by the person
	Ended           uint64 // sessions ended by the authority, by a refused refresh or on the back channel
	Refreshes       uint64
	RefreshFailures uint64 // that may work again
}

type counters struct{ SignIns, Refused, SignOuts, Ended, Refreshes, RefreshFailures atomic.Uint64 }

// Stats returns the counts so far.
func (a *App) Stats() Stats {
	c := &a.stats
	return Stats{c.SignIns.Load(), c.Refused.Load(), c.SignOuts.Load(), c.Ended.Load(), c.Refreshes.Load(), c.RefreshFailures.Load()}
}
