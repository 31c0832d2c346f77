// Package head lets callers wait for the next number of a log. Both SQL stores use it,
// for the revocation log and for the log of events.
package head

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is what those who wait are answered when the store is closed.
var ErrClosed = errors.New("store is closed")

// Head is the highest committed number of a log, for those who wait for the
// next. Each advance wakes all of them by closing a channel.
type Head struct {
	mu     sync.Mutex
	seq    uint64
	closed bool
	moved  chan struct{}
}

// New is a head that has come to seq.
func New(seq uint64) *Head { return &Head{seq: seq, moved: make(chan struct{})} }

// Advance moves the head on; a number that is not above the last changes nothing.
func (h *Head) Advance(seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if seq <= h.seq {
		return
	}
	h.seq = seq
	close(h.moved)
	h.moved = make(chan struct{})
}

// Close answers all who wait, and who will.
func (h *Head) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	close(h.moved)
	h.moved = make(chan struct{})
}

// Wait returns once there is a number above after, ctx is done, or the head was
// closed.
func (h *Head) Wait(ctx context.Context, after uint64) error {
	for {
		h.mu.Lock()
		seq, closed, moved := h.seq, h.closed, h.moved
		h.mu.Unlock()
		if seq > after {
			return nil
		}
		if closed {
			return ErrClosed
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}
