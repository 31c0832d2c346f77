// Package transfer copies a whole store into another, of the same kind or not,
// while no server has either open.
//
// Every table is copied in the order of its key, a bounded batch per commit. How
// far a copy has come is what the target holds, so that a copy that was killed goes
// on where it was. When everything is there, both sides are read again and their
// digests compared; only then the target loses the mark that keeps servers from
// opening it.
//
// The target gets a name of its own for the revocation log (its incarnation), as a
// restored backup does: verifiers take one snapshot instead of going on from a
// number. The numbers themselves go on. It costs a guard one request, and holds
// also when the source was served again after it was copied, which the numbers alone
// could not tell.
package transfer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// Errors of Copy, and of stores that are opened in the middle of one.
var (
	ErrNotEmpty    = errors.New("it is not empty: a copy needs an empty database, or one that a copy of the same source was begun in")
	ErrUnfinished  = errors.New("it is an unfinished copy: run `jeton store copy` again, it goes on where it was")
	ErrRetired     = errors.New("it was moved away")
	ErrInUse       = errors.New("it is in use: stop every server first")
	ErrNotTheSame  = errors.New("the copy is not the same as its source")
	errSourceMoved = errors.New("if a server ran on the source after the copy was begun, begin again with an empty database")
)

// States of a Mark.
const (
	Filling = "filling" // a copy is being made into this database
	Retired = "retired" // this database was left for a copy of it
)

// Mark is what a database says of itself in its table transfer. The zero value is
// that of a database that may be served.
type Mark struct {
	State string
	Copy  string // names the copy, the same on both sides
	Peer  string // Filling: the life of the source; Retired: where the copy is
	At    time.Time
}

// Refusal is why a server must not open a database with this mark; nil: it may.
func (m Mark) Refusal() error {
	switch m.State {
	case "":
		return nil
	case Retired:
		return fmt.Errorf("%w, to %s on %s: serve that one (to go back to this one, as to a backup, use `jeton restore`)",
			ErrRetired, m.Peer, m.At.UTC().Format(time.DateTime))
	default:
		return ErrUnfinished
	}
}

// Row is a row in its canonical form: nil, int64, string and []byte, in the order of
// the table's columns.
type Row []any

// Store is a database that is open for a copy, and for nobody else.
type Store interface {
	// Life is the incarnation of the revocation log.
	Life(ctx context.Context) (string, error)
	Mark(ctx context.Context) (Mark, error)
	// SetMark is durable when it returns.
	SetMark(ctx context.Context, m Mark) error
	// Rows reads rows after a key, in order, until the page is full. No key means
	// from the beginning.
	Rows(ctx context.Context, t Table, after Row, p *Page) error
	// Last is the key of the last row; nil if there is none.
	Last(ctx context.Context, t Table) (Row, error)
	// Write adds rows to a table, in one commit. The row of a table that has just one
	// replaces what is there.
	Write(ctx context.Context, t Table, rows []Row) error
	// Renew begins a new life of the log and removes the mark, in one commit.
	Renew(ctx context.Context) error
}

// Options of a copy.
type Options struct {
	// Retire marks the source, so that no server opens it any more. To says where its
	// data is from then on, for people.
	Retire bool
	To     string
	// Progress, if set, is told of each table that is complete.
	Progress func(Done)
	Now      func() time.Time // default time.Now
}

// Done is a table that was copied.
type Done struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	// Digest of its rows, equal on both sides; only once both were read again.
	Digest string `json:"digest,omitempty"`
}

// Copy copies everything, or goes on with a copy that was begun, and verifies it.
func Copy(ctx context.Context, from, to Store, o Options) ([]Done, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	mark, err := begin(ctx, from, to, o.Now())
	if err != nil {
		return nil, err
	}
	for _, t := range Tables {
		n, err := copyTable(ctx, from, to, t)
		if err != nil {
			return nil, fmt.Errorf("copy table %s: %w", t.Name, err)
		}
		if o.Progress != nil {
			o.Progress(Done{Table: t.Name, Rows: n})
		}
	}
	done, err := verify(ctx, from, to)
	if err != nil {
		return nil, err
	}
	// In this order: whoever dies in between goes on with a source that is retired for
	// this copy, and never with two that can be served.
	if o.Retire {
		if err := from.SetMark(ctx, Mark{State: Retired, Copy: mark.Copy, Peer: o.To, At: o.Now()}); err != nil {
			return nil, fmt.Errorf("retire the source: %w", err)
		}
	}
	if err := to.Renew(ctx); err != nil {
		return nil, fmt.Errorf("finish the copy: %w", err)
	}
	return done, nil
}

// begin decides whether this is a new copy, one to go on with, or neither.
func begin(ctx context.Context, from, to Store, now time.Time) (Mark, error) {
	life, err := from.Life(ctx)
	if err != nil {
		return Mark{}, fmt.Errorf("source: %w", err)
	}
	left, err := from.Mark(ctx)
	if err != nil {
		return Mark{}, fmt.Errorf("source: %w", err)
	}
	begun, err := to.Mark(ctx)
	if err != nil {
		return Mark{}, fmt.Errorf("target: %w", err)
	}
	mine := begun.State == Filling && begun.Peer == life
	if err := left.Refusal(); err != nil && (!mine || left.State != Retired || left.Copy != begun.Copy) {
		return Mark{}, fmt.Errorf("source: %w", err)
	}
	switch {
	case mine:
		return begun, nil
	case begun != Mark{}:
		return Mark{}, fmt.Errorf("target: %w", ErrNotEmpty)
	}
	for _, t := range Tables {
		if t.Single {
			continue
		}
		last, err := to.Last(ctx, t)
		if err != nil {
			return Mark{}, fmt.Errorf("target: %w", err)
		}
		if last != nil {
			return Mark{}, fmt.Errorf("target: table %s has rows: %w", t.Name, ErrNotEmpty)
		}
	}
	m := Mark{State: Filling, Copy: base64.RawURLEncoding.EncodeToString(secret.Bytes(16)), Peer: life, At: now}
	if err := to.SetMark(ctx, m); err != nil {
		return Mark{}, fmt.Errorf("target: %w", err)
	}
	return m, nil
}

// copyTable copies the rows after those that the target has, and returns how many.
func copyTable(ctx context.Context, from, to Store, t Table) (copied int64, err error) {
	var after Row
	if !t.Single {
		if after, err = to.Last(ctx, t); err != nil {
			return 0, err
		}
	}
	for {
		var p Page
		if err := from.Rows(ctx, t, after, &p); err != nil {
			return copied, err
		}
		if len(p.Rows) == 0 {
			return copied, nil
		}
		if err := to.Write(ctx, t, p.Rows); err != nil {
			return copied, err
		}
		copied += int64(len(p.Rows))
		if after = t.key(p.Rows[len(p.Rows)-1]); t.Single {
			return copied, nil
		}
	}
}
