package tokens

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/seen"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
	"github.com/jetonhq/jeton/revocation"
)

// Reasons for which a token is refused, as far as the authority finds them.
// They are the stable codes of the guard's table.
const (
	ReasonRevoked      = oauth.ReasonRevoked
	ReasonSessionEnded = oauth.ReasonSessionEnded
	ReasonUnknown      = oauth.ReasonUnknownToken
	ReasonKeyRevoked   = oauth.ReasonKeyRevoked
)

// Refused says that a token is not accepted, and why, in one stable code.
type Refused struct {
	Reason string
	Cause  error      // for the log
	Token  *jwt.Token // whose signature is ours; nil where that is not so
}

func (r *Refused) Error() string {
	if r.Cause != nil {
		return r.Reason + ": " + r.Cause.Error()
	}
	return r.Reason
}

func (r *Refused) Unwrap() error { return r.Cause }

// ReasonOf returns the code of the *Refused in err's chain, or "".
func ReasonOf(err error) string {
	if r, ok := errors.AsType[*Refused](err); ok {
		return r.Reason
	}
	return ""
}

// Check verifies an access token and holds it against the view and the
// registry. A token that is not alive gives a *Refused; any other error is a
// failure to find out.
//
// A token that was found alive before costs a lookup: while the view's epoch
// stands nothing was revoked, and when it rose the token's ids are looked up
// again. That holds only while the view is fresh; otherwise the store is asked.
// The token that is returned is shared: do not change it.
func (s *Service) Check(ctx context.Context, token string, from authority.Context) (*jwt.Token, error) {
	now := s.cfg.Now().Unix()
	fresh := !s.cfg.View.Stale(maxStaleness)
	// Before the lookups, so that a change they miss shows as a difference.
	epoch := s.cfg.View.Epoch()
	if e := s.seen.Get(token, now); e != nil && fresh {
		if e.Epoch() != epoch {
			if err := s.inView(e.Value); err != nil {
				s.seen.Drop(e)
				return nil, err
			}
			e.SetEpoch(epoch)
		}
		return e.Value, nil
	}
	t, err := s.access.Verify(ctx, token)
	if err != nil {
		refused := &Refused{Reason: jwt.ReasonOf(err), Cause: err}
		if refused.Reason == jwt.ReasonUnknownKey && s.ofRevokedKey(token) {
			refused.Reason = ReasonKeyRevoked
		}
		if refused.Reason == jwt.ReasonExpired {
			refused.Token, _ = s.expired.Verify(ctx, token)
		}
		return nil, refused
	}
	if err := s.inView(t); err != nil {
		return nil, err
	}
	if err := s.registered(ctx, t, token, from); err != nil {
		return nil, err
	}
	if fresh {
		s.seen.Put(seen.Item[*jwt.Token]{
			Token: token, Expires: t.Claims.ExpiresAt, Epoch: epoch,
			Fill: func(e *seen.Entry[*jwt.Token], _ string) { e.Value = t },
		}, now)
	}
	return t, nil
}

// ofRevokedKey reports whether a token names a key that was compromised: no ring
// verifies with that any more.
func (s *Service) ofRevokedKey(token string) bool {
	u, err := jwt.Parse(token, 0)
	return err == nil && s.cfg.View.KeyRevoked(u.Header.KeyID)
}

// inView refuses a token that is dead by one of its ids, or by its key.
func (s *Service) inView(t *jwt.Token) error {
	jti, gid, sid := tokenIDs(t.Claims)
	if s.cfg.View.KeyRevoked(t.Header.KeyID) {
		return &Refused{Reason: ReasonKeyRevoked, Token: t}
	}
	if v := s.cfg.View.Revoked(revocation.ID(jti), revocation.ID(gid), revocation.ID(sid)); v.Hit() {
		return &Refused{Reason: reasonOfKind(authority.Kind(v.Kind.String())), Token: t}
	}
	return nil
}

// registered refuses a token that the authority did not issue, or that the
// records say is dead.
func (s *Service) registered(ctx context.Context, t *jwt.Token, token string, from authority.Context) error {
	jti, gid, _ := tokenIDs(t.Claims)
	states, err := s.cfg.Store.Tokens(ctx, []secret.ID{jti})
	if err != nil {
		return fmt.Errorf("tokens: registry: %w", err)
	}
	state, known := states[jti]
	reason, err := s.judge(ctx, jti, secret.ShortDigest(token), state, known)
	if err != nil {
		return err
	}
	if reason == ReasonUnknown {
		s.forgery(ctx, t.Header.KeyID, jti, gid, from)
	}
	if reason != "" {
		return &Refused{Reason: reason, Token: t}
	}
	return nil
}

