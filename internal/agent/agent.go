package agent

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/jwk"
)

// Agent answers for one API. It is safe for concurrent use.
type Agent struct {
	cfg     Config
	log     *slog.Logger
	guard   *jeton.Guard
	metrics *metrics
	handler http.Handler
	told    sync.Map // problems of proxies' configurations that have been logged
}

// New checks the configuration, reports all its problems at once, and starts
// the guard. It waits for nothing: an agent may start before the authority.
func New(cfg Config, log *slog.Logger) (*Agent, error) {
	return newAgent(cfg, cfg.guard(), log)
}

// newAgent makes an agent with a guard of these settings.
func newAgent(cfg Config, settings jeton.Config, log *slog.Logger) (*Agent, error) {
	cfg.Listen = cmp.Or(cfg.Listen, DefaultListen)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	m := newMetrics()
	settings.Logger, settings.Observer = log, m.guard
	if cfg.SharedKeysFile != "" {
		secrets, err := jwk.NewSecretFile(jwk.SecretFileConfig{Path: cfg.SharedKeysFile, OnError: changes(log)})
		if err != nil {
			return nil, fmt.Errorf("shared-keys-file: %w", err)
		}
		settings.SharedKeys = secrets
	}
	guard, err := jeton.NewGuard(settings)
	if err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, log: log, guard: guard, metrics: m}
	m.guard.Follow(guard)
	a.handler = a.routes()
	return a, nil
}

// changes logs an error when it is another one than before: a bad file is looked
// at every second.
func changes(log *slog.Logger) func(error) {
	var last atomic.Pointer[string]
	return func(err error) {
		text := err.Error()
		if before := last.Swap(&text); before == nil || *before != text {
			log.Warn("the file of shared secrets cannot be used; those read before stay in use", "error", err)
		}
	}
}

// Handler serves everything an agent answers.
func (a *Agent) Handler() http.Handler { return a.handler }

// Ready reports whether the agent can decide about any token by itself.
func (a *Agent) Ready() bool { return a.guard.Ready() }

// Close stops the guard's background work and waits for it.
func (a *Agent) Close() error { return a.guard.Close() }

func (a *Agent) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /introspect", a.introspect)
	// Any method: some proxies ask with the method of the request they ask about.
	mux.HandleFunc(checkPath, a.check)
	if path := a.guard.MetadataPath(); path != "" {
		mux.Handle("GET "+path, a.guard.Metadata())
	}
	mux.HandleFunc("GET /livez", a.livez)
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.Handle("GET /metrics", a.metrics.handler())
	return a.counted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// What follows is the path of somebody else's request. The mux would clean it and redirect.
		if strings.HasPrefix(r.URL.Path, checkPath+"/") {
			r.Pattern = checkPath + "/"
			a.check(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}
