package postgres

import (
	"context"
	"sync"
)

// head is the highest committed number of a log, for those who wait for the
// next. Each advance wakes all of them by closing a channel.
type head struct {
	mu     sync.Mutex
	seq    uint64
	closed bool
	moved  chan struct{}
}

func newHead(seq uint64) *head { return &head{seq: seq, moved: make(chan struct{})} }

func (h *head) advance(seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if seq <= h.seq {
		return
	}
	h.seq = seq
	close(h.moved)
	h.moved = make(chan struct{})
}

func (h *head) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	close(h.moved)
	h.moved = make(chan struct{})
}

func (h *head) wait(ctx context.Context, after uint64) error {
	for {
		h.mu.Lock()
		seq, closed, moved := h.seq, h.closed, h.moved
		h.mu.Unlock()
		if seq > after {
			return nil
		}
		if closed {
			return errClosed
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}
