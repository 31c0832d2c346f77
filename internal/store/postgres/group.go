package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/head"
	"github.com/jetonhq/jeton/internal/traces"
)

const (
	// maxBatch bounds one commit, so that a burst does not make the first caller
	// wait for the last.
	maxBatch = 512
	// maxFlights is how many commits of a kind are under way at most.
	maxFlights = 2
	// crowd is how many calls wait before a commit is begun beside another. Fewer
	// are one batch when that is over, because a few large batches cost the database
	// half of what many small ones do.
	crowd = 128
	// stuck is how long a commit takes before others no longer wait for it.
	stuck = 50 * time.Millisecond
)

// States of a call. Who writes it moves it to started, a caller whose context is
// done moves it to abandoned; whoever comes first wins.
const (
	waiting int32 = iota
	started
	abandoned
)

// call is one caller that waits for a commit. err is written before done is closed.
type call[T any] struct {
	arg   T
	state atomic.Int32
	err   error
	done  chan struct{}
}

// group gathers calls of one kind. What queues up while others are written is the
// next batch: nothing ever waits for a batch to fill.
type group[T any] struct {
	store *Store
	what  string
	max   int  // calls that may wait
	batch int  // calls in a commit at most
	limit int  // commits under way at most
	crowd int  // calls that wait before there is more than one
	reads bool // nothing is committed
	// write makes a batch durable and says, in order, what became of each. An error
	// is everybody's answer.
	write func(ctx context.Context, conn *pgxpool.Conn, args []T) ([]error, error)

	mu      sync.Mutex
	queue   []*call[T] // guarded by mu
	flights int        // guarded by mu
	slow    int        // commits that are stuck; guarded by mu
	closed  bool       // guarded by mu
	work    sync.WaitGroup
}

// do returns once the call is durable, or refused. A context that is done before
// the call is begun means that it never happens; after that the context no longer
// matters and the answer is the true one.
func (g *group[T]) do(ctx context.Context, arg T) (err error) {
	ctx, span := traces.Begin(ctx, "store", g.what)
	defer func() { span.End(err) }()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", g.what, err)
	}
	c := &call[T]{arg: arg, done: make(chan struct{})}
	if err := g.enqueue(c); err != nil {
		return fmt.Errorf("%s: %w", g.what, err)
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(waiting, abandoned) {
			return fmt.Errorf("%s: %w", g.what, ctx.Err())
		}
		<-c.done
	}
	if c.err != nil {
		return fmt.Errorf("%s: %w", g.what, c.err)
	}
	return nil
}

func (g *group[T]) enqueue(c *call[T]) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return head.ErrClosed
	case len(g.queue) >= g.max:
		return authority.ErrBusy
	}
	g.queue = append(g.queue, c)
	g.begin()
	return nil
}

// begin starts a flight if calls wait that no other will take soon. It needs mu.
func (g *group[T]) begin() {
	if len(g.queue) > 0 && g.flights < g.limit && (g.flights <= g.slow || len(g.queue) >= g.crowd) {
		g.flights++
		g.work.Go(g.fly)
	}
}

// fly writes batches for as long as calls wait.
func (g *group[T]) fly() {
	for batch := g.take(); batch != nil; batch = g.take() {
		late := time.AfterFunc(stuck, func() { g.delayed(1) })
		g.commit(batch)
		if !late.Stop() {
			g.delayed(-1)
		}
	}
}

// delayed counts a flight that is stuck, or no longer is.
func (g *group[T]) delayed(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slow += n
	g.begin()
}

// take moves calls from the queue, without those whose callers gave up, or ends
// this flight.
func (g *group[T]) take() (batch []*call[T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flights-1 > g.slow && len(g.queue) < g.crowd {
		g.flights-- // another takes them
		return nil
	}
	n := 0
	for n < len(g.queue) && len(batch) < g.batch {
		if c := g.queue[n]; c.state.CompareAndSwap(waiting, started) {
			batch = append(batch, c)
		}
		n++
	}
	clear(g.queue[:n])
	if g.queue = g.queue[n:]; len(g.queue) == 0 {
		g.queue = nil
	}
	if batch == nil {
		g.flights--
	}
	return batch
}

func (g *group[T]) commit(batch []*call[T]) {
	began := time.Now()
	outcomes, err := g.attempt(batch)
	if len(batch) > 1 && unstorable(err) {
		// One of them did it: each is on its own.
		for _, c := range batch {
			g.commit([]*call[T]{c})
		}
		return
	}
	for i, c := range batch {
		if c.err = taken(err); err == nil {
			c.err = outcomes[i]
		}
		close(c.done)
	}
	if !g.reads {
		g.store.committed(len(batch), began)
	}
}

func (g *group[T]) attempt(batch []*call[T]) (outcomes []error, err error) {
	args := make([]T, len(batch))
	for i, c := range batch {
		args[i] = c.arg
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = g.store.repeat(ctx, g.what, func(conn *pgxpool.Conn) (err error) {
		outcomes, err = g.write(ctx, conn, args)
		return err
	})
	return outcomes, err
}

// unstorable reports whether the database refused a value: one that it cannot hold
// (SQLSTATE class 22, such as a text with a NUL), or one that is there already (23).
func unstorable(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(e.Code, "22") || strings.HasPrefix(e.Code, "23"))
}

// close refuses new calls and waits for those that are queued.
func (g *group[T]) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.work.Wait()
}
