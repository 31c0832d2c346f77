// Package feed tails the revocation log, once per node: it keeps the node's own
// view and hands the same encoded bytes to every subscriber.
//
// The way of an entry: a revocation commits in the store, Run reads the log
// from where it left off, applies the entries to the view, encodes them once,
// and appends them to a short window of recent batches. A subscriber holds a
// position in the log and takes the batches after it; one that fell behind the
// window reads the log from the store, page by page, and one that comes from
// another incarnation, or from before the log's oldest entry, starts from a
// snapshot, which all who need one at about the same time share. A subscriber is
// never waited for.
package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/notes"
	"github.com/jetonhq/jeton/revocation"
)

// Log is the part of the store that the feed reads.
type Log interface {
	Log(ctx context.Context, after uint64, limit int) ([]authority.LogEntry, error)
	Head(ctx context.Context) (incarnation string, seq uint64, err error)
	Live(ctx context.Context, now time.Time) (entries []authority.LogEntry, seq uint64, err error)
	Wait(ctx context.Context, after uint64) error
}

// Config holds the feed's parts.
type Config struct {
	Log       Log
	Now       func() time.Time
	Heartbeat time.Duration // default 500 ms
	Logger    *slog.Logger
	Notes     notes.Store // nil: there are no other nodes
	Node      string      // name of this one
}

// batch is a run of entries with its wire form.
type batch struct {
	first, last uint64
	wire        []byte
}

// The window holds at most so many recent batches, and about so many bytes. A
// subscriber that is further behind reads the store.
const (
	windowBatches = 1024
	windowBytes   = 8 << 20
)

// readLimit bounds one read of the log.
const readLimit = 4096

// maxCode is the longest reason that goes over the wire, in bytes.
const maxCode = 64

// Feed is the node's tail of the log.
type Feed struct {
	cfg         Config
	view        *revocation.View
	incarnation string

	mu      sync.Mutex
	recent  []batch       // guarded by mu: consecutive, oldest first
	held    int           // guarded by mu: bytes in recent
	seq     uint64        // guarded by mu: applied to the view
	applied chan struct{} // guarded by mu: closed and replaced when seq rises

	shared chan *snapshot // holds the latest, or nil; who has taken it out may make another

	metrics counters
	readers readers
}

// Open reads the live entries and returns a feed whose view is complete up to
// now.
func Open(ctx context.Context, cfg Config) (*Feed, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = 500 * time.Millisecond
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	incarnation, _, err := cfg.Log.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("feed: head of the log: %w", err)
	}
	live, seq, err := cfg.Log.Live(ctx, cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("feed: live entries: %w", err)
	}
	f := &Feed{
		cfg: cfg, incarnation: incarnation, seq: seq, applied: make(chan struct{}), shared: make(chan *snapshot, 1),
		view: revocation.NewView(revocation.ViewConfig{Now: cfg.Now}),
	}
	if err := f.view.ApplySnapshot(incarnation, seq, wireEntries(live)); err != nil {
		return nil, fmt.Errorf("feed: snapshot: %w", err)
	}
	f.shared <- nil
	return f, nil
}

// View is the node's own view.
func (f *Feed) View() *revocation.View { return f.view }

// Run follows the log until ctx is done. It keeps trying when the store fails:
// the view then grows stale, which readers can see.
func (f *Feed) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := f.step(ctx); err != nil && ctx.Err() == nil {
			f.cfg.Logger.ErrorContext(ctx, "revocation log not read; trying again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(f.cfg.Heartbeat):
			}
		}
	}
}

