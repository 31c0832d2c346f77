package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/dpop"
	"github.com/jetonhq/jeton/internal/endpoint"
	"github.com/jetonhq/jeton/internal/feed"
	"github.com/jetonhq/jeton/internal/flow"
	"github.com/jetonhq/jeton/internal/grants"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/mail"
	"github.com/jetonhq/jeton/internal/mint"
	"github.com/jetonhq/jeton/internal/network"
	"github.com/jetonhq/jeton/internal/notify"
	"github.com/jetonhq/jeton/internal/notme"
	"github.com/jetonhq/jeton/internal/policies"
	"github.com/jetonhq/jeton/internal/provision"
	"github.com/jetonhq/jeton/internal/publish"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/throttle"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/internal/traces"
	"github.com/jetonhq/jeton/internal/upkeep"
	"github.com/jetonhq/jeton/internal/web"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

// maxAccessLifetime bounds every access token, and with it how long the
// revocation log keeps an entry.
const maxAccessLifetime = time.Hour

// Options are what a caller decides beside the configuration.
type Options struct {
	Logger *slog.Logger
	Now    func() time.Time // default time.Now
	Traces *traces.Provider // nil: nobody looks at traces. Who has opened it closes it
}

// Server is one node of the authority.
type Server struct {
	cfg      config.Config
	log      *slog.Logger
	now      func() time.Time
	node     string            // its name among the nodes
	records  authority.Records // the database
	store    authority.Store   // the same, or with a registry in Redis
	sealing  *seal.Service     // its Sealer is what owners of secret columns seal with
	rings    *keys.Rings
	feed     *feed.Feed
	tokens   *tokens.Service
	accounts *accounts.Service
	clients  *clients.Service
	mint     *mint.Service
	policies *policies.Service
	notMe    *notme.Service
	webhooks *notify.Webhooks
	notify   *notify.Service
	mail     *mail.Channel // nil: there is no mail server
	metrics  *metrics
	traces   *traces.Provider
	upkeep   *upkeep.Keeper
	attempts *attempts // nil: this is the only node
	probes   probes

	publishing *publish.Publisher // nil: to nowhere

	networkKey network.Key

	public   http.Handler
	manage   http.Handler
	stopping chan struct{} // closed when draining begins
	stopOnce sync.Once
	halt     context.CancelFunc // ends the background work
	work     sync.WaitGroup
}

// Open opens the store and the keys and starts the background work. It does
// not listen. Close it when done.
func Open(ctx context.Context, cfg config.Config, opts Options) (_ *Server, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: opts.Logger, now: opts.Now, metrics: newMetrics(), traces: opts.Traces, node: nodeName(), stopping: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	wrappers, err := cfg.Masters()
	if err != nil {
		return nil, err
	}
	sealing := seal.Config{Masters: wrappers, Patience: cfg.Sealing.Patience, Now: s.now, Logger: s.log}
	if err := s.openStore(ctx, sealing, opts.Now); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	sealing.Store = s.store
	if s.sealing, err = seal.Open(ctx, sealing); err != nil {
		return nil, err
	}
	s.rings, err = keys.Open(ctx, keys.Config{
		Store: s.store, Sealer: s.sealing.Sealer(), Now: s.now, Logger: s.log,
		AccessAlgorithm: jwk.Algorithm(cfg.Tokens.AccessAlgorithm), IDAlgorithms: algorithms(cfg.Keys.IDAlgorithms),
		Schedule: schedule(cfg), EndGrants: cfg.Keys.RefreshCompromise == "end",
		Applied: func(ctx context.Context, seq uint64) error { return s.feed.Applied(ctx, seq) },
	})
	if err != nil {
		return nil, err
	}
	if s.feed, err = feed.Open(ctx, feed.Config{
		Log: s.store, Now: s.now, Heartbeat: cfg.Feed.Heartbeat, Logger: s.log, Notes: s.store, Node: s.node,
	}); err != nil {
		return nil, err
	}
	if s.networkKey, err = openNetworkKey(ctx, s.store, s.sealing.Sealer()); err != nil {
		return nil, err
	}
	work, halt := context.WithCancel(context.WithoutCancel(ctx))
	s.halt = halt
	s.feed.View().Subscribe(s.keysMoved)
	s.work.Go(func() { s.feed.Run(work) })
	s.work.Go(func() { s.feed.Report(work) })
	s.work.Go(func() { s.rings.Run(work) })
	s.upkeep = upkeep.New(upkeep.Config{
		Store: s.store, Node: s.node, KeepEvents: cfg.Audit.Keep, Now: s.now, Logger: s.log, Swept: s.metrics.sweptSlice,
	})
	s.work.Go(func() { s.upkeep.Run(work) })
	s.work.Go(func() { s.sealing.Run(work) })
	if s.publishing, err = s.publisher(); err != nil {
		return nil, err
	}
	if s.publishing != nil {
		s.work.Go(func() { s.publishing.Run(work) })
	}
	if _, err := databasePath(cfg.Store.URL); err != nil {
		s.attempts = newAttempts(s.networkKey)
		s.work.Go(func() { s.share(work) })
	}
	s.metrics.watch(s)

	if err := s.assemble(); err != nil {
		return nil, err
	}
	if err := s.provision(ctx); err != nil {
		return nil, err
	}
	s.work.Go(func() { s.notify.Run(s.untilDrain(work)) })
	return s, nil
}

