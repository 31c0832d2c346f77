package accounts

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// A session cookie is base64url, without padding, of
//
//	16 bytes session id
//	32 bytes secret, random; the store has its SHA-256
const (
	cookieSecret = 32
	cookieBytes  = 16 + cookieSecret
	cookieText   = cookieBytes / 3 * 4
)

// touchEvery is how often a session in use is written.
const touchEvery = time.Minute

func cookie(id secret.ID, key []byte) secret.Value {
	return secret.New(base64.RawURLEncoding.EncodeToString(append(id[:], key...)))
}

func parseCookie(s string) (id secret.ID, digest [32]byte, ok bool) {
	if len(s) != cookieText {
		return id, digest, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != cookieBytes {
		return id, digest, false
	}
	return secret.ID(b[:16]), secret.Digest(string(b[16:])), true
}

// Session finds the live session and the person a cookie stands for, or returns
// ErrNoSession. It moves the session's idle time, at most once a minute. seen is
// where the request came from; its zero value leaves what is recorded.
func (s *Service) Session(ctx context.Context, cookie string, seen authority.Context) (authority.Session, authority.Account, error) {
	nobody := func(err error) (authority.Session, authority.Account, error) {
		return authority.Session{}, authority.Account{}, err
	}
	id, digest, ok := parseCookie(cookie)
	if !ok {
		return nobody(ErrNoSession)
	}
	session, err := s.cfg.Sessions.Session(ctx, id)
	if errors.Is(err, authority.ErrNotFound) {
		return nobody(ErrNoSession)
	}
	if err != nil {
		return nobody(fmt.Errorf("look up a session: %w", err))
	}
	now := s.cfg.Now()
	if !secret.Equal(digest[:], session.Digest[:]) || !session.Live(now) {
		return nobody(ErrNoSession)
	}
	account, err := s.cfg.Accounts.Account(ctx, session.AccountID)
	if errors.Is(err, authority.ErrNotFound) {
		return nobody(ErrNoSession)
	}
	if err != nil {
		return nobody(fmt.Errorf("look up a session's account: %w", err))
	}
	if account.Disabled {
		return nobody(ErrNoSession)
	}
	if session, err = s.use(ctx, now, session, seenFrom(seen)); err != nil {
		return nobody(err)
	}
	return session, account, nil
}

// use takes down that the session is in use, and from where.
func (s *Service) use(ctx context.Context, now time.Time, session authority.Session, seen authority.Context) (authority.Session, error) {
	reason, refused := s.changed(session, seen)
	if refused {
		s.refuseElsewhere(ctx, now, session, seen, reason)
		return session, ErrNoSession
	}
	var e *authority.Event
	var forget func()
	if reason != "" {
		e, forget = s.moved(now, session, seen, reason)
	}
	if e == nil && now.Sub(session.LastSeen) < touchEvery {
		return session, nil
	}
	used := session
	used.LastSeen, used.IdleUntil = now, s.idleUntil(session, now)
	if seen != (authority.Context{}) {
		used.Last = seen
	}
	var err error
	if e == nil {
		err = s.cfg.Sessions.TouchSession(ctx, used)
	} else if err = s.cfg.Sessions.MoveSession(ctx, used, session.Last, *e); err != nil {
		forget()
	}
	switch {
	case err == nil:
		return used, nil
	case errors.Is(err, authority.ErrEnded), errors.Is(err, authority.ErrNotFound):
		return session, ErrNoSession
	case errors.Is(err, authority.ErrConflict): // somebody else took it down
		return session, nil
	default:
		// The session is good; only its idle time did not move. A store that is
		// overloaded must not sign people out.
		s.cfg.Logger.WarnContext(ctx, "session not touched", "session", session.ID.String(), "error", err)
		return session, nil
	}
}

// idleUntil never reaches past the absolute end.
func (s *Service) idleUntil(session authority.Session, now time.Time) time.Time {
	if idle := now.Add(s.cfg.SessionIdle); idle.Before(session.ExpiresAt) {
		return idle
	}
	return session.ExpiresAt
}

// SignOut ends the person's session and, as SPECS 20.7 asks for a logout, its
// grants: those that belong to the session, and all that browser apps got in it.
// A session that has ended already is no error.
func (s *Service) SignOut(ctx context.Context, session authority.Session, from authority.Context) error {
	actor := authority.Actor{Kind: "account", ID: session.AccountID.String()}
	return s.endSession(ctx, session, authority.EventSignedOut, actor, seenFrom(from), "signed out")
}

// EndSession ends one session the way SignOut does, on behalf of an actor. It
// returns authority.ErrNotFound for an unknown id.
func (s *Service) EndSession(ctx context.Context, actor authority.Actor, id secret.ID, reason string) error {
	session, err := s.cfg.Sessions.Session(ctx, id)
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return s.endSession(ctx, session, authority.EventSessionEnded, actor, authority.Context{}, reason)
}

func (s *Service) endSession(ctx context.Context, session authority.Session, kind authority.EventType, actor authority.Actor, from authority.Context, reason string) error {
	err := s.cfg.Revoker.Revoke(ctx, authority.Revocation{
		Session: session.ID, BrowserAll: true, Reason: reason,
		Event: authority.Event{
			ID: secret.NewID(s.cfg.Now()), Type: kind, Actor: actor, AccountID: session.AccountID,
			SessionID: session.ID, Context: from, Reason: reason,
		},
	})
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// Sessions lists sessions by id, ended ones included until they are swept; the
// zero account means everybody's.
func (s *Service) Sessions(ctx context.Context, account secret.ID, p authority.Page) ([]authority.Session, error) {
	return s.cfg.Sessions.Sessions(ctx, account, p)
}
