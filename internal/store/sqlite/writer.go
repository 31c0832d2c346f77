package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
	"github.com/jetonhq/jeton/internal/store/head"
)

const (
	sqlBegin    = `BEGIN IMMEDIATE`
	sqlCommit   = `COMMIT`
	sqlRollback = `ROLLBACK`
)

// maxBatch bounds one commit, so that a burst does not make the first caller
// wait for the last.
const maxBatch = 512

// op is one call waiting for the writer. run may be called twice: when a commit
// fails, the calls in it are run again, each in a transaction of its own. So it
// must not keep anything from its first run.
type op struct {
	run   func(*tx) error
	state atomic.Int32
	err   error
	done  chan struct{}
}

// States of an op. The writer moves it to started, a caller whose context is
// done moves it to abandoned; whoever comes first wins.
const (
	waiting int32 = iota
	started
	abandoned
)

// writer owns the only connection that writes. It takes what is waiting, runs
// it in one transaction, and answers each caller after the commit. What queues
// up while it commits is the next batch: nothing ever waits for a batch to fill.
type writer struct {
	conn     *sql.Conn
	tx       tx
	onCommit func(ops int, took time.Duration)
	onLog    func(seq uint64) // called after a commit that appended to the log
	onEvent  func(seq uint64) // called after a commit that wrote an event

	mu     sync.Mutex
	queue  []*op
	max    int
	closed bool
	wake   chan struct{} // holds one token when the queue may be non-empty
	exited chan struct{}
}

func newWriter(conn *sql.Conn, walk *tokenWalk, cache *grantCache, max int, onCommit func(int, time.Duration), onLog, onEvent func(uint64)) *writer {
	return &writer{
		conn:     conn,
		tx:       tx{conn: conn, stmts: map[string]*sql.Stmt{}, walk: walk, cache: cache},
		onCommit: onCommit,
		onLog:    onLog,
		onEvent:  onEvent,
		max:      max,
		wake:     make(chan struct{}, 1),
		exited:   make(chan struct{}),
	}
}

// do has run executed by the writer and returns once it is durable, or refused.
//
// A context that is done before the writer comes to the call means that it
// never happens, and its error is returned. After that the context no longer
// matters and the answer is the true one.
func (w *writer) do(ctx context.Context, run func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o := &op{run: run, done: make(chan struct{})}
	if err := w.enqueue(o); err != nil {
		return err
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		if o.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err()
		}
		<-o.done
	}
	return o.err
}

