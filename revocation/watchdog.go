package revocation

import (
	"context"
	"errors"
	"io"
	"time"
)

// watchdog cancels a request that brings nothing for too long.
type watchdog struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func watch(ctx context.Context, first time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	d := &watchdog{ctx: ctx, cancel: cancel}
	d.timer = time.AfterFunc(first, func() { cancel(errSilent) })
	return ctx, d
}

func (d *watchdog) feed(next time.Duration) { d.timer.Reset(next) }

func (d *watchdog) rest() { d.timer.Stop() }

func (d *watchdog) stop() {
	d.timer.Stop()
	d.cancel(context.Canceled)
}

// cause names the silence, or the renewal, where the transport only says that the
// context ended.
func (d *watchdog) cause(err error) error {
	if cause := context.Cause(d.ctx); errors.Is(cause, errSilent) || errors.Is(cause, errRenewed) {
		return cause
	}
	return err
}

// watchedBody notes when bytes arrive. The watchdog is awake only while a Read waits: time spent on what
// was read is ours, not the network's.
type watchedBody struct {
	body    io.Reader
	dog     *watchdog
	now     func() time.Time
	first   time.Duration // for the first bytes
	silence time.Duration // between bytes after that
	began   time.Time     // arrival of the first bytes
	arrived time.Time     // arrival of the latest bytes
}

func (b *watchedBody) Read(p []byte) (int, error) {
	allowed := b.silence
	if b.arrived.IsZero() {
		allowed = b.first
	}
	asked := b.now()
	b.dog.feed(allowed)
	n, err := b.body.Read(p)
	b.dog.rest()
	if n > 0 {
		now := b.now()
		// The process may have been stopped while it waited. What comes out then has lain in a buffer for
		// an unknown time and proves nothing about now.
		if now.Sub(asked) > allowed {
			b.dog.cancel(errSilent)
			return 0, errSilent
		}
		if b.began.IsZero() {
			b.began = now
		}
		b.arrived = now
	}
	return n, err
}
