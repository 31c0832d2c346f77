package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// flightTimeout bounds one renewal: waiting for the store's lock, and two attempts at the token endpoint.
const flightTimeout = 30 * time.Second

// Keeper is a [Refresher] that holds one token and replaces it in time. It is made by [Credentials] and
// [Refresh], and it is safe for use from many goroutines.
type Keeper struct {
	renew   func(ctx context.Context, old Token) (Token, error)
	now     func() time.Time
	early   time.Duration
	onError func(error)

	mu      sync.Mutex // guards the fields below
	current Token
	due     time.Time // from then on current is to be replaced
	flight  *flight   // nil when no renewal is under way
	retry   backoff
	pace    pace
}

var _ Refresher = (*Keeper)(nil)

// flight is one renewal. token and err are written before done is closed.
type flight struct {
	done   chan struct{}
	token  Token
	err    error
	forced bool // somebody waits because an API refused the token; guarded by Keeper.mu
}

func newKeeper(c Config, renew func(context.Context, Token) (Token, error)) *Keeper {
	return &Keeper{renew: renew, now: c.clock(), early: c.EarlyRefresh, onError: c.errorHook(), pace: newPace()}
}

// Token returns the token that is held, or waits for one if there is none or it has expired. A token that is
// held is returned at once, whatever ctx says and whether or not refreshing it works.
func (k *Keeper) Token(ctx context.Context) (Token, error) {
	now := k.now()
	k.mu.Lock()
	if t := k.current; t.goodAt(now) {
		if !now.Before(k.due) && k.retry.allows(now, false) {
			k.start()
		}
		k.mu.Unlock()
		return t, nil
	}
	if k.flight == nil && !k.retry.allows(now, true) {
		defer k.mu.Unlock()
		return Token{}, k.retry.err
	}
	f := k.start()
	k.mu.Unlock()
	return f.wait(ctx)
}

// Refresh returns another token than used, which an API has refused. If a newer one is held or on its way,
// that is the one. Otherwise there is a request to the authority, and used goes on being served to others
// meanwhile, and also if the request fails: another API may still take it. Only when the authority says that
// the sign-in is over ([ErrSignInAgain]) are both sides of one mind, and the token is dropped.
//
// Refusals that come faster than tokens can sensibly be replaced (ten at once, then one in five seconds) get
// an error instead of a request: an API that refuses every token must not become a flood at the authority.
func (k *Keeper) Refresh(ctx context.Context, used Token) (Token, error) {
	now := k.now()
	k.mu.Lock()
	if t := k.current; t.goodAt(now) && !t.same(used) {
		k.mu.Unlock()
		return t, nil
	}
	if k.flight == nil {
		err := k.retry.err
		switch {
		case !k.retry.allows(now, true):
		case !k.pace.take(now):
			err = errors.New("client: the token was refreshed too often because of refusals")
		default:
			err = nil
		}
		if err != nil {
			k.mu.Unlock()
			return Token{}, err
		}
	}
	f := k.start()
	f.forced = true
	k.mu.Unlock()
	return f.wait(ctx)
}

// start begins a renewal, or answers the one that is under way. The caller holds mu.
func (k *Keeper) start() *flight {
	if k.flight == nil {
		k.flight = &flight{done: make(chan struct{})}
		go k.fly(k.flight, k.current)
	}
	return k.flight
}

// fly is the renewal. It belongs to nobody's request: it goes on when the one that started it gives up.
func (k *Keeper) fly(f *flight, old Token) {
	ctx, cancel := context.WithTimeout(context.Background(), flightTimeout)
	defer cancel()
	t, err := k.renew(ctx, old)

	k.mu.Lock()
	now := k.now()
	if err == nil {
		k.current, k.due = t, t.Expiry.Add(-earliness(k.early, t, now))
		k.retry = backoff{}
	} else {
		k.retry.failed(now, err)
		if f.forced && errors.Is(err, ErrSignInAgain) {
			k.current = Token{}
		}
	}
	f.token, f.err, k.flight = t, err, nil
	k.mu.Unlock()
	close(f.done)
	if err != nil {
		k.onError(err)
	}
}

func (f *flight) wait(ctx context.Context) (Token, error) {
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return Token{}, ctx.Err()
	}
}

// earliness is how long before its expiry t is to be replaced.
func earliness(configured time.Duration, t Token, now time.Time) time.Duration {
	if configured < 0 {
		return 0
	}
	from := t.obtained
	if from.IsZero() || from.After(now) {
		from = now
	}
	lifetime := t.Expiry.Sub(from)
	early := configured
	if early == 0 {
		early = max(lifetime/5, 30*time.Second)
	}
	return min(spread(early, 0.25), lifetime/2)
}

// spread moves d evenly by up to this part of it to both sides.
func spread(d time.Duration, part float64) time.Duration {
	return time.Duration(float64(d) * (1 + part*(2*rand.Float64()-1))) //nolint:gosec // spreads load; nobody gains by guessing it
}
