package revocation

import (
	"errors"
	"net/http"
	"time"
)

// way decides between streaming and long polls. Streaming is preferred; after two streams in a row that
// were asked for and brought no event, something on the way collects the answer, and polls are used.
// Streaming is probed again later, and when polls fail too.
type way struct {
	pollOnly bool
	silent   int           // streams in a row that brought no event
	failed   int           // polls in a row that failed
	probeAt  time.Time     // when to try a stream again
	every    time.Duration // between probes
}

const (
	silentStreams = 2
	firstProbe    = time.Minute
	slowestProbe  = 30 * time.Minute
)

// errSilent is why a connection was given up that brought no bytes.
var errSilent = errors.New("revocation: feed is silent")

// errNoStream is an answer that is no event stream.
var errNoStream = errors.New("revocation: feed does not stream here")

func (w *way) poll(now time.Time) bool {
	return w.pollOnly || w.silent >= silentStreams && now.Before(w.probeAt)
}

// probeDue reports whether polling should make way for a probe.
func (w *way) probeDue(now time.Time) bool { return !w.pollOnly && !now.Before(w.probeAt) }

func (w *way) probing() bool { return w.silent >= silentStreams }

// patience is how long to wait for the first bytes of a stream. It grows, because a loaded authority looks
// like a proxy that collects; a probe is short, because the view goes stale meanwhile.
func (w *way) patience(silence time.Duration) time.Duration {
	if w.probing() {
		return silence / 2
	}
	return silence << w.silent
}

func (w *way) streamed(now time.Time, got, answered bool, err error) {
	status, _ := errors.AsType[statusError](err)
	switch {
	case got:
		w.silent, w.every = 0, 0
		return
	case errors.Is(err, errNoStream), status.code == http.StatusNotAcceptable:
		w.silent = silentStreams
	case answered && errors.Is(err, errSilent):
		w.silent = min(w.silent+1, silentStreams)
	case w.probing(): // whatever happened, polls work
	default:
		return
	}
	if w.silent >= silentStreams {
		w.every = min(max(2*w.every, firstProbe), slowestProbe)
		w.probeAt = now.Add(w.every)
	}
}

// polled is told how a series of polls ended. When one and the next fail, neither way may work, so a stream
// is tried, once, before polls are used again.
func (w *way) polled(got bool, err error) {
	switch {
	case err == nil:
		w.failed = 0
		return
	case got:
		w.failed = 1
	default:
		w.failed++
	}
	if w.failed >= 2 {
		w.failed = 0
		w.silent = min(w.silent, silentStreams-1)
	}
}
