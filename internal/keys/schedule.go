package keys

import (
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

// Schedule says how long keys stay in each state. A zero field has its default.
//
// Times are compared across nodes, and with what a node wrote when it made a
// step. So each wait holds twice the Skew, for the one whose clock is ahead and
// the one whose clock is behind, and Stale, for a node that learns of a step late.
type Schedule struct {
	// How long a key of each ring signs before the next takes over.
	Access  time.Duration // default 30 days
	ID      time.Duration // default 90 days
	Refresh time.Duration // default 90 days
	Flow    time.Duration // default 30 days
	Shared  time.Duration // of every other ring; default 30 days

	// Cache is how long a verifier may keep the published set; default 10 min.
	Cache time.Duration
	// Staging is how long a key is published before it signs, at least
	// Cache + Stale + 2 Skew; default 1 h.
	Staging time.Duration
	// Skew is by how much a node's clock may be wrong; default 1 min, negative is none.
	Skew time.Duration
	// Stale is how old a node's knowledge of the rings may be when it signs;
	// default 1 min, or less if Staging leaves less.
	Stale time.Duration

	// How long what each ring signs may live.
	AccessLife  time.Duration // default 1 h; of shared rings too
	IDLife      time.Duration // default 24 h
	RefreshLife time.Duration // default 90 days
	FlowLife    time.Duration // default 31 days
}

const (
	day = 24 * time.Hour

	// leeway is how long after its expiry a verifier may accept a token (package jwt).
	leeway = time.Minute
	// remembered is how long keys that verify nothing any more are kept for the record.
	remembered = 400 * day
)

// WithDefaults returns the schedule with defaults, or what is wrong with it.
func (s Schedule) WithDefaults() (Schedule, error) {
	for _, d := range []struct {
		field     *time.Duration
		otherwise time.Duration
	}{
		{&s.Access, 30 * day}, {&s.ID, 90 * day}, {&s.Refresh, 90 * day}, {&s.Flow, 30 * day}, {&s.Shared, 30 * day},
		{&s.Cache, 10 * time.Minute}, {&s.Staging, time.Hour}, {&s.Skew, time.Minute},
		{&s.AccessLife, time.Hour}, {&s.IDLife, day}, {&s.RefreshLife, 90 * day}, {&s.FlowLife, 31 * day},
	} {
		if *d.field == 0 {
			*d.field = d.otherwise
		}
	}
	slack := s.Staging - s.Cache - 2*s.skew()
	if s.Stale == 0 {
		s.Stale = min(time.Minute, slack)
	}
	var problems []error
	if s.Stale <= 0 || s.Stale > slack {
		problems = append(problems, fmt.Errorf("keys: a key must be staged for longer than %v, the cache time of the key set and twice the clock skew", s.Cache+2*s.skew()))
	}
	for _, ring := range []string{authority.RingAccess, authority.RingID, authority.RingRefresh, authority.RingFlow, ""} {
		if s.Period(ring) < s.Staging {
			problems = append(problems, fmt.Errorf("keys: the period of ring %q is shorter than the time a key is staged", ring))
		}
	}
	return s, errors.Join(problems...)
}

func (s Schedule) skew() time.Duration { return max(s.Skew, 0) }

// Period is how long a key of the ring signs.
func (s Schedule) Period(ring string) time.Duration {
	switch ring {
	case authority.RingAccess:
		return s.Access
	case authority.RingID:
		return s.ID
	case authority.RingRefresh:
		return s.Refresh
	case authority.RingFlow:
		return s.Flow
	}
	return s.Shared
}

// Retiring is how long a key of the ring verifies after it stopped signing: until
// the last thing it can have signed has expired, for the slowest clock.
func (s Schedule) Retiring(ring string) time.Duration {
	life := s.AccessLife
	switch ring {
	case authority.RingID:
		life = s.IDLife
	case authority.RingRefresh:
		life = s.RefreshLife
	case authority.RingFlow:
		life = s.FlowLife
	}
	return life + leeway + s.Stale + 2*s.skew()
}

// StagedUntil is when a staged key may become active at the earliest.
func (s Schedule) StagedUntil(k authority.Key) time.Time { return k.ChangedAt.Add(s.Staging) }

// poll is how often a node reads the rings without being told to.
func (s Schedule) poll() time.Duration { return min(s.Stale/4, 10*time.Second) }

// action is a kind of step.
type action int

const (
	stage    action = iota // make the next key of a slot and publish it
	activate               // let the staged key take over
	restore                // a slot has no active key: make one now
	retire                 // what the key signed has expired
	forget                 // the record of a dead key is old
)

// task is a step that a ring needs at a time.
type task struct {
	do   action
	at   time.Time
	slot slot
	key  authority.Key // that the step is about; for stage the active one
}

// tasks lists what becomes due in a ring, in no order. It is the schedule: any
// node that reads the same keys decides the same.
func (s Schedule) tasks(ring string, slots []slot, keys []authority.Key) []task {
	var out []task
	for _, sl := range slots {
		active, hasActive := newest(keys, sl.name, authority.KeyActive)
		staged, hasStaged := newest(keys, sl.name, authority.KeyStaged)
		rotate := active.ChangedAt.Add(s.Period(ring))
		switch {
		case !hasActive && hasStaged:
			out = append(out, task{activate, s.StagedUntil(staged), sl, staged})
		case !hasActive:
			out = append(out, task{do: restore, slot: sl})
		case hasStaged:
			at := rotate
			if !staged.DueAt.IsZero() {
				at = staged.DueAt
			}
			out = append(out, task{activate, later(at, s.StagedUntil(staged)), sl, staged})
		case active.Algorithm != string(sl.alg):
			out = append(out, task{do: stage, slot: sl, key: active})
		default:
			out = append(out, task{stage, rotate.Add(-s.Staging), sl, active})
		}
	}
	for _, k := range keys {
		switch k.State {
		case authority.KeyRetiring:
			out = append(out, task{do: retire, at: k.ChangedAt.Add(s.Retiring(ring)), key: k})
		case authority.KeyRetired, authority.KeyCompromised:
			out = append(out, task{do: forget, at: k.ChangedAt.Add(remembered), key: k})
		case authority.KeyStaged, authority.KeyActive:
		}
	}
	return out
}

func newest(keys []authority.Key, slot string, state authority.KeyState) (found authority.Key, ok bool) {
	for _, k := range keys {
		if k.Slot == slot && k.State == state && (!ok || k.CreatedAt.After(found.CreatedAt)) {
			found, ok = k, true
		}
	}
	return found, ok
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