// step waits for entries, at most one heartbeat, and applies them.
func (f *Feed) step(ctx context.Context) error {
	f.forgetSnapshot()
	wait, cancel := context.WithTimeout(ctx, f.cfg.Heartbeat)
	defer cancel()
	after := f.position()
	err := f.cfg.Log.Wait(wait, after)
	asked := f.cfg.Now() // before the store answers: its answer is no younger than this
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		// Silence is news only if the log really has nothing: ask it.
		_, head, err := f.cfg.Log.Head(ctx)
		if err != nil {
			return err
		}
		if head == after {
			f.view.Touch(asked)
			return nil
		}
	} else if err != nil {
		return err
	}
	entries, err := f.cfg.Log.Log(ctx, after, readLimit)
	if err != nil {
		return err
	}
	if len(entries) == 0 || entries[0].Seq != after+1 {
		return f.reload(ctx)
	}
	if err := f.apply(wireEntries(entries)); err != nil {
		return err
	}
	if len(entries) < readLimit {
		f.view.Touch(asked) // this was all there is
	}
	return nil
}

// reload catches up over a part of the log that the store has forgotten: this
// node could not read it for longer than entries are kept.
func (f *Feed) reload(ctx context.Context) error {
	asked := f.cfg.Now()
	live, seq, err := f.cfg.Log.Live(ctx, asked)
	if err != nil {
		return err
	}
	if err := f.view.ApplySnapshot(f.incarnation, seq, wireEntries(live)); err != nil {
		return err
	}
	f.view.Touch(asked)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent, f.held = nil, 0
	f.advance(seq)
	return nil
}

func (f *Feed) apply(entries []revocation.Entry) error {
	if err := f.view.ApplyDelta(f.incarnation, entries); err != nil {
		return err
	}
	wire, err := revocation.AppendDelta(nil, f.incarnation, entries)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b := batch{first: entries[0].Seq, last: entries[len(entries)-1].Seq, wire: wire}
	f.recent = append(f.recent, b)
	f.held += len(wire)
	if len(f.recent) > windowBatches || f.held > windowBytes {
		f.shrink()
	}
	f.advance(b.last)
	f.metrics.entries.Add(uint64(len(entries)))
	return nil
}

// shrink drops the older half of the window. The caller holds mu.
func (f *Feed) shrink() {
	first, held := len(f.recent), 0
	for first > 0 && len(f.recent)-first < windowBatches/2 && held+len(f.recent[first-1].wire) <= windowBytes/2 {
		first--
		held += len(f.recent[first].wire)
	}
	f.recent, f.held = append(f.recent[:0:0], f.recent[first:]...), held
}

// advance wakes everybody who waits for seq. The caller holds mu.
func (f *Feed) advance(seq uint64) {
	f.seq = seq
	close(f.applied)
	f.applied = make(chan struct{})
}

func (f *Feed) position() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seq
}

// Applied waits until the view holds the log up to seq.
func (f *Feed) Applied(ctx context.Context, seq uint64) error {
	for {
		f.mu.Lock()
		done, changed := f.seq >= seq, f.applied
		f.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// wireEntries translates the log's entries to the feed's. Whatever stands in
// the log can be encoded: one entry that could not would hold up all after it.
func wireEntries(in []authority.LogEntry) []revocation.Entry {
	out := make([]revocation.Entry, len(in))
	for i, e := range in {
		out[i] = revocation.Entry{
			Seq: e.Seq, Kind: revocation.ParseKind(string(e.Kind)), ID: revocation.ID(e.ID), Name: cmp.Or(e.KeyID, e.Name),
			Reason: code(e.Reason), Data: e.Data,
		}
		if !e.Until.IsZero() {
			out[i].Until = e.Until.Unix()
		}
		if out[i].Kind == revocation.Unknown {
			out[i].KindName = string(e.Kind)
		}
	}
	return out
}

// code passes a reason that is one of the program's own short codes. What an
// operator wrote in words is nobody's business at the resources; the audit trail
// has it.
func code(reason string) string {
	if len(reason) > maxCode {
		return ""
	}
	for i := range len(reason) {
		if c := reason[i]; c != '_' && (c < 'a' || c > 'z') {
			return ""
		}
	}
	return reason
}
