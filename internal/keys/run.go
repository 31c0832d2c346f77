package keys

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

// recheck is how long a refresh key that grants still need is left alone.
const recheck = time.Hour

// Run keeps the rings up to date and makes the steps that are due, until ctx is
// done. Every node runs it; of those that decide the same, one wins each step.
func (r *Rings) Run(ctx context.Context) {
	for {
		if err := r.read(ctx); err != nil {
			if ctx.Err() == nil {
				r.cfg.Logger.ErrorContext(ctx, "key rings not read; trying again", "error", err)
			}
		} else if err := r.Step(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Logger.ErrorContext(ctx, "key ring not changed; trying again", "error", err)
		}
		wait := time.NewTimer(r.pause())
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-r.stir:
			wait.Stop()
		case <-wait.C:
		}
	}
}

// read is Reload, for no longer than a moment: callers with something to sign wait
// for it when it is overdue.
func (r *Rings) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	return r.Reload(ctx)
}

// pause is until the next look. Nodes differ a little, so that not all of them make
// a key of which one is used.
func (r *Rings) pause() time.Duration {
	poll := r.cfg.Schedule.poll()
	return poll/2 + rand.N(poll/2+1) //nolint:gosec // spreads load, keeps no secret
}

// Stir makes Run look at once: the log has told of a change.
func (r *Rings) Stir() {
	select {
	case r.stir <- struct{}{}:
	default:
	}
}

// Step makes every step that is due by what is held. A step that another node made
// first is no error.
func (r *Rings) Step(ctx context.Context) error {
	r.stepping.Lock()
	defer r.stepping.Unlock()
	var problems []error
	for ring := range r.now.Load().stored {
		for t, ok := r.firstDue(ring); ok; t, ok = r.firstDue(ring) {
			if err := r.take(ctx, ring, t); err != nil {
				problems = append(problems, err)
				break
			}
		}
	}
	return errors.Join(problems...)
}

// firstDue is a step that the ring needs now.
func (r *Rings) firstDue(ring string) (task, bool) {
	now, keys := r.cfg.Now(), r.now.Load().stored[ring]
	for _, t := range r.cfg.Schedule.tasks(ring, r.slots(ring, keys), keys) {
		left := t.do == retire && now.Sub(r.used[t.key.ID]) < recheck // for a while
		if !now.Before(t.at) && !left {
			return t, true
		}
	}
	return task{}, false
}

// take makes one step of the schedule. If another node was faster, what it made is
// read, and decides about the next.
func (r *Rings) take(ctx context.Context, ring string, t task) error {
	keys := r.now.Load().stored[ring]
	step, err := r.stepFor(ctx, ring, keys, t)
	if err != nil || step.Ring == "" {
		return err
	}
	err = r.make(ctx, step, keys)
	if errors.Is(err, authority.ErrConflict) {
		return r.Reload(ctx)
	}
	return err
}

func (r *Rings) stepFor(ctx context.Context, ring string, keys []authority.Key, t task) (step authority.KeyStep, err error) {
	switch t.do {
	case stage:
		step, _, err = r.stageStep(ring, t.slot.alg, keys, scheduled)
		if err == nil && t.key.Algorithm != string(t.slot.alg) { // a change of algorithm does not wait for the period
			step.Create[0].DueAt = step.Now
		}
	case activate:
		step, _, err = r.activateStep(t.key, keys, scheduled)
	case restore:
		// In the id ring the slot is new: its key is published first, like any other.
		if ring == authority.RingID {
			step, _, err = r.stageStep(ring, t.slot.alg, keys, scheduled)
		} else {
			step, _, err = r.restoreStep(ring, t.slot.alg, keys, scheduled)
		}
	case retire:
		if ring == authority.RingRefresh && r.needed(ctx, t.key.ID) {
			return authority.KeyStep{}, nil
		}
		step, _, err = r.retireStep(t.key, keys, scheduled)
	case forget:
		step = r.newStep(ring, keys, authority.EventKeyForgotten, t.key.ID, scheduled)
		step.Forget = []string{t.key.ID}
	}
	return step, err
}

// needed reports whether a live grant's refresh token was made with the key. A
// client may have grants that live longer than the schedule assumes.
func (r *Rings) needed(ctx context.Context, id string) bool {
	now := r.cfg.Now()
	used, err := r.cfg.Store.RefreshKeyInUse(ctx, id, now)
	if err != nil {
		r.cfg.Logger.ErrorContext(ctx, "grants of a refresh key not read; it stays", "error", err)
	}
	if used || err != nil {
		r.used[id] = now
		return true
	}
	delete(r.used, id)
	return false
}
