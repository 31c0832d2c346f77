package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/traces"
)

// Store is what carrying events out needs of the database.
type Store interface {
	authority.EventLog
	authority.DeliveryStore
}

// Config holds the parts and the patience of a Service.
type Config struct {
	Store    Store
	Sealer   *secret.Sealer
	Channels []Channel
	Now      func() time.Time
	Logger   *slog.Logger
	Traces   *traces.Provider // of deliveries; nil: nobody looks at them

	// Timeout of one attempt; default 10 s. A claim is held for three times as long.
	Timeout time.Duration
	// GiveUp is how long a delivery is tried; default 3 days.
	GiveUp time.Duration
	// Keep is how long a delivery stays in the log after its end; default 7 days.
	Keep time.Duration

	// Poll is how often this node looks for what other nodes wrote; default 1 s.
	// Its own work needs no looking for.
	Poll time.Duration

	// Observe, if set, is called after each attempt with its channel and how it
	// ended. It must be quick.
	Observe func(channel string, outcome Outcome)
}

// Outcome is how an attempt ended.
type Outcome string

const (
	Delivered Outcome = "delivered"
	Retried   Outcome = "retried" // failed, and will be tried again
	Failed    Outcome = "failed"  // failed, and given up
)

// restAfter is how long a loop rests when the store failed.
const restAfter = time.Second

// maxBody is the longest body of a message, in bytes.
const maxBody = 64 << 10

// Service plans and sends deliveries on one node.
type Service struct {
	cfg      Config
	channels map[string]Channel
	circuits circuits
	wake     chan struct{} // holds a token when there may be something to send

	mu   sync.Mutex
	busy map[string]bool // guarded by mu: lanes that are being served
	work sync.WaitGroup  // one for each of them
}

// New checks cfg and returns a service that does nothing until Run.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Sealer == nil {
		return nil, errors.New("notify: Store and Sealer are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, Outcome) {}
	}
	setDefault(&cfg.Timeout, 10*time.Second)
	setDefault(&cfg.GiveUp, 72*time.Hour)
	setDefault(&cfg.Keep, 7*24*time.Hour)
	setDefault(&cfg.Poll, time.Second)
	s := &Service{
		cfg: cfg, channels: make(map[string]Channel), wake: make(chan struct{}, 1), busy: make(map[string]bool),
	}
	for _, c := range cfg.Channels {
		if _, taken := s.channels[c.Name()]; taken {
			return nil, fmt.Errorf("notify: two channels are named %q", c.Name())
		}
		s.channels[c.Name()] = c
	}
	return s, nil
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d == 0 {
		*d = to
	}
}

// Run plans and sends until ctx is done. Attempts under way then have a moment
// to end; those that do not are given back, for the next process or another node.
func (s *Service) Run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { s.plan(ctx) })
	loops.Go(func() { s.send(ctx) })
	loops.Wait()
	s.work.Wait()
}

// Wake has the service look at once for what there is to send.
func (s *Service) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Retry has a delivery that failed, or waits for its next attempt, tried now,
// and for as long again as a new one. authority.ErrConflict: it was delivered.
func (s *Service) Retry(ctx context.Context, actor authority.Actor, id secret.ID, reason string) error {
	d, err := s.cfg.Store.Delivery(ctx, id)
	if err != nil {
		return fmt.Errorf("retry a delivery: %w", err)
	}
	now := s.cfg.Now()
	e := authority.Event{
		ID: secret.NewID(now), Type: authority.EventDeliveryRetried, Actor: actor, Reason: reason, Data: about(d),
	}
	if err := s.cfg.Store.RetryDelivery(ctx, id, now, now.Add(s.cfg.GiveUp), e); err != nil {
		return err
	}
	s.circuits.close(d.Lane)
	s.Wake()
	return nil
}

// about names a delivery in an event.
func about(d authority.Delivery) map[string]string {
	return map[string]string{
		"delivery": d.ID.String(), "channel": d.Channel, "target": d.Target, "event": d.EventID.String(), "event_type": string(d.EventType),
	}
}

// rest waits, unless ctx is done first.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
