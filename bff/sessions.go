package bff

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/jetonhq/jeton"
)

// Sessions are the sessions of an [App], for guards in the same program: see [jeton.Config.Sessions].
type Sessions struct{ app *App }

var _ jeton.SessionSource = Sessions{}

// Sessions returns the app's sessions.
func (a *App) Sessions() Sessions { return Sessions{a} }

// SessionToken implements [jeton.SessionSource]. Errors other than its own two are those of the store and of
// requests to the authority.
func (s Sessions) SessionToken(r *http.Request, refused string) (string, error) {
	key, err := s.app.key(r)
	if err != nil {
		return "", err
	}
	held, err := s.app.token(r.Context(), key, refused)
	if err != nil {
		return "", err
	}
	return held.access.Reveal(), nil
}

// look finds a session that is not over.
func (a *App) look(ctx context.Context, key Digest) (*session, error) {
	r, err := a.config.Store.Find(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil, jeton.ErrNoSession
	}
	if err != nil {
		return nil, err
	}
	s, err := a.unseal(key, r)
	if err != nil {
		// The keys were replaced too soon, or the store was tampered with. Whatever it is, there is nothing to use.
		if !a.lost.Swap(true) {
			a.log.WarnContext(ctx, "sessions cannot be read: people have to sign in again", "error", err)
		}
		return nil, jeton.ErrNoSession
	}
	if !a.now().Before(a.ends(s)) {
		return nil, jeton.ErrNoSession
	}
	return s, nil
}

// touch notes that the session is in use. A sixteenth of the idle time is near enough, and saves most writes.
func (a *App) touch(ctx context.Context, key Digest, s *session) *session {
	now := a.now()
	if now.Sub(s.seen) < a.config.Idle/16 {
		return s
	}
	next := s.next()
	next.seen = now
	switch err := a.replace(ctx, key, next); {
	case err == nil:
		return next
	case !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound): // others changed it, so they have noted it
		a.log.WarnContext(ctx, "the use of a session was not noted", "error", err)
	}
	return s
}

func (a *App) replace(ctx context.Context, key Digest, s *session) error {
	r, err := a.record(key, s)
	if err != nil {
		return err
	}
	return a.config.Store.Replace(ctx, key, r)
}

// young is the age of a token that is not replaced, however it was refused: an API that refuses every token must
// not become a flood at the authority.
const young = time.Second

var errYoung = errors.New("bff: the token was refused, and it was got only a moment ago")

// token is the session with an access token that is good, and that is not the refused one. Whoever can be given a
// good token never waits for another.
func (a *App) token(ctx context.Context, key Digest, refused string) (*session, error) {
	s, err := a.look(ctx, key)
	if err != nil {
		return nil, err
	}
	s = a.touch(ctx, key, s)
	now := a.now()
	again := refused != "" && s.access.Reveal() == refused
	if s.good(now) && !again {
		if !now.Before(s.due(key)) && !s.refresh.Empty() {
			_, _ = a.refresh(key, s, false) // goes on by itself
		}
		return s, nil
	}
	if again && s.good(now) && now.Sub(s.obtained) < young {
		return nil, errYoung
	}
	f, err := a.refresh(key, s, true)
	if err != nil {
		return nil, err
	}
	select {
	case <-f.done:
		return f.session, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