func (w *writer) enqueue(o *op) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return head.ErrClosed
	}
	if len(w.queue) >= w.max {
		return authority.ErrBusy
	}
	w.queue = append(w.queue, o)
	if len(w.queue) == 1 {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// close refuses new calls, answers those that wait, and returns when the writer
// has stopped and its connection is back in the pool. Statements are closed one
// by one: those of a connection of one's own are not closed with it, and an
// open one would keep the database open.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	<-w.exited
	var errs []error
	for _, stmt := range w.tx.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

func (w *writer) loop() {
	defer close(w.exited)
	var batch []*op
	for {
		var closed bool
		batch, closed = w.take(batch[:0])
		if len(batch) > 0 {
			w.commit(batch)
			clear(batch)
			continue
		}
		if closed {
			return
		}
		<-w.wake
	}
}

// take moves at most maxBatch calls from the queue to batch, without those
// whose callers gave up.
func (w *writer) take(batch []*op) (_ []*op, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(w.queue) && len(batch) < maxBatch {
		if o := w.queue[n]; o.state.CompareAndSwap(waiting, started) {
			batch = append(batch, o)
		}
		n++
	}
	left := copy(w.queue, w.queue[n:])
	clear(w.queue[left:])
	w.queue = w.queue[:left]
	return batch, w.closed
}

// commit makes the batch durable and answers it.
func (w *writer) commit(batch []*op) {
	start := time.Now()
	if len(batch) == 1 || !w.together(batch) {
		for _, o := range batch {
			o.err = w.alone(o)
		}
	}
	for _, follow := range w.tx.after {
		follow()
	}
	clear(w.tx.after)
	w.tx.after = w.tx.after[:0]
	if seq := w.tx.appended; seq > 0 {
		w.tx.appended = 0
		w.onLog(seq)
	}
	if seq := w.tx.recorded; seq > 0 {
		w.tx.recorded = 0
		w.onEvent(seq)
	}
	for _, o := range batch {
		close(o.done)
	}
	if w.onCommit != nil {
		w.onCommit(len(batch), time.Since(start))
	}
}

// together runs the batch in one transaction. It reports false, with everything
// rolled back, if a call failed for a reason that is not a plain refusal, was
// refused after it had changed something, or the commit failed. When no
// transaction can be had at all, that is everybody's answer.
func (w *writer) together(batch []*op) bool {
	if err := w.begin(); err != nil {
		for _, o := range batch {
			o.err = fmt.Errorf("begin: %w", err)
		}
		return true
	}
	for _, o := range batch {
		w.tx.changed = 0
		o.err = o.run(&w.tx)
		if o.err != nil && (w.tx.changed > 0 || !refusal(o.err)) {
			w.rollback()
			return false
		}
	}
	if _, err := w.tx.exec(sqlCommit); err != nil {
		w.rollback()
		return false
	}
	return true
}

// alone runs one call in its own transaction.
func (w *writer) alone(o *op) error {
	if err := w.begin(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// Calls before this one have committed: what follows from them stays.
	appended, recorded, after := w.tx.appended, w.tx.recorded, w.tx.after
	w.tx.changed = 0
	err := o.run(&w.tx)
	if err == nil {
		if _, err = w.tx.exec(sqlCommit); err != nil {
			err = fmt.Errorf("commit: %w", err)
		}
	}
	if err != nil {
		w.rollback()
		w.tx.appended, w.tx.recorded, w.tx.after = appended, recorded, after
	}
	return err
}

func (w *writer) begin() error {
	_, err := w.tx.exec(sqlBegin)
	return err
}

// rollback ends the transaction. SQLite may have ended it by itself (disk full,
// I/O error), which is what an error here means.
func (w *writer) rollback() {
	_, _ = w.tx.exec(sqlRollback)
	w.tx.appended, w.tx.recorded = 0, 0
	w.tx.after = w.tx.after[:0]
}

// refusal reports whether err is an answer that leaves the transaction as it was.
func refusal(err error) bool {
	return errors.Is(err, authority.ErrNotFound) || errors.Is(err, authority.ErrConflict) ||
		errors.Is(err, authority.ErrEnded) || errors.Is(err, authority.ErrUsed)
}

// tx is the writer's open transaction. Statements run without a context: once
// begun, a call is finished.
type tx struct {
	conn     *sql.Conn
	stmts    map[string]*sql.Stmt
	walk     *tokenWalk
	changed  int64  // rows that the running op has changed
	appended uint64 // highest log number of the open or just committed transaction
	recorded uint64 // highest number in the event log, likewise
	cache    *grantCache
	after    []func() // what follows from the open or just committed transaction
}

func (t *tx) stmt(text string) (*sql.Stmt, error) {
	if s, ok := t.stmts[text]; ok {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, err
	}
	t.stmts[text] = s
	return s, nil
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(text string, args ...any) (int64, error) {
	s, err := t.stmt(text)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	t.changed += n
	return n, err
}

// ids runs a changing statement that returns the ids of the rows it changed.
func (t *tx) ids(text string, args ...any) ([]secret.ID, error) {
	found, err := manyOf(t, scanID, text, args...)
	t.changed += int64(len(found))
	return found, err
}

// manyOf reads all rows inside the transaction.
func manyOf[T any](t *tx, scan func(columns.Row) (T, error), text string, args ...any) ([]T, error) {
	s, err := t.stmt(text)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scan)
}

// row reads a single row into dest, or returns ErrNotFound.
func (t *tx) row(text string, args []any, dest ...any) error {
	_, err := oneOf(t, func(r columns.Row) (struct{}, error) { return struct{}{}, r.Scan(dest...) }, text, args...)
	return err
}

// oneOf reads a single row inside the transaction, or returns ErrNotFound.
func oneOf[T any](t *tx, scan func(columns.Row) (T, error), text string, args ...any) (T, error) {
	var none T
	s, err := t.stmt(text)
	if err != nil {
		return none, err
	}
	v, err := scan(s.QueryRowContext(context.Background(), args...))
	if errors.Is(err, sql.ErrNoRows) {
		return none, authority.ErrNotFound
	}
	return v, err
}

func scanID(r columns.Row) (secret.ID, error) {
	var id secret.ID
	err := r.Scan((*columns.ID)(&id))
	return id, err
}
