package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/feed"
	"github.com/jetonhq/jeton/oauth"
	"github.com/jetonhq/jeton/revocation"
)

// subscriberPatience is how long a write to a subscriber may take. One that is
// slower is dropped: it reconnects and resumes without loss.
const subscriberPatience = 2 * time.Second

// maxPoll bounds the wait of a long poll.
const maxPoll = 30 * time.Second

// revocations is the feed: server-sent events, or one answer of a long poll
// when ?wait is given. Package revocation describes the protocol.
func (h *Handler) revocations(w http.ResponseWriter, r *http.Request) error {
	client, err := h.resource(r)
	if err != nil {
		if e, ok := errors.AsType[*oauth.Error](err); ok && e.Code == oauth.UnauthorizedClient {
			// A follower tells by the status whether its credentials or the network are at fault.
			return fmt.Errorf("%w: %w", errForbidden, err)
		}
		return err
	}
	query := r.URL.Query()
	after := query.Get("after")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		after = last
	}
	var at revocation.Cursor
	if after != "" {
		if at, err = revocation.ParseCursor(after); err != nil {
			return oauth.RefuseCause(oauth.InvalidRequest, "the cursor is malformed", err)
		}
	}
	leave := h.cfg.Feed.Join(h.reader(client, r))
	if query.Has("wait") {
		defer func() { time.AfterFunc(pollLinger, leave) }() // between two polls the reader is still there
		return h.poll(w, r, at, query.Get("wait"))
	}
	defer leave()
	return h.stream(w, r, at)
}

// reader is who asks, and which keys it says it holds.
func (h *Handler) reader(client string, r *http.Request) feed.Reader {
	addr, _ := h.cfg.Caller(r)
	keys := strings.Fields(r.Header.Get(revocation.KeysHeader))
	return feed.Reader{Client: client, From: addr.String(), Since: time.Now(), Keys: keys[:min(len(keys), maxReportedKeys)]}
}

// maxReportedKeys bounds what is remembered of a reader.
const maxReportedKeys = 64

// pollLinger is how long a reader that polls is counted after an answer.
const pollLinger = 3 * time.Second

func (h *Handler) poll(w http.ResponseWriter, r *http.Request, at revocation.Cursor, wait string) error {
	d, err := time.ParseDuration(wait)
	if err != nil || d < 0 {
		return oauth.RefuseCause(oauth.InvalidRequest, "wait is not a duration", err)
	}
	waiting, cancel := h.untilDrained(r.Context())
	defer cancel()
	p, err := h.cfg.Feed.Poll(waiting, at, min(d, maxPoll))
	if err != nil && h.life.Err() != nil {
		p, err = h.cfg.Feed.Poll(r.Context(), at, 0) // what is known now, because the server stops
	}
	if err != nil {
		return err
	}
	b, err := revocation.AppendPoll(nil, p)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(b) //nolint:gosec // JSON, as the header says, to a program
	return err
}

func (h *Handler) stream(w http.ResponseWriter, r *http.Request, at revocation.Cursor) error {
	ctx, cancel := h.untilDrained(r.Context())
	defer cancel()
	sub, chunk, err := h.cfg.Feed.Subscribe(ctx, at)
	if err != nil && h.life.Err() != nil {
		return oauth.RefuseCause(oauth.TemporarilyUnavailable, "this node is stopping", err)
	}
	if err != nil {
		return err
	}
	defer sub.Close()
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx must not collect the stream
	w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(w)
	for {
		_ = out.SetWriteDeadline(time.Now().Add(subscriberPatience + time.Duration(len(chunk)>>20)*time.Second))
		if _, err := w.Write(chunk); err != nil { //nolint:gosec // an event stream, as the header says, to a program
			return nil // gone, or too slow: it will come back
		}
		if err := out.Flush(); err != nil {
			return nil
		}
		if chunk, err = sub.Next(ctx); err != nil {
			if ctx.Err() == nil {
				h.cfg.Logger.ErrorContext(ctx, "feed subscription ended", "error", err)
			}
			return nil
		}
	}
}

// untilDrained is a request's context that also ends when the server drains,
// without a goroutine per subscriber.
func (h *Handler) untilDrained(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	remove := context.AfterFunc(h.life, cancel)
	return ctx, func() {
		remove()
		cancel()
	}
}
