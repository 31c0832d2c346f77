package seal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// sliceRows is how many values are looked at, and at most sealed again, in one
// commit. slicePause lets others write between two that changed something.
const (
	sliceRows  = 100
	slicePause = 5 * time.Millisecond
	tidyEvery  = time.Hour
)

// Rewrap wraps every data key again by the first master key. Sealed values stay
// as they are. It is safe to repeat after any failure.
func (s *Service) Rewrap(ctx context.Context, actor authority.Actor, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, err := s.cfg.Store.DataKeys(ctx)
	if err != nil {
		return fmt.Errorf("rewrap: %w", err)
	}
	for _, k := range stored {
		if err := s.rewrap(ctx, k, actor, reason); err != nil {
			return fmt.Errorf("rewrap: %w", err)
		}
	}
	return nil
}

func (s *Service) rewrap(ctx context.Context, k authority.DataKey, actor authority.Actor, reason string) error {
	// Not what is held: the stored form is what must be good.
	key, err := masters(s.cfg.Masters).unwrap(ctx, k.ID, Wrapped{k.Master, k.Wrapped})
	if err != nil {
		return err
	}
	w, err := masters(s.cfg.Masters).wrap(ctx, key)
	if err != nil {
		return err
	}
	was := k.Wrapped
	k.Master, k.Wrapped, k.WrappedAt = w.Master, w.Key, s.cfg.Now()
	err = s.cfg.Store.RewrapDataKey(ctx, k, was, s.event(authority.EventDataKeyRewrapped, actor, reason, k))
	if errors.Is(err, authority.ErrConflict) || errors.Is(err, authority.ErrNotFound) {
		return nil // another node was faster, or removed it
	}
	return err
}

// Rotate makes a new data key, which seals from now on. What is sealed under
// older ones is sealed again by Run.
func (s *Service) Rotate(ctx context.Context, actor authority.Actor, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.add(ctx, actor, reason)
	if errors.Is(err, authority.ErrConflict) {
		// Another node has made one, or an earlier answer was lost.
		if err = s.load(ctx); err == nil {
			err = s.add(ctx, actor, reason)
		}
	}
	if err != nil {
		return fmt.Errorf("rotate the data key: %w", err)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// Run seals again what is not sealed under the newest data key, after each
// rotation and once at first, until ctx is done. Data keys that nothing is
// sealed under are removed when they are old enough.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-tick.C:
			if len(s.tidy()) == 0 {
				continue
			}
		}
		if err := s.Reseal(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.ErrorContext(ctx, "sealing again was interrupted; it goes on within the hour", "error", err)
		}
	}
}

// Reseal is one pass of Run: it seals again everything that is not sealed under
// the newest data key. It can be interrupted anywhere: what it has done stays,
// and the next pass does the rest.
func (s *Service) Reseal(ctx context.Context) error {
	current := s.sealer.Current()
	resealed, failed := 0, 0
	err := s.walk(ctx, func(values []authority.SealedValue) error {
		var changes []authority.Reseal
		for _, v := range values {
			if by, ok := secret.SealedBy(v.Sealed); ok && by == current {
				continue
			}
			plain, err := s.sealer.Open(v.Sealed, v.Place)
			if err != nil {
				failed++
				s.cfg.Logger.ErrorContext(ctx, "a sealed value does not open", "place", v.Place, "error", err)
				continue
			}
			changes = append(changes, authority.Reseal{Row: v.Row, Was: v.Sealed, New: s.sealer.Seal(plain, v.Place)})
		}
		if len(changes) == 0 {
			return nil
		}
		n, err := s.cfg.Store.Reseal(ctx, changes)
		resealed += n
		if err != nil {
			return err
		}
		select {
		case <-time.After(slicePause):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if resealed > 0 || failed > 0 {
		s.cfg.Logger.InfoContext(ctx, "sealed again under the newest data key", "values", resealed, "failed", failed)
	}
	if err != nil {
		return fmt.Errorf("seal again: %w", err)
	}
	for _, id := range s.tidy() {
		if err := s.remove(ctx, id); err != nil {
			return fmt.Errorf("remove data key %s: %w", id, err)
		}
	}
	return nil
}

// tidy lists the data keys that have had a successor for long enough.
func (s *Service) tidy() []secret.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var old []secret.ID
	for i := 0; i+1 < len(s.held); i++ {
		if s.cfg.Now().Sub(s.held[i+1].ID.Time()) >= s.cfg.KeepOld {
			old = append(old, s.held[i].ID)
		}
	}
	return old
}

// remove gives up a data key, unless something is sealed under it.
func (s *Service) remove(ctx context.Context, id secret.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.event(authority.EventDataKeyRemoved, authority.System, "nothing is sealed under it", authority.DataKey{ID: id})
	delete(e.Data, "master")
	err := s.cfg.Store.RemoveDataKey(ctx, id, e)
	switch {
	case errors.Is(err, authority.ErrConflict):
		return nil // in use; the next pass tries again
	case err != nil && !errors.Is(err, authority.ErrNotFound):
		return err
	}
	return s.load(ctx)
}

// KeyStatus is one data key and what it is good for.
type KeyStatus struct {
	authority.DataKey
	Current bool // seals
	Values  int  // sealed under it
}

// Status is what the store holds, and which master keys are configured.
type Status struct {
	Masters []string // the first wraps
	Keys    []KeyStatus
	Direct  int // values that were sealed under a master key itself, and wait to be sealed again
}

// Status counts what is sealed under which data key.
func (s *Service) Status(ctx context.Context) (Status, error) {
	status := Status{Masters: masters(s.cfg.Masters).names()}
	stored, err := s.cfg.Store.DataKeys(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("sealing: %w", err)
	}
	count := map[secret.ID]int{}
	err = s.walk(ctx, func(values []authority.SealedValue) error {
		for _, v := range values {
			if id, ok := secret.SealedBy(v.Sealed); ok {
				count[id]++
			}
		}
		return nil
	})
	if err != nil {
		return Status{}, fmt.Errorf("sealing: %w", err)
	}
	for i, k := range stored {
		status.Keys = append(status.Keys, KeyStatus{k, i == len(stored)-1, count[k.ID]})
	}
	status.Direct = count[secret.ID{}]
	return status, nil
}
