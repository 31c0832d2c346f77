package revocation

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

// stream follows one event stream to its end. answered reports that the request went out whole, so that
// silence is not simply a missing network.
func (f *Follower) stream(ctx context.Context, patience time.Duration) (got, answered bool, err error) {
	ctx, dog := watch(ctx, max(patience, connectTimeout))
	defer dog.stop()
	f.renewal.Store(&dog.cancel)
	defer f.renewal.Store(nil)
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
		if info.Err == nil {
			sent.Store(true)
			dog.feed(patience)
		}
	}})
	resp, err := f.get(ctx, *f.url, "text/event-stream", func(r *http.Request) {
		r.Header.Set("Cache-Control", "no-store")
		if at := f.resume(); !at.IsZero() {
			r.Header.Set("Last-Event-ID", at.String())
		}
	})
	if err != nil {
		return false, sent.Load(), dog.cause(err)
	}
	defer resp.Body.Close()
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != "text/event-stream" {
		return false, true, errNoStream
	}
	body := &watchedBody{body: resp.Body, dog: dog, now: f.now, first: patience, silence: f.silence}
	got, err = f.take(NewDecoder(body), body)
	return got, true, dog.cause(err)
}

// take applies events until the stream ends or makes no sense. It returns an error always.
func (f *Follower) take(dec *Decoder, body *watchedBody) (got bool, err error) {
	var parts snapshotParts
	for {
		event, err := dec.Next()
		if err == io.EOF { //nolint:errorlint // Next answers the value itself
			err = io.ErrUnexpectedEOF // a feed has no end
		}
		if err != nil {
			return got, fmt.Errorf("revocation: read feed: %w", err)
		}
		m, err := event.Message()
		if err != nil {
			return got, err
		}
		moved := false
		switch m.Type {
		case SnapshotPart:
			moved, err = parts.take(f.view, m, body.arrived)
		case Delta:
			if parts.open {
				return got, fmt.Errorf("%w: delta inside a snapshot", ErrMalformed)
			}
			before := f.view.Cursor()
			err = f.view.ApplyDelta(m.Incarnation, m.Entries)
			moved = f.view.Cursor() != before
		case Heartbeat:
			if parts.open {
				continue // says that the sender lives, and no more
			}
			err = f.view.Heartbeat(m.Incarnation, m.Seq, m.Time, body.arrived)
			moved = err == nil
		case Other: // of a later version
		}
		if moved {
			got = true
			f.barren = 0
			f.enter(Streaming, nil)
		}
		if err != nil {
			return got, err
		}
	}
}

// snapshotParts follows a snapshot through its parts. Ids are put into the view as they come, so a large
// snapshot needs no second copy; the position moves only with the last part.
type snapshotParts struct {
	open   bool
	at     Cursor
	next   uint64
	since  time.Time // arrival of the first part: what the whole proves fresh
	beside []Entry
}

func (p *snapshotParts) take(v *View, m Message, arrived time.Time) (whole bool, err error) {
	if !p.open {
		*p = snapshotParts{open: true, at: Cursor{m.Incarnation, m.Seq}, since: arrived}
	}
	if m.Part != p.next || p.at != (Cursor{m.Incarnation, m.Seq}) {
		return false, fmt.Errorf("%w: part of a snapshot is missing", ErrMalformed)
	}
	p.next++
	v.addPart(m.Entries)
	p.beside = besideSet(p.beside, m.Entries)
	if !m.End {
		return false, nil
	}
	p.open = false
	v.completeSnapshot(p.at, p.beside)
	if v.Cursor() == p.at {
		v.Touch(p.since)
	}
	return true, nil
}

// get makes a request with credentials and returns a 200 answer.
func (f *Follower) get(ctx context.Context, u url.URL, accept string, prepare func(*http.Request)) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("revocation: make request: %w", err)
	}
	req.Header.Set("Accept", accept)
	// A compressor on the way would hold events back to fill its window.
	req.Header.Set("Accept-Encoding", "identity")
	prepare(req)
	if err := f.authorize(req); err != nil {
		return nil, fmt.Errorf("revocation: authorize request: %w", err)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("revocation: connect: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096))
	resp.Body.Close()
	return nil, statusError{code: resp.StatusCode, retryAfter: retryAfter(resp)}
}

// retryAfter reads the header's seconds, at most 30.
func retryAfter(resp *http.Response) time.Duration {
	sec, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || sec < 0 {
		return 0
	}
	return time.Duration(min(sec, 30)) * time.Second
}