// assemble makes the services and their routes, from the bottom up.
func (s *Server) assemble() error {
	cfg := s.cfg
	audience := cfg.Tokens.DefaultAudience
	if audience == "" {
		audience = cfg.Issuer
	}
	var err error
	s.tokens, err = tokens.New(tokens.Config{
		NetworkKey: s.networkKey,
		Issuer:     cfg.Issuer, Store: s.store, Keys: s.rings, View: s.feed.View(), Log: s.feed, Now: s.now, Logger: s.log,
		AccessLifetime: cfg.Tokens.AccessLifetime, AccessJitter: cfg.Tokens.AccessJitter, MaxLifetime: maxAccessLifetime,
		IDLifetime: cfg.Tokens.IDLifetime, RefreshIdle: cfg.Tokens.RefreshIdle, RefreshAbsolute: cfg.Tokens.RefreshAbsolute,
	})
	if err != nil {
		return err
	}
	var people, programs *throttle.Table
	if s.attempts != nil {
		people, programs = s.attempts.people, s.attempts.clients
	}
	s.clients, err = clients.New(clients.Config{
		Attempts: programs,
		Store:    s.store, Events: s.store, Revoker: s.tokens, Now: s.now, DefaultAudience: audience, MaxAccessLifetime: maxAccessLifetime,
		IDTokenAlgorithms: s.rings.Algorithms,
		NewRing:           s.newRing, Changed: s.tokens.ForgetResources,
	})
	if err != nil {
		return err
	}
	s.mint = mint.New(mint.Config{
		Store: s.store, Tokens: s.tokens, Audience: s.clients.AudienceOf, MaxLifetime: maxAccessLifetime, Now: s.now, Logger: s.log,
	})
	s.accounts, err = accounts.New(accounts.Config{
		Attempts: people,
		IP:       authority.IPMode(cfg.Sessions.IP), Contexts: s.store, KnownFor: cfg.SignIn.KnownFor, NetworkKey: s.networkKey,
		Accounts: s.store, Sessions: s.store, Events: s.store, Revoker: s.tokens, Apps: s.store, Logger: s.log, Now: s.now,
		KeepStale: maxAccessLifetime, SessionIdle: cfg.Sessions.Idle, SessionAbsolute: cfg.Sessions.Absolute, MinPassword: cfg.SignIn.MinPassword, PasswordACR: cfg.SignIn.PasswordACR,
		Limits: accounts.Limits{
			AccountFailures: cfg.SignIn.AccountFailures, AddressFailures: cfg.SignIn.AddressFailures, Ceiling: cfg.SignIn.Ceiling,
			Delay: cfg.SignIn.Delay, MaxDelay: cfg.SignIn.MaxDelay, Window: cfg.SignIn.Window,
		},
	})
	if err != nil {
		return err
	}
	s.policies = policies.New(policies.Config{Store: s.store, Now: s.now, Keep: maxAccessLifetime})
	s.notMe = notme.New(notme.Config{Store: s.store, Revoker: s.tokens, Keys: s.rings, Now: s.now})
	if err := s.openNotify(); err != nil {
		return err
	}
	mux := http.NewServeMux()
	if err := s.mountProtocol(mux, audience); err != nil {
		return err
	}
	if err := s.mountPages(mux); err != nil {
		return err
	}
	s.public = s.outermost(s.probed(mux))
	s.manage, err = s.manageHandler()
	return err
}

func (s *Server) provisioner() *provision.Service {
	return &provision.Service{Accounts: s.accounts, Clients: s.clients, Policies: s.policies, Webhooks: s.webhooks, Now: s.now}
}

