package jeton

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/revocation"
)

const (
	// maxTrips is how many round trips may be under way. Questions that come meanwhile wait for the next,
	// so that the busier the guard is, the more of them travel together.
	maxTrips      = 2
	tripTimeout   = 2 * time.Second
	firstPause    = 100 * time.Millisecond
	longestPause  = time.Second
	maxAnswerSize = 64 << 10
)

var (
	errClosed      = errors.New("jeton: the guard is closed")
	errDown        = errors.New("jeton: the authority did not answer a moment ago")
	errWrongAnswer = errors.New("jeton: the registry's answer does not fit the question")
)

// registry asks the authority about tokens, many at once.
type registry struct {
	url       string
	client    *http.Client
	authorize func(*http.Request) error
	now       func() time.Time
	log       *slog.Logger
	observer  Observer
	ctx       context.Context

	trips, asked atomic.Uint64

	mu       sync.Mutex // guards the fields below
	waiting  []*question
	byDigest map[revocation.ID]*question // those waiting
	flying   int
	failures int       // round trips in a row
	retry    time.Time // not before, when there are failures
	closed   bool
	work     sync.WaitGroup
}

// question is one token to ask about. What follows done is written before done is closed.
type question struct {
	sighting revocation.Sighting
	done     chan struct{}
	verdict  string
	sent     time.Time
	err      error
}

func newRegistry(ctx context.Context, c Config, o Observer) *registry {
	r := &registry{
		url:       c.RegistryURL,
		client:    noRedirects(c.HTTPClient),
		authorize: c.Client.authorize,
		now:       c.Now,
		log:       c.Logger,
		observer:  o,
		ctx:       ctx,
		byDigest:  make(map[revocation.ID]*question),
	}
	if r.now == nil {
		r.now = time.Now
	}
	return r
}

func sightingOf(rec *record) revocation.Sighting {
	sum := sha256.Sum256([]byte(*rec.text))
	return revocation.Sighting{ID: rec.jti, Digest: revocation.ID(sum[:16]), KeyID: rec.keyID}
}

// ask answers the authority's verdict on a token, "" when it is alive, and when the question was sent. An
// answer that is older than the call is never given: a question joins those that wait, not those under way.
func (r *registry) ask(ctx context.Context, s revocation.Sighting) (verdict string, sent time.Time, err error) {
	q, err := r.enqueue(s)
	if err != nil {
		return "", time.Time{}, err
	}
	select {
	case <-q.done:
		return q.verdict, q.sent, q.err
	case <-ctx.Done():
		return "", time.Time{}, ctx.Err()
	}
}

func (r *registry) enqueue(s revocation.Sighting) (*question, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errClosed
	}
	if q := r.byDigest[s.Digest]; q != nil && q.sighting == s {
		return q, nil
	}
	// While the authority is down, one round trip at a time finds out whether it is back. Nobody else
	// waits for it to time out.
	if r.failures > 0 && (r.flying > 0 || r.now().Before(r.retry)) {
		return nil, errDown
	}
	q := &question{sighting: s, done: make(chan struct{})}
	r.waiting = append(r.waiting, q)
	r.byDigest[s.Digest] = q
	if r.flying < maxTrips {
		r.flying++
		r.work.Go(r.fly)
	}
	return q, nil
}

// fly makes round trips for as long as questions wait.
func (r *registry) fly() {
	for {
		batch := r.next()
		if batch == nil {
			return
		}
		sent := r.now()
		verdicts, err := r.trip(batch)
		r.landed(err, len(batch), r.now().Sub(sent))
		for i, q := range batch {
			q.sent = sent
			if q.err = err; err == nil {
				q.verdict = verdicts[i]
			}
			close(q.done)
		}
	}
}

// next takes the questions for one round trip, or ends this flight.
func (r *registry) next() []*question {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		r.flying--
		return nil
	}
	n := min(len(r.waiting), revocation.MaxSightings)
	batch := make([]*question, n)
	copy(batch, r.waiting)
	clear(r.waiting[:n])
	if r.waiting = r.waiting[n:]; len(r.waiting) == 0 {
		r.waiting = nil
	}
	for _, q := range batch {
		delete(r.byDigest, q.sighting.Digest)
	}
	return batch
}

// landed takes down how a round trip went.
func (r *registry) landed(err error, tokens int, took time.Duration) {
	r.trips.Add(1)
	r.asked.Add(uint64(tokens)) //nolint:gosec // the length of a batch
	r.observer.Registry(tokens, took, err)
	r.mu.Lock()
	before := r.failures
	if err == nil {
		r.failures = 0
	} else {
		r.failures++
		r.retry = r.now().Add(min(firstPause<<min(before, 8), longestPause))
	}
	var stranded []*question
	if err != nil {
		// Those who wait would meet the same, one time-out after the other.
		stranded, r.waiting = r.waiting, nil
		clear(r.byDigest)
	}
	quiet := r.closed
	r.mu.Unlock()
	for _, q := range stranded {
		q.err = errDown
		close(q.done)
	}
	switch {
	case quiet:
	case err != nil && before == 0:
		r.log.Warn("authority cannot be asked about tokens", "error", err)
	case err == nil && before > 0:
		r.log.Info("authority answers about tokens again")
	}
}

func (r *registry) trip(batch []*question) ([]string, error) {
	ask := revocation.Question{Tokens: make([]revocation.Sighting, len(batch))}
	for i, q := range batch {
		ask.Tokens[i] = q.sighting
	}
	return r.call(r.url, ask, len(batch))
}

// call asks the authority something that it answers with n verdicts.
func (r *registry) call(url string, ask any, n int) ([]string, error) {
	var answer revocation.Answer
	if err := r.post(url, ask, &answer); err != nil {
		return nil, err
	}
	if len(answer.Verdicts) != n {
		return nil, errWrongAnswer
	}
	return answer.Verdicts, nil
}

// post makes one round trip, which belongs to nobody's request.
func (r *registry) post(url string, ask, into any) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return fmt.Errorf("jeton: asking the registry: %w", err)
	}
	ctx, cancel := context.WithTimeout(r.ctx, tripTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("jeton: asking the registry: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if err := r.authorize(req); err != nil {
		return fmt.Errorf("jeton: asking the registry: %w", err)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return fmt.Errorf("jeton: asking the registry: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("jeton: the registry answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerSize))
	if err != nil {
		return fmt.Errorf("jeton: reading the registry's answer: %w", err)
	}
	if json.Unmarshal(raw, into) != nil {
		return errWrongAnswer
	}
	return nil
}

// close ends the round trips under way and waits for them.
func (r *registry) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.work.Wait()
	r.client.CloseIdleConnections()
}
