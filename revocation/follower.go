package revocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// FollowerConfig sets up a [Follower]. URL, Authorize and View are required.
type FollowerConfig struct {
	// URL is the feed, e.g. https://id.example.com/revocations.
	URL string
	// Client makes the requests; default is a client of our own that finds dead HTTP/2 connections. Its
	// Timeout is not used (a stream has none) and redirects are not followed.
	Client *http.Client
	// Authorize adds the credentials to each request. An error counts as a failed attempt.
	Authorize func(*http.Request) error
	// View is what the follower keeps up to date. No one else may apply changes to it.
	View *View
	// Now is the clock; default time.Now. It must be the clock of the View.
	Now func() time.Time
	// MinBackoff is the pause after the first failure, default 100 ms; it doubles up to MaxBackoff,
	// default 5 s. Refused credentials wait six times MaxBackoff.
	MinBackoff, MaxBackoff time.Duration
	// Jitter spreads each pause evenly by this part of it to both sides; default 0.5, negative is none.
	Jitter float64
	// SilenceTimeout is how long the connection may bring no byte before it is given up; default 2 s. The
	// authority sends a heartbeat every 500 ms.
	SilenceTimeout time.Duration
	// LongPoll uses long polls only. Otherwise they are the way out when no event of a stream arrives
	// (a proxy collects the answer), and the stream is tried again from time to time.
	LongPoll bool
	// OnState is called at each change of state, from Run.
	OnState func(State)
	// Logger receives a line per loss and recovery; default none.
	Logger *slog.Logger
}

// Follower keeps a [View] up to date from the authority's feed, for as long as [Follower.Run] runs. The
// authority may start later, go away and come back; the view's staleness tells what that means for readers.
type Follower struct {
	url       *url.URL
	client    *http.Client
	authorize func(*http.Request) error
	view      *View
	now       func() time.Time
	backoff   backoff
	silence   time.Duration
	onState   func(State)
	log       *slog.Logger

	renewal atomic.Pointer[context.CancelCauseFunc] // ends the stream that is open

	running atomic.Bool
	state   atomic.Uint32
	lastErr atomic.Pointer[error]

	// The rest belongs to Run.
	lost    bool // the loss has been logged
	refused int  // attempts in a row that ended in 401 or 403
	barren  int  // attempts in a row that were answered and brought nothing
	way     way
}

// connectTimeout bounds the way to the authority, up to the request being written.
const connectTimeout = 5 * time.Second

// NewFollower checks the configuration. Nothing is connected before [Follower.Run].
func NewFollower(cfg FollowerConfig) (*Follower, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, errors.New("revocation: URL is not an absolute http(s) URL")
	}
	if cfg.View == nil || cfg.Authorize == nil {
		return nil, errors.New("revocation: View and Authorize are required")
	}
	f := &Follower{
		url:       u,
		client:    cfg.Client,
		authorize: cfg.Authorize,
		view:      cfg.View,
		now:       cfg.Now,
		backoff:   newBackoff(cfg),
		silence:   cfg.SilenceTimeout,
		onState:   cfg.OnState,
		log:       cfg.Logger,
		way:       way{pollOnly: cfg.LongPoll},
	}
	if f.now == nil {
		f.now = time.Now
	}
	if f.silence <= 0 {
		f.silence = 2 * time.Second
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	f.client = feedClient(f.client, f.silence)
	f.view.mu.Lock()
	f.view.followed = true
	f.view.mu.Unlock()
	return f, nil
}

// feedClient returns a copy of c fit for an endless answer.
func feedClient(c *http.Client, silence time.Duration) *http.Client {
	client := &http.Client{}
	if c != nil {
		*client = *c
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		// Without pings a new request would be put on the HTTP/2 connection that has just died.
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: silence, PingTimeout: silence}
		client.Transport = t
	}
	client.Timeout = 0
	// The feed is where it is configured to be: a redirect would carry the credentials elsewhere.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// Run follows the feed until ctx ends and returns its error. It returns another error only when it is
// already running.
func (f *Follower) Run(ctx context.Context) error {
	if !f.running.CompareAndSwap(false, true) {
		return errors.New("revocation: the follower is running already")
	}
	defer f.running.Store(false)
	defer f.enter(Idle, nil)
	for {
		began := f.now()
		got, err := f.attempt(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil || errors.Is(err, errRenewed) {
			continue // a change of way, not a failure
		}
		f.count(got, err)
		f.client.CloseIdleConnections()
		state := Waiting
		if f.refused > 0 {
			state = Unauthorized
		}
		f.enter(state, err)
		if got && f.now().Sub(began) > f.backoff.max {
			f.backoff.reset() // it worked for a while: this is a new failure
		}
		if !sleep(ctx, f.pause(err)) {
			return ctx.Err()
		}
	}
}

// errRenewed is why a stream was given up that was to be begun anew.
var errRenewed = errors.New("revocation: the connection is renewed")

// Renew begins the connection anew, where it is: what Authorize says of this
// receiver has changed. A long poll tells it by itself with the next one.
func (f *Follower) Renew() {
	if end := f.renewal.Load(); end != nil {
		(*end)(errRenewed)
	}
}

// attempt asks the authority one way or the other, and reports whether anything was got that moved the
// view or proved it fresh. It returns no error only to be called again at once.
func (f *Follower) attempt(ctx context.Context) (got bool, err error) {
	if f.State() == Idle || f.State() == Waiting {
		f.enter(Connecting, f.Err())
	}
	if f.way.poll(f.now()) {
		got, err = f.pollAll(ctx)
		f.way.polled(got, err)
		return got, err
	}
	probing := f.way.probing()
	got, answered, err := f.stream(ctx, f.way.patience(f.silence))
	f.way.streamed(f.now(), got, answered, err)
	if probing && !got {
		return false, nil // polling goes on at once: a probe must not make the view stale
	}
	return got, err
}

// count keeps what decides about the next attempt.
func (f *Follower) count(got bool, err error) {
	if status, ok := errors.AsType[statusError](err); ok && status.refused() {
		f.refused++
	} else {
		f.refused = 0
	}
	switch {
	case got:
		f.barren = 0
	case errors.Is(err, ErrGap), errors.Is(err, ErrMalformed), errors.Is(err, ErrTooLong):
		f.barren++
	}
}

func (f *Follower) pause(err error) time.Duration {
	if f.refused > 1 { // the first may be a token that has just expired
		return f.backoff.spread(6 * f.backoff.max)
	}
	pause := f.backoff.next()
	if status, ok := errors.AsType[statusError](err); ok {
		pause = max(pause, status.retryAfter)
	}
	return pause
}

// resume is where to go on. When the authority has twice been unable to, the view asks for a snapshot.
func (f *Follower) resume() Cursor {
	if f.barren >= 2 {
		return Cursor{}
	}
	return f.view.Cursor()
}

// statusError is an answer other than 200.
type statusError struct {
	code       int
	retryAfter time.Duration
}

func (e statusError) Error() string {
	return fmt.Sprintf("revocation: feed answered %d %s", e.code, http.StatusText(e.code))
}

func (e statusError) refused() bool {
	return e.code == http.StatusUnauthorized || e.code == http.StatusForbidden
}