// provision brings the authority to the state that the configuration declares.
func (s *Server) provision(ctx context.Context) error {
	if s.cfg.Provision.Empty() {
		return nil
	}
	diff, err := s.provisioner().Apply(ctx, authority.System, s.cfg.Provision.Document(), "provision at start", false)
	if err != nil {
		return fmt.Errorf("server: provision: %w", err)
	}
	for _, c := range diff.Changes {
		if c.Action != admin.Keep {
			s.log.InfoContext(ctx, "provisioned", "action", c.Action, "kind", c.Kind, "name", c.Name)
		}
	}
	return nil
}

func (s *Server) mountProtocol(mux *http.ServeMux, audience string) error {
	proofs, err := s.proofs()
	if err != nil {
		return err
	}
	h, err := endpoint.New(endpoint.Config{
		Issuer: s.cfg.Issuer, Tokens: s.tokens, Mint: s.mint, Clients: s.clients, Keys: s.rings, Feed: s.feed, Logger: s.log,
		Grants: grants.New(grants.Config{
			Clients: s.clients, Codes: s.store, Mint: s.tokens, Revoker: s.tokens, Now: s.now, Logger: s.log, DefaultAudience: audience,
			Proofs: proofs, TokenURL: s.cfg.Issuer + "/token",
		}),
		Proofs: proofs,
		Caller: s.caller, Stopping: s.stopping, Origins: s.cfg.CORS.Origins, ACRValues: s.acrValues(),
	})
	if err != nil {
		return fmt.Errorf("server: endpoints: %w", err)
	}
	h.Mount(mux)
	return nil
}

// proofs checks DPoP proofs. Their nonces are those of this origin: clients keep
// one nonce for each.
func (s *Server) proofs() (*grants.Proofs, error) {
	verifier, err := jwt.NewProofVerifier(jwt.ProofConfig{Now: s.now})
	if err != nil {
		return nil, fmt.Errorf("server: proofs: %w", err)
	}
	p := &grants.Proofs{Verifier: verifier, Tickets: s.store, Now: s.now}
	if s.cfg.Tokens.DPoPNonce == config.Required {
		p.Nonces = &dpop.Nonces{Keys: s.rings.NonceKeys, Label: "authority", Now: s.now}
	}
	return p, nil
}

func (s *Server) mountPages(mux *http.ServeMux) error {
	f, err := flow.New(flow.Config{
		Issuer: s.cfg.Issuer, Clients: s.clients, Store: s.store, Hints: s.tokens, Now: s.now,
		CodeLifetime: s.cfg.Tokens.CodeLifetime, ACRValues: s.acrValues(), Key: s.rings.FlowKey, KeyByID: s.rings.FlowKeyByID,
	})
	if err != nil {
		return err
	}
	pages, err := web.New(web.Config{
		Issuer: s.cfg.Issuer, Flow: f, Accounts: s.accounts, NotMe: s.notMe, Logger: s.log, Addr: s.address, RequestID: requestID,
		RefreshAbsolute: s.cfg.Tokens.RefreshAbsolute,
	})
	if err != nil {
		return err
	}
	pages.Mount(mux)
	return nil
}

// acrValues are those that a sign-in here can reach.
func (s *Server) acrValues() []string { return []string{s.cfg.SignIn.PasswordACR} }

// Handler serves the public routes.
func (s *Server) Handler() http.Handler { return s.public }

// ManageHandler serves health, metrics and the admin API.
func (s *Server) ManageHandler() http.Handler { return s.manage }

// Drain ends the feed's streams and makes readiness say no. Requests go on
// being answered.
func (s *Server) Drain() { s.stopOnce.Do(func() { close(s.stopping) }) }

// Close ends the background work and closes the store. Everything that was
// answered is durable before; nothing is flushed here.
func (s *Server) Close() error {
	s.Drain()
	if s.halt != nil {
		s.halt()
	}
	s.work.Wait()
	if s.mail != nil {
		s.mail.Close()
	}
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}

// Parts are the services of an open server, for programs that drive one from
// inside: jetontest, and the benchmark's set-up.
type Parts struct {
	Store    authority.Store
	Accounts *accounts.Service
	Clients  *clients.Service
	Tokens   *tokens.Service
	Keys     *keys.Rings
	Mint     *mint.Service
	Sealer   *secret.Sealer
}

// Parts returns the services.
func (s *Server) Parts() Parts {
	return Parts{s.store, s.accounts, s.clients, s.tokens, s.rings, s.mint, s.sealing.Sealer()}
}
