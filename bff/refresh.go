package bff

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/client"
	"github.com/jetonhq/jeton/oauth"
)

const (
	// leaseTime is longer than a refresh takes, with its second attempt.
	leaseTime = 25 * time.Second
	// flightTime is longer than the lease of a server that was killed.
	flightTime = 30 * time.Second
	leasePoll  = 50 * time.Millisecond

	firstPause   = time.Second
	longestPause = 30 * time.Second
	maxPauses    = 4096 // sessions whose failures are remembered before old ones are looked for
)

// flight is one refresh, for all that wait for it. session and err are written before done is closed.
type flight struct {
	done    chan struct{}
	session *session
	err     error
}

// pause is what is remembered of a session whose refresh failed.
type pause struct {
	failures int // in a row
	urgent   time.Time
	calm     time.Time
	err      error
}

// refresh starts a refresh of the session's token, or joins the one that is under way. After a failure it waits
// longer before it tries again; shorter for those that have no good token.
func (a *App) refresh(key Digest, s *session, urgent bool) (*flight, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flights[key]; f != nil {
		return f, nil
	}
	if p, failed := a.pauses[key]; failed {
		until := p.calm
		if urgent {
			until = p.urgent
		}
		if now := a.now(); now.Before(until) && until.Sub(now) <= maxWait { // unless the clock was set back
			return nil, p.err
		}
	}
	f := &flight{done: make(chan struct{})}
	a.flights[key] = f
	a.work.Go(func() { a.fly(key, f, s.access) })
	return f, nil
}

// maxWait is the longest pause that is believed, also when the authority asks for a longer one.
const maxWait = 5 * time.Minute

// fly is a refresh. It belongs to nobody's request: it goes on when the browser that caused it is gone.
func (a *App) fly(key Digest, f *flight, old client.Secret) {
	ctx, cancel := context.WithTimeout(context.Background(), flightTime)
	defer cancel()
	f.session, f.err = a.renew(ctx, key, old)
	a.mu.Lock()
	delete(a.flights, key)
	if f.err == nil || errors.Is(f.err, jeton.ErrNoSession) {
		delete(a.pauses, key)
	} else {
		a.failed(key, f.err)
	}
	a.mu.Unlock()
	close(f.done)
	a.tell(f.err)
}

// failed notes a failure. The caller holds mu.
func (a *App) failed(key Digest, err error) {
	now := a.now()
	if len(a.pauses) >= maxPauses {
		for old, p := range a.pauses {
			if now.Sub(p.calm) > longestPause {
				delete(a.pauses, old)
			}
		}
	}
	p := a.pauses[key]
	wait := max(min(firstPause<<min(p.failures, 10), longestPause), client.RetryAfter(err))
	a.pauses[key] = pause{p.failures + 1, now.Add(max(firstPause, client.RetryAfter(err))), now.Add(wait), err}
}

// tell logs when refreshing begins to fail, and when it works again.
func (a *App) tell(err error) {
	switch {
	case err == nil:
		a.stats.Refreshes.Add(1)
		if a.down.Swap(false) {
			a.log.Info("tokens are refreshed again")
		}
	case errors.Is(err, jeton.ErrNoSession):
	default:
		a.stats.RefreshFailures.Add(1)
		if !a.down.Swap(true) {
			a.log.Warn("a token could not be refreshed; sessions stay, and it is tried again", "error", err)
		}
	}
}

// renew gets the session a token that is not old. Of several servers one asks, and the others wait for what it
// stores.
func (a *App) renew(ctx context.Context, key Digest, old client.Secret) (*session, error) {
	for {
		s, err := a.look(ctx, key)
		if err != nil {
			return nil, err
		}
		now := a.now()
		if s.good(now) && !s.access.Equal(old) {
			return s, nil // another server was faster
		}
		if s.refresh.Empty() {
			return nil, a.over(ctx, key, s)
		}
		if s.lease.Until.After(now) {
			if err := wait(ctx, leasePoll); err != nil {
				return nil, err
			}
			continue
		}
		claimed := s.next()
		claimed.lease = lease{rand.Text(), now.Add(leaseTime)}
		switch err := a.replace(ctx, key, claimed); {
		case errors.Is(err, ErrConflict):
			continue
		case errors.Is(err, ErrNotFound):
			return nil, jeton.ErrNoSession
		case err != nil:
			return nil, err
		}
		s, err = a.ask(ctx, key, claimed)
		if !errors.Is(err, errOvertaken) {
			return s, err
		}
	}
}

