package feed

import (
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

// Subscription is one reader's place in the feed. It is not safe for
// concurrent use.
type Subscription struct {
	feed *Feed
	seq  uint64    // everything up to here has been handed out
	beat time.Time // when the last heartbeat was handed out
}

// Subscribe starts a subscription after the reader's cursor, which may be the
// zero Cursor. If the reader must start over, the first bytes are a snapshot.
// Close it when done.
func (f *Feed) Subscribe(ctx context.Context, at revocation.Cursor) (s *Subscription, first []byte, err error) {
	s = &Subscription{feed: f, seq: at.Seq}
	if at.Incarnation != f.incarnation || at.Seq > f.position() {
		first, err = s.snapshot(ctx)
	} else {
		first, err = s.missed(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	if f.current() {
		first = s.heartbeat(slices.Clip(first)) // the reader is up to date, and may rely on it
	}
	f.metrics.subscribers.Add(1)
	f.metrics.bytes.Add(uint64(len(first)))
	return s, first, nil
}

// Close ends the subscription.
func (s *Subscription) Close() { s.feed.metrics.subscribers.Add(-1) }

func (s *Subscription) snapshot(ctx context.Context) ([]byte, error) {
	live, seq, err := s.feed.cfg.Log.Live(ctx, s.feed.cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("feed: live entries: %w", err)
	}
	s.seq = seq
	return revocation.AppendSnapshot(nil, s.feed.incarnation, seq, wireEntries(live))
}

// missed returns what came after the subscription's position, from the recent
// window or, further back, from the log. Entries that the log has forgotten
// since cannot be told one by one: then it is a snapshot.
func (s *Subscription) missed(ctx context.Context) ([]byte, error) {
	if wire, ok := s.recent(); ok {
		return wire, nil
	}
	var wire []byte
	for {
		entries, err := s.feed.cfg.Log.Log(ctx, s.seq, readLimit)
		if err != nil {
			return nil, fmt.Errorf("feed: log: %w", err)
		}
		if len(entries) == 0 {
			break
		}
		if entries[0].Seq != s.seq+1 {
			return s.snapshot(ctx)
		}
		if wire, err = revocation.AppendDelta(wire, s.feed.incarnation, wireEntries(entries)); err != nil {
			return nil, err
		}
		s.seq = entries[len(entries)-1].Seq
		if len(entries) < readLimit {
			break
		}
	}
	if len(wire) == 0 && s.seq < s.feed.position() {
		return s.snapshot(ctx) // everything in between has been forgotten
	}
	return wire, nil
}

// recent gathers the batches after the position if the window reaches back to
// it. Batches are shared between subscribers, so they are only read.
func (s *Subscription) recent() (wire []byte, ok bool) {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.seq == f.seq {
		return nil, true
	}
	i := len(f.recent)
	for i > 0 && f.recent[i-1].first > s.seq {
		i--
	}
	after := f.recent[i:]
	if len(after) == 0 || after[0].first != s.seq+1 {
		return nil, false
	}
	s.seq = f.seq
	if len(after) == 1 {
		return after[0].wire, true
	}
	for _, b := range after {
		wire = append(wire, b.wire...)
	}
	return wire, true
}

// current reports whether this node itself knows the log to its end. While it
// does not, it sends no heartbeats: they would promise that nothing is missing.
func (f *Feed) current() bool { return f.view.Lag() <= 2*f.cfg.Heartbeat }

// heartbeat appends a heartbeat at the subscription's position. wire may be
// shared with other subscribers, so it must have no spare capacity.
func (s *Subscription) heartbeat(wire []byte) []byte {
	s.beat = s.feed.cfg.Now()
	return revocation.AppendHeartbeat(wire, s.feed.incarnation, s.seq, s.beat)
}

// Next waits for entries after the position and returns their wire form. A
// heartbeat follows whenever the last one is a heartbeat's time ago, in a
// stream of entries as well as in silence: entries alone do not tell a reader
// that it is up to date.
func (s *Subscription) Next(ctx context.Context) ([]byte, error) {
	timer := time.NewTimer(s.feed.cfg.Heartbeat)
	defer timer.Stop()
	for {
		s.feed.mu.Lock()
		news, changed := s.feed.seq > s.seq, s.feed.applied
		s.feed.mu.Unlock()
		if news {
			wire, err := s.missed(ctx)
			if err != nil {
				return nil, err
			}
			if s.feed.cfg.Now().Sub(s.beat) >= s.feed.cfg.Heartbeat && s.feed.current() {
				wire = s.heartbeat(slices.Clip(wire))
			}
			s.feed.metrics.bytes.Add(uint64(len(wire)))
			return wire, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		case <-timer.C:
			if !s.feed.current() {
				timer.Reset(s.feed.cfg.Heartbeat)
				continue
			}
			wire := s.heartbeat(nil)
			s.feed.metrics.bytes.Add(uint64(len(wire)))
			return wire, nil
		}
	}
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
