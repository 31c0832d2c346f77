// Package upkeep removes what has expired, from one node of an authority at a
// time.
//
// Every node keeps asking for the lease (authority.Lease). The one that has it
// sweeps, in slices small enough that serving does not notice, and moves the lease
// with each of them. A node that has seen the lease stand still for some rounds of
// its own takes it over: no clock of another node is believed, so neither a node
// that died nor one whose clock is wrong stops upkeep.
//
// Two nodes may sweep at once, when the first was only slow. That is safe: a slice
// removes rows that have expired, each of which goes once, and what it counts as
// expired is the store's to say.
package upkeep

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

// What one round does at most, and how long a lease stands still before another
// node takes it.
const (
	Every      = 10 * time.Second
	sliceRows  = 2000
	sliceLimit = 50
	patience   = 3 // rounds
	// dueLimit is as far as what is due is counted, of each kind.
	dueLimit = 10_000
	// goodbye bounds giving the lease back.
	goodbye = time.Second
)

// Afterlife is how long what expired stays. A verifier whose clock runs behind
// may ask about a token that has expired, and must not be told that it was never
// issued: that raises an alarm. And a code that is presented again a little late
// is still recognised as a replay (OAuth 2.1 section 4.1.3).
const Afterlife = 2 * time.Minute

// Store is the part of the store that upkeep needs.
type Store interface {
	Lease(ctx context.Context, task string) (authority.Lease, error)
	MoveLease(ctx context.Context, l authority.Lease) error
	Sweep(ctx context.Context, now time.Time, keepEvents time.Duration, limit int) (authority.Swept, error)
	Backlog(ctx context.Context, now time.Time, keepEvents time.Duration, limit int) ([]authority.Due, error)
}

// Config holds a keeper's parts.
type Config struct {
	Store      Store
	Node       string        // name of this node, which no other has
	KeepEvents time.Duration // as for Sweep
	Now        func() time.Time
	Logger     *slog.Logger
	Swept      func(authority.Swept) // is told of each slice
}

// Keeper is one node's part in upkeep.
type Keeper struct {
	cfg Config

	round sync.Mutex // held by the one round that is under way
	still int        // guarded by round: rounds in which the lease of another stood still

	mu     sync.Mutex
	status Status // guarded by mu
}

// Status is what a keeper knows.
type Status struct {
	Lease authority.Lease // as this node saw it last
	Holds bool            // it is this node's
	Due   []Due           // after the last round; of the holder alone
}

// Due is what there is to do of one kind of row.
type Due struct {
	Kind string
	Rows int       // at most 10,000
	From time.Time // since when the first could have been removed; zero: there is none
}

// New makes a keeper.
func New(cfg Config) *Keeper { return &Keeper{cfg: cfg} }

// Status is what this node knows of upkeep.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Run makes rounds until ctx is done, and gives the lease back.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			k.resign(context.WithoutCancel(ctx))
			return
		case <-tick.C:
			k.Round(ctx)
		}
	}
}

// Round asks for the lease and, with it, sweeps once.
func (k *Keeper) Round(ctx context.Context) {
	k.round.Lock()
	defer k.round.Unlock()
	if err := k.once(ctx); err != nil && ctx.Err() == nil {
		k.cfg.Logger.ErrorContext(ctx, "upkeep failed", "error", err)
	}
}

func (k *Keeper) once(ctx context.Context) error {
	mine, err := k.claim(ctx)
	if err != nil || !mine {
		return err
	}
	if err := k.sweep(ctx); err != nil {
		return err
	}
	due, err := k.cfg.Store.Backlog(ctx, k.before(), k.cfg.KeepEvents, dueLimit)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Due = nil
	for _, d := range due {
		found := Due{Kind: d.Kind, Rows: d.Rows}
		if d.Rows > 0 {
			found.From = d.Oldest.Add(Afterlife)
		}
		k.status.Due = append(k.status.Due, found)
	}
	return nil
}

// before is the time before which what has expired goes.
func (k *Keeper) before() time.Time { return k.cfg.Now().Add(-Afterlife) }

// claim reports whether this node has the lease, and takes one that is free or has
// stood still.
func (k *Keeper) claim(ctx context.Context) (bool, error) {
	l, err := k.cfg.Store.Lease(ctx, authority.TaskUpkeep)
	if err != nil {
		return false, err
	}
	switch last := k.saw(l); {
	case l.Holder == k.cfg.Node:
		return true, nil
	case l.Holder == "":
	case l.Turn != last.Turn:
		k.still = 0
		return false, nil
	default:
		if k.still++; k.still < patience {
			return false, nil
		}
		k.cfg.Logger.WarnContext(ctx, "upkeep is taken over from a node that has not been heard of", "node", l.Holder)
	}
	k.still = 0
	return k.move(ctx, false)
}

// saw notes the lease and returns the one before.
func (k *Keeper) saw(l authority.Lease) (last authority.Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	last = k.status.Lease
	k.status.Lease, k.status.Holds = l, l.Holder == k.cfg.Node
	if !k.status.Holds {
		k.status.Due = nil
	}
	return last
}

// move takes the lease, or keeps it. It reports false if somebody else has moved it
// meanwhile.
func (k *Keeper) move(ctx context.Context, ran bool) (bool, error) {
	l := k.Status().Lease
	l.Holder = k.cfg.Node
	if ran {
		l.RanAt = k.cfg.Now()
	}
	err := k.cfg.Store.MoveLease(ctx, l)
	switch {
	case errors.Is(err, authority.ErrConflict):
		k.saw(authority.Lease{Task: l.Task})
		return false, nil
	case err != nil:
		return false, err
	}
	l.Turn++
	k.saw(l)
	return true, nil
}

// sweep removes slices until nothing is left, the lease is lost, or the next round
// is due.
func (k *Keeper) sweep(ctx context.Context) error {
	began := time.Now()
	for slice := range sliceLimit {
		swept, err := k.cfg.Store.Sweep(ctx, k.before(), k.cfg.KeepEvents, sliceRows)
		if err != nil {
			return err
		}
		k.cfg.Swept(swept)
		last := !swept.More || slice == sliceLimit-1 || time.Since(began) > Every
		if mine, err := k.move(ctx, last); err != nil || !mine || last {
			return err
		}
	}
	return nil
}

// resign gives the lease back, so that the next node need not wait.
func (k *Keeper) resign(ctx context.Context) {
	k.round.Lock()
	defer k.round.Unlock()
	status := k.Status()
	if !status.Holds {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, goodbye)
	defer cancel()
	l := status.Lease
	l.Holder = ""
	if err := k.cfg.Store.MoveLease(ctx, l); err != nil && !errors.Is(err, authority.ErrConflict) {
		k.cfg.Logger.WarnContext(ctx, "upkeep was not given back; another node takes it over later", "error", err)
	}
}
