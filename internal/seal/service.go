package seal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// Config says where data keys rest and what wraps them.
type Config struct {
	Store   authority.SealStore
	Masters []Master // the first wraps, all unwrap; at least one
	// Patience is how long Open waits for a master key that cannot be reached;
	// default one minute.
	Patience time.Duration
	// KeepOld is how long a data key stays after the next one was made, however
	// soon nothing is sealed under it any more: somebody may have sealed with it
	// just before and be about to write. Default one day.
	KeepOld time.Duration
	Now     func() time.Time
	Logger  *slog.Logger
}

// Service holds the unwrapped data keys. It is safe for concurrent use.
type Service struct {
	cfg    Config
	direct []*secret.Sealer // of the master keys that can seal directly
	sealer *secret.Sealer
	wake   chan struct{} // holds one token when there may be something to seal again

	mu     sync.Mutex       // guards loading and changing of keys
	held   []secret.DataKey // oldest first
	missed time.Time        // when a data key was last looked for in vain
}

const defaultPatience = time.Minute

// findEvery and findPatience bound what an unknown data key can cost.
const (
	findEvery    = 5 * time.Second
	findPatience = 10 * time.Second
)

// Open unwraps the data keys, or makes the first one if the store has none.
// Whatever is in the store must open with the configured master keys; if not,
// Open fails before it has written anything.
func Open(ctx context.Context, cfg Config) (*Service, error) {
	if cfg.Store == nil || len(cfg.Masters) == 0 {
		return nil, errors.New("seal: Store and at least one of Masters are required")
	}
	setDefault(&cfg.Patience, defaultPatience)
	setDefault(&cfg.KeepOld, 24*time.Hour)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{cfg: cfg, wake: make(chan struct{}, 1)}
	for _, m := range cfg.Masters {
		if d, ok := m.(interface{ Direct() *secret.Sealer }); ok {
			s.direct = append(s.direct, d.Direct())
		}
	}
	s.sealer = secret.NewDataSealer(s.direct, s.find)
	if err := s.patiently(ctx, s.start); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	s.wake <- struct{}{} // what was not finished before
	return s, nil
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d <= 0 {
		*d = to
	}
}

// Sealer is what owners of secret columns seal and open with. It follows every
// rotation.
func (s *Service) Sealer() *secret.Sealer { return s.sealer }

// patiently runs step again while the master key cannot be reached.
func (s *Service) patiently(ctx context.Context, step func(context.Context) error) error {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Patience)
	defer cancel()
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := step(ctx)
		if !errors.Is(err, ErrUnavailable) {
			return err
		}
		s.cfg.Logger.WarnContext(ctx, "waiting for the master key", "error", err, "patience", s.cfg.Patience)
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			if parent.Err() != nil {
				return parent.Err()
			}
			return fmt.Errorf("gave up after %v: %w", s.cfg.Patience, err)
		}
	}
}

// start loads the data keys and makes the first. Nodes that start at once on an
// empty store use the one of the winner.
func (s *Service) start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil || len(s.held) > 0 {
		return err
	}
	if err := s.opensDirectly(ctx); err != nil {
		return err
	}
	err := s.add(ctx, authority.System, "first start")
	if errors.Is(err, authority.ErrConflict) {
		s.cfg.Logger.InfoContext(ctx, "another node made the first data key; using that one")
		return s.load(ctx)
	}
	return err
}

// load unwraps every data key of the store. The caller holds mu.
func (s *Service) load(ctx context.Context) error {
	stored, err := s.cfg.Store.DataKeys(ctx)
	if err != nil {
		return err
	}
	var held []secret.DataKey
	for _, k := range stored {
		key, ok := s.holds(k.ID)
		if !ok {
			if key, err = masters(s.cfg.Masters).unwrap(ctx, k.ID, Wrapped{k.Master, k.Wrapped}); err != nil {
				return err
			}
		}
		held = append(held, key)
	}
	return s.hold(held)
}

func (s *Service) holds(id secret.ID) (secret.DataKey, bool) {
	for _, k := range s.held {
		if k.ID == id {
			return k, true
		}
	}
	return secret.DataKey{}, false
}

func (s *Service) hold(keys []secret.DataKey) error {
	if err := s.sealer.Hold(keys); err != nil {
		return err
	}
	s.held = keys
	return nil
}

// opensDirectly makes sure, before the first data key is made, that everything
// in a database from before there were data keys opens with a configured key.
func (s *Service) opensDirectly(ctx context.Context) error {
	return s.walk(ctx, func(values []authority.SealedValue) error {
		for _, v := range values {
			if _, err := s.sealer.Open(v.Sealed, v.Place); err != nil {
				return fmt.Errorf("the sealing key does not open what is in the store; start with the sealing key it was made with, or with an empty store: %w", err)
			}
		}
		return nil
	})
}

// walk hands every sealed value to visit, in slices.
func (s *Service) walk(ctx context.Context, visit func([]authority.SealedValue) error) error {
	for after := ""; ; {
		values, next, err := s.cfg.Store.Sealed(ctx, after, sliceRows)
		if err != nil {
			return err
		}
		if err := visit(values); err != nil {
			return err
		}
		if next == "" {
			return nil
		}
		after = next
	}
}

// add makes a data key and begins to seal with it once it is stored. The caller
// holds mu.
func (s *Service) add(ctx context.Context, actor authority.Actor, reason string) error {
	now := s.cfg.Now()
	var after secret.ID
	if n := len(s.held); n > 0 {
		after = s.held[n-1].ID
		if earliest := after.Time().Add(time.Millisecond); now.Before(earliest) {
			now = earliest // a clock that was set back: ids keep their order
		}
	}
	key := secret.NewDataKey(secret.NewID(now))
	w, err := masters(s.cfg.Masters).wrap(ctx, key)
	if err != nil {
		return err
	}
	stored := authority.DataKey{ID: key.ID, Master: w.Master, Wrapped: w.Key, CreatedAt: now, WrappedAt: now}
	if err := s.cfg.Store.AddDataKey(ctx, stored, after, s.event(authority.EventDataKeyCreated, actor, reason, stored)); err != nil {
		return err
	}
	return s.hold(append(s.held[:len(s.held):len(s.held)], key))
}

func (s *Service) event(t authority.EventType, actor authority.Actor, reason string, k authority.DataKey) authority.Event {
	return authority.Event{
		ID: secret.NewID(s.cfg.Now()), Type: t, Actor: actor, Reason: reason,
		Data: map[string]string{"data_key": k.ID.String(), "master": k.Master},
	}
}

// find looks for a data key that another node has made.
func (s *Service) find(id secret.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.holds(id); ok || s.cfg.Now().Sub(s.missed) < findEvery {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), findPatience)
	defer cancel()
	if err := s.load(ctx); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "data keys cannot be loaded again", "error", err)
	}
	if _, ok := s.holds(id); !ok {
		s.missed = s.cfg.Now()
	}
}
