package feed

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/revocation"
)

// Stats are the feed's counters for metrics.
type Stats struct {
	Subscribers int64
	Entries     uint64 // applied since start
	Bytes       uint64 // handed to subscribers since start
	Held        int    // entries in the view
	Lag         time.Duration
	Seq         uint64
}

type counters struct {
	subscribers atomic.Int64
	entries     atomic.Uint64
	bytes       atomic.Uint64
}

// Stats returns the counters.
func (f *Feed) Stats() Stats {
	return Stats{
		Subscribers: f.metrics.subscribers.Load(), Entries: f.metrics.entries.Load(), Bytes: f.metrics.bytes.Load(),
		Held: f.view.Len(), Lag: f.view.Lag(), Seq: f.position(),
	}
}

// chunkSize is about how much a subscriber is handed at a time when it has to
// catch up. What is larger is shared between subscribers, or a page of the log.
const chunkSize = 64 << 10

// pageLimit bounds one read of the log for a single subscriber.
const pageLimit = 1024

// Subscription is one reader's place in the feed. It is not safe for
// concurrent use.
type Subscription struct {
	feed  *Feed
	seq   uint64    // everything up to here has been handed out
	level bool      // that was all this node knew
	beat  time.Time // when the last heartbeat was handed out; zero before the first
}