// over ends a session without a refresh token, unless its access token was only refused.
func (a *App) over(ctx context.Context, key Digest, s *session) error {
	if s.good(a.now()) {
		return errors.New("bff: the token was refused, and the authority gave no refresh token")
	}
	return a.end(ctx, key)
}

func (a *App) end(ctx context.Context, key Digest) error {
	if err := a.config.Store.End(ctx, key); err != nil {
		return err
	}
	a.stats.Ended.Add(1)
	return jeton.ErrNoSession
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errOvertaken says that another server has stored another refresh token meanwhile, which is the one to use.
var errOvertaken = errors.New("bff: another server was faster")

// ask presents the refresh token, under the lease that s has.
func (a *App) ask(ctx context.Context, key Digest, s *session) (*session, error) {
	asked := a.now()
	answer, err := a.tokens.Refresh(ctx, s.refresh)
	if err == nil {
		return a.keep(ctx, key, s, answer, asked)
	}
	if oauth.CodeOf(err) != oauth.InvalidGrant {
		a.release(ctx, key, s)
		return nil, err
	}
	// The authority says that the sign-in is over. It means that of the token it saw: only if that is still the
	// session's, it is.
	now, found := a.look(ctx, key)
	switch {
	case found != nil:
		return nil, found
	case !now.refresh.Equal(s.refresh):
		return nil, errOvertaken
	}
	return nil, a.end(ctx, key)
}

// keep stores what the authority gave. What others change meanwhile is kept too, such as when the session was used
// last. If another server has stored another refresh token, that one is newer than ours or the same: ours is
// dropped. If nothing can be stored, the access token is good for now, and the refresh token is dropped as well: its
// predecessor, which is stored, is answered with the same one again.
func (a *App) keep(ctx context.Context, key Digest, s *session, answer client.Answer, asked time.Time) (*session, error) {
	presented := s.refresh
	for {
		next := s.next()
		next.access, next.expiry, next.obtained, next.lease = answer.Token.AccessToken, answer.Token.Expiry, asked, lease{}
		if !answer.RefreshToken.Empty() {
			next.refresh = answer.RefreshToken
		}
		err := a.replace(ctx, key, next)
		if errors.Is(err, ErrConflict) {
			if s, err = a.look(ctx, key); err == nil && !s.refresh.Equal(presented) {
				return nil, errOvertaken
			}
			if err == nil {
				continue
			}
		}
		switch {
		case err == nil:
			return next, nil
		case errors.Is(err, ErrNotFound) || errors.Is(err, jeton.ErrNoSession):
			// Signed out meanwhile. The grant ends with whatever generation of its token.
			a.revoke(ctx, presented)
			return nil, jeton.ErrNoSession
		}
		a.log.ErrorContext(ctx, "a refreshed token was not stored", "error", err)
		return next, nil
	}
}

// release ends the lease after a failure. If it cannot, the lease ends by itself.
func (a *App) release(ctx context.Context, key Digest, s *session) {
	mine := s.lease.ID
	for range 3 {
		next := s.next()
		next.lease = lease{}
		if err := a.replace(ctx, key, next); !errors.Is(err, ErrConflict) {
			return
		}
		var err error
		if s, err = a.look(ctx, key); err != nil || s.lease.ID != mine {
			return
		}
	}
}

// revoke ends a grant at the authority. The session here is gone by then, so a failure leaves a grant whose tokens
// nobody has.
func (a *App) revoke(ctx context.Context, refresh client.Secret) {
	if refresh.Empty() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTime)
	defer cancel()
	if err := a.tokens.Revoke(ctx, refresh); err != nil {
		a.log.WarnContext(ctx, "a grant could not be ended at the authority; nobody has its tokens any more", "error", err)
	}
}
