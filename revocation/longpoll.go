package revocation

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

// maxPoll bounds the answer to a long poll: a snapshot of about two million entries.
const maxPoll = 256 << 20

// pollAll asks again and again until an answer is missing or makes no sense, or, with a nil error, until it
// is time to try a stream.
func (f *Follower) pollAll(ctx context.Context) (got bool, err error) {
	for !f.way.probeDue(f.now()) {
		began := f.now()
		moved, err := f.poll(ctx)
		if err != nil {
			return got, err
		}
		got = true
		f.barren = 0
		f.enter(Polling, nil)
		// An authority that answers at once although there is nothing must not be asked in a tight loop.
		if !moved {
			if rest := f.backoff.min - f.now().Sub(began); rest > 0 && !sleep(ctx, rest) {
				return got, ctx.Err()
			}
		}
	}
	return got, nil
}

// poll asks once. The wait is short beside the 30 s the authority would grant: only an answer proves that
// the view is fresh.
func (f *Follower) poll(ctx context.Context) (moved bool, err error) {
	wait := f.silence / 2
	ctx, dog := watch(ctx, max(connectTimeout, wait+f.silence))
	defer dog.stop()
	u := *f.url
	query := u.Query()
	if at := f.resume(); !at.IsZero() {
		query.Set("after", at.String())
	}
	query.Set("wait", wait.String())
	u.RawQuery = query.Encode()
	resp, err := f.get(ctx, u, "application/json", func(r *http.Request) { r.Header.Set("Cache-Control", "no-store") })
	if err != nil {
		return false, dog.cause(err)
	}
	defer resp.Body.Close()
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != "application/json" {
		return false, fmt.Errorf("%w: answer to a poll is not JSON", ErrMalformed)
	}
	body := &watchedBody{body: resp.Body, dog: dog, now: f.now, first: f.silence, silence: f.silence}
	data, err := io.ReadAll(io.LimitReader(body, maxPoll+1))
	if err != nil {
		return false, fmt.Errorf("revocation: read poll: %w", dog.cause(err))
	}
	if len(data) > maxPoll {
		return false, ErrTooLong
	}
	p, err := ParsePoll(data)
	if err != nil {
		return false, err
	}
	return f.applyPoll(p, body.began)
}

// applyPoll applies an answer whose first bytes arrived at the given time.
func (f *Follower) applyPoll(p Poll, arrived time.Time) (moved bool, err error) {
	before := f.view.Cursor()
	if p.Snapshot {
		err = f.view.ApplySnapshot(p.Incarnation, p.Seq, p.Entries)
	} else if len(p.Entries) > 0 {
		err = f.view.ApplyDelta(p.Incarnation, p.Entries)
	}
	if err != nil {
		return false, err
	}
	// The answer's number is the authority's word on where its log is, like a heartbeat.
	if err := f.view.Heartbeat(p.Incarnation, p.Seq, p.Time, arrived); err != nil {
		return false, err
	}
	return f.view.Cursor() != before, nil
}