// Subscribe starts a subscription after the reader's cursor, which may be the
// zero Cursor. If the reader must start over, the first bytes are a snapshot.
// Close it when done. The bytes are shared: do not change them.
func (f *Feed) Subscribe(ctx context.Context, at revocation.Cursor) (s *Subscription, first []byte, err error) {
	s = &Subscription{feed: f, seq: at.Seq}
	current := f.current()
	if at.Incarnation != f.incarnation || at.Seq > f.position() {
		first, err = s.snapshot(ctx)
	} else {
		first, err = s.missed(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	first = s.withBeat(first, current)
	f.metrics.subscribers.Add(1)
	f.metrics.bytes.Add(uint64(len(first)))
	return s, first, nil
}

// Close ends the subscription.
func (s *Subscription) Close() { s.feed.metrics.subscribers.Add(-1) }

// snapshot starts the reader over.
func (s *Subscription) snapshot(ctx context.Context) ([]byte, error) {
	shot, err := s.feed.snapshot(ctx, s.seq)
	if err != nil {
		return nil, err
	}
	s.seq, s.level = shot.seq, shot.seq >= s.feed.position()
	return shot.wire, nil
}

// missed returns what came after the subscription's position, or the first part
// of it: from the recent window or, further back, from the log. Entries that the
// log has forgotten since cannot be told one by one: then it is a snapshot.
func (s *Subscription) missed(ctx context.Context) ([]byte, error) {
	if wire, ok := s.recent(); ok {
		return wire, nil
	}
	entries, err := s.feed.cfg.Log.Log(ctx, s.seq, pageLimit)
	if err != nil {
		return nil, fmt.Errorf("feed: log: %w", err)
	}
	if len(entries) == 0 || entries[0].Seq != s.seq+1 {
		return s.snapshot(ctx)
	}
	wire, err := revocation.AppendDelta(nil, s.feed.incarnation, wireEntries(entries))
	if err != nil {
		return nil, err
	}
	s.seq = entries[len(entries)-1].Seq
	s.level = s.seq >= s.feed.position()
	return wire, nil
}

// recent takes the next batches after the position if the window reaches back
// to it. Batches are shared between subscribers, so they are only read.
func (s *Subscription) recent() (wire []byte, ok bool) {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.seq >= f.seq {
		s.level = true
		return nil, true
	}
	i, found := slices.BinarySearchFunc(f.recent, s.seq+1, func(b batch, seq uint64) int { return cmp.Compare(b.first, seq) })
	if !found {
		return nil, false
	}
	end, size := i+1, len(f.recent[i].wire)
	for end < len(f.recent) && size+len(f.recent[end].wire) <= chunkSize {
		size += len(f.recent[end].wire)
		end++
	}
	s.seq = f.recent[end-1].last
	s.level = s.seq == f.seq
	if end == i+1 {
		return f.recent[i].wire, true
	}
	wire = make([]byte, 0, size)
	for _, b := range f.recent[i:end] {
		wire = append(wire, b.wire...)
	}
	return wire, true
}

// current reports whether this node itself knows the log to its end. While it
// does not, it sends no heartbeats: they would promise that nothing is missing.
// Ask before looking for news: a node that catches up in between would otherwise
// vouch for a place that it has just found to be behind.
func (f *Feed) current() bool { return f.view.Lag() <= 2*f.cfg.Heartbeat }

// withBeat appends a heartbeat when one is due and true. A large chunk is not
// copied for that: its heartbeat is a chunk of its own.
func (s *Subscription) withBeat(wire []byte, current bool) []byte {
	if !current || !s.level || s.wait() > 0 || len(wire) > chunkSize {
		return wire
	}
	return s.heartbeat(slices.Clip(wire))
}

// heartbeat appends a heartbeat at the subscription's position.
func (s *Subscription) heartbeat(wire []byte) []byte {
	s.beat = s.feed.cfg.Now()
	return revocation.AppendHeartbeat(wire, s.feed.incarnation, s.seq, s.beat)
}

// wait is how long it is until the next heartbeat is due.
func (s *Subscription) wait() time.Duration {
	if s.beat.IsZero() {
		return 0
	}
	return s.feed.cfg.Heartbeat - s.feed.cfg.Now().Sub(s.beat)
}

// Next waits for entries after the position and returns their wire form, which
// is shared: do not change it. A heartbeat comes whenever the last one is a
// heartbeat's time ago, in a stream of entries as well as in silence: entries
// alone do not tell a reader that it is up to date.
func (s *Subscription) Next(ctx context.Context) ([]byte, error) {
	timer := time.NewTimer(s.wait())
	defer timer.Stop()
	due := false
	for {
		current := s.feed.current()
		s.feed.mu.Lock()
		news, changed := s.feed.seq > s.seq, s.feed.applied
		s.feed.mu.Unlock()
		if news {
			wire, err := s.missed(ctx)
			if err != nil {
				return nil, err
			}
			return s.handOut(s.withBeat(wire, current)), nil
		}
		if due && current {
			return s.handOut(s.heartbeat(nil)), nil
		}
		if due {
			timer.Reset(s.feed.cfg.Heartbeat)
			due = false
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		case <-timer.C:
			due = true
		}
	}
}

func (s *Subscription) handOut(wire []byte) []byte {
	s.feed.metrics.bytes.Add(uint64(len(wire)))
	return wire
}

// Poll answers one long poll: what came after the cursor, waiting up to wait
// for something to come.
func (f *Feed) Poll(ctx context.Context, at revocation.Cursor, wait time.Duration) (revocation.Poll, error) {
	p := revocation.Poll{Incarnation: f.incarnation}
	if at.Incarnation == f.incarnation && at.Seq <= f.position() {
		if at.Seq == f.position() {
			waiting, cancel := context.WithTimeout(ctx, wait)
			defer cancel()
			_ = f.Applied(waiting, at.Seq+1) // nothing new is an answer too
			if err := ctx.Err(); err != nil {
				return p, err
			}
		}
		entries, err := f.cfg.Log.Log(ctx, at.Seq, readLimit)
		if err != nil {
			return p, fmt.Errorf("feed: log: %w", err)
		}
		p.Time = f.cfg.Now()
		p.Seq = at.Seq
		if n := len(entries); n > 0 && entries[0].Seq == at.Seq+1 {
			p.Entries, p.Seq = wireEntries(entries), entries[n-1].Seq
			return p, nil
		}
		if len(entries) == 0 && at.Seq == f.position() {
			return p, nil
		}
	}
	live, seq, err := f.cfg.Log.Live(ctx, f.cfg.Now())
	if err != nil {
		return p, fmt.Errorf("feed: live entries: %w", err)
	}
	p.Snapshot, p.Seq, p.Entries, p.Time = true, seq, wireEntries(live), f.cfg.Now()
	return p, nil
}