// judge decides what the registry says of a token: "" for alive.
func (s *Service) judge(ctx context.Context, jti secret.ID, digest [16]byte, state authority.TokenState, known bool) (string, error) {
	switch {
	case known && !secret.Equal(state.Digest[:], digest[:]):
		return ReasonUnknown, nil
	case known && state.GrantEnded:
		return ReasonRevoked, nil
	case known:
		return "", nil
	}
	// The row of a revoked token is gone; the log still knows it.
	_, err := s.cfg.Store.Revoked(ctx, authority.KindToken, jti)
	switch {
	case err == nil:
		return ReasonRevoked, nil
	case errors.Is(err, authority.ErrNotFound):
		return ReasonUnknown, nil
	}
	return "", fmt.Errorf("tokens: revocation log: %w", err)
}

func reasonOfKind(k authority.Kind) string {
	switch k {
	case authority.KindSession:
		return ReasonSessionEnded
	case authority.KindKey:
		return ReasonKeyRevoked
	case authority.KindToken, authority.KindGrant, authority.KindPolicy, authority.KindGrantStale, authority.KindKeyRing:
	}
	return ReasonRevoked
}

// tokenIDs reads the ids of a verified token; absent ones are zero. A token
// signed with a stolen key may carry anything: what does not parse stays zero
// and is then not in the registry.
func tokenIDs(c jwt.Claims) (jti, gid, sid secret.ID) {
	jti, _ = secret.ParseID(c.ID)
	gid, _ = secret.ParseID(c.GrantID)
	sid, _ = secret.ParseID(c.SessionID)
	return jti, gid, sid
}

// forgery raises the event for a token that verifies but was never issued:
// someone may hold a signing key. If the grant is known whose token it passes
// itself off as, the event tells whose that is and where it is used from; its
// Context is the caller's who showed the token to the authority. At most one event
// a second is written, with the number of sightings it stands for, so that a flood
// cannot fill the disk.
func (s *Service) forgery(ctx context.Context, kid string, jti, grant secret.ID, from authority.Context) {
	now := s.cfg.Now()
	n, ok := s.forged.take(now)
	if !ok {
		return
	}
	if s.mayBeLost(ctx, jti, now) {
		s.cfg.Logger.WarnContext(ctx, "tokens are refused that the registry may have lost", "kid", kid, "jti", jti, "sightings", n)
		return
	}
	s.cfg.Logger.WarnContext(ctx, "a token verifies but was never issued: someone may hold a signing key", "kid", kid, "jti", jti)
	e := authority.Event{
		ID: secret.NewID(now), Type: authority.EventForgedToken, Actor: authority.System, Context: from, Data: map[string]string{},
	}
	if g, err := s.cfg.Store.Grant(ctx, grant); err == nil {
		e = s.newEvent(authority.EventForgedToken, authority.System, g, from)
		e.Data = contexts(g)
	}
	e.TokenID, e.Data["kid"], e.Data["sightings"] = jti, kid, fmt.Sprint(n)
	s.record(ctx, e)
}

// clocksApart is how far the clocks of two nodes may be apart.
const clocksApart = time.Second

// mayBeLost reports whether the registry has lost rows lately, of which one may have
// been the token's: then that it is unknown proves nothing.
func (s *Service) mayBeLost(ctx context.Context, jti secret.ID, now time.Time) bool {
	store, ok := s.cfg.Store.(authority.Forgetful)
	if !ok {
		return false
	}
	lost, err := store.LostBefore(ctx, now)
	return err == nil && jti.Time().Before(lost.Add(clocksApart)) && now.Sub(lost) < s.cfg.MaxLifetime+clockMargin
}

// forgedLimit lets one event a second through and counts the rest.
type forgedLimit struct {
	mu      sync.Mutex
	last    time.Time // guarded by mu, as is waiting
	waiting int
}

func (f *forgedLimit) take(now time.Time) (sightings int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting++
	if !f.last.IsZero() && now.Sub(f.last) < time.Second {
		return 0, false
	}
	f.last, sightings, f.waiting = now, f.waiting, 0
	return sightings, true
}
