package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// SignIn is somebody's attempt to sign in with a password.
type SignIn struct {
	Login     string
	Password  secret.Value
	Addr      netip.Addr
	UserAgent string
	// Replaces is the session the browser had so far, if any. Its apps stay
	// signed in when it belongs to the same person; another person's ends.
	Replaces secret.ID
}

// SignedIn is who signed in, and what the browser has to keep.
type SignedIn struct {
	Account authority.Account
	Session authority.Session
	Cookie  secret.Value // the value of the session cookie
}

// SignIn checks a password and starts a session. The session's id and the
// cookie are new at every sign-in (session fixation, SPECS HT-2). It returns
// ErrCredentials or *ThrottledError; anything else is a fault of ours.
func (s *Service) SignIn(ctx context.Context, in SignIn) (SignedIn, error) {
	now := s.cfg.Now()
	from := seenFrom(authority.Context{Network: NetworkOf(in.Addr), UserAgent: in.UserAgent})
	login, err := NormalizeLogin(in.Login)
	if err != nil {
		login = "" // nobody's: goes the way of every unknown login
	}
	account, err := s.cfg.Accounts.AccountByLogin(ctx, login)
	if err != nil && !errors.Is(err, authority.ErrNotFound) {
		return SignedIn{}, fmt.Errorf("look up a login: %w", err)
	}
	try := s.attempt(login, from)
	if err := try.begin(ctx, now, account); err != nil {
		try.record(ctx, now, authority.EventThrottled, account)
		try.alarm(ctx, now, err, account)
		return SignedIn{}, err
	}
	ok, err := s.check(ctx, &account, in.Password)
	if err != nil {
		try.unjudged(now)
		return SignedIn{}, err
	}
	if !ok {
		try.record(ctx, now, authority.EventSignInFailed, account)
		return SignedIn{}, ErrCredentials
	}
	signedIn, err := s.open(ctx, now, account, from, in.Replaces)
	if err == nil {
		err = s.stillAllowed(ctx, &signedIn, in.Password)
	}
	if err != nil {
		try.unjudged(now)
		return SignedIn{}, err
	}
	try.succeeded(now)
	s.recognise(ctx, now, signedIn, from)
	return signedIn, nil
}

// check compares the password, and makes a hash of today's cost from it when
// the stored one is cheaper. It does the same work for an account that does not
// exist, has no password or is disabled, and answers false.
func (s *Service) check(ctx context.Context, account *authority.Account, given secret.Value) (bool, error) {
	password, malformed := normalizePassword(given)
	ok, weak, err := s.hashes.verify(ctx, password, account.PasswordHash)
	if err != nil {
		return false, fmt.Errorf("check a password: %w", err)
	}
	if !ok || malformed != nil || account.Disabled {
		return false, nil
	}
	if weak {
		s.strengthen(ctx, account, password)
	}
	return true, nil
}

// strengthen stores a hash of today's cost. It is not worth failing a sign-in
// for: whoever changed the account meanwhile wins, and the next sign-in tries again.
func (s *Service) strengthen(ctx context.Context, account *authority.Account, password string) {
	hash, err := s.hashes.hash(ctx, password)
	if err == nil {
		stronger := *account
		stronger.PasswordHash, stronger.UpdatedAt = hash, s.cfg.Now()
		err = s.cfg.Accounts.UpdateAccount(ctx, stronger, authority.Event{
			ID: secret.NewID(stronger.UpdatedAt), Type: authority.EventAccountUpdated, Actor: authority.System,
			AccountID: account.ID, Reason: "the password is stored with a stronger hash",
		})
		if err == nil {
			stronger.Version++
			*account = stronger
		}
	}
	if err != nil && !errors.Is(err, authority.ErrConflict) {
		s.cfg.Logger.WarnContext(ctx, "password keeps its weaker hash", "account", account.Subject(), "error", err)
	}
}

// open stores a new session.
func (s *Service) open(ctx context.Context, now time.Time, account authority.Account, from authority.Context, replaces secret.ID) (SignedIn, error) {
	replaces, err := s.replaced(ctx, account, from, replaces)
	if err != nil {
		return SignedIn{}, err
	}
	key := secret.Bytes(cookieSecret)
	session := authority.Session{
		ID: secret.NewID(now), AccountID: account.ID, Digest: secret.Digest(string(key)),
		AuthTime: now, AMR: []string{"pwd"}, ACR: s.cfg.PasswordACR, CreatedAt: now, LastSeen: now,
		ExpiresAt: now.Add(s.cfg.SessionAbsolute), First: from, Last: from,
	}
	session.IdleUntil = s.idleUntil(session, now)
	event := authority.Event{
		ID: secret.NewID(now), Type: authority.EventSignedIn, Actor: actorOf(account),
		AccountID: account.ID, SessionID: session.ID, Context: from,
	}
	err = s.cfg.Sessions.CreateSession(ctx, session, replaces, event)
	if errors.Is(err, authority.ErrEnded) { // disabled since the password was checked
		return SignedIn{}, ErrCredentials
	}
	if err != nil {
		return SignedIn{}, fmt.Errorf("start a session: %w", err)
	}
	return SignedIn{Account: account, Session: session, Cookie: cookie(session.ID, key)}, nil
}

// replaced decides what happens to the browser's former session: the same
// person's hands its apps over to the new one; another person's ends here.
func (s *Service) replaced(ctx context.Context, account authority.Account, from authority.Context, id secret.ID) (secret.ID, error) {
	if id.IsZero() {
		return id, nil
	}
	former, err := s.cfg.Sessions.Session(ctx, id)
	switch {
	case errors.Is(err, authority.ErrNotFound):
		return secret.ID{}, nil
	case err != nil:
		return secret.ID{}, fmt.Errorf("look up the browser's former session: %w", err)
	case !former.EndedAt.IsZero():
		return secret.ID{}, nil
	case former.AccountID == account.ID:
		return id, nil
	}
	return secret.ID{}, s.endSession(ctx, former, authority.EventSessionEnded, actorOf(account), from, "another person signed in with this browser")
}

// stillAllowed closes the gap between checking a password and storing the
// session: an account that was disabled, or got a new password, in between has
// already had all its sessions ended, and would be left with this one.
func (s *Service) stillAllowed(ctx context.Context, in *SignedIn, given secret.Value) error {
	account, err := s.cfg.Accounts.Account(ctx, in.Account.ID)
	if err != nil && !errors.Is(err, authority.ErrNotFound) {
		return fmt.Errorf("look up the account once more: %w", err)
	}
	if err == nil && !account.Disabled {
		if account.PasswordHash == in.Account.PasswordHash {
			in.Account = account
			return nil
		}
		// The hash is another one; the password may still be the same.
		ok, err := s.check(ctx, &account, given)
		if err != nil {
			return err
		}
		if ok {
			in.Account = account
			return nil
		}
	}
	if err := s.endSession(ctx, in.Session, authority.EventSessionEnded, authority.System, in.Session.First, "the account changed during the sign-in"); err != nil {
		return err
	}
	return ErrCredentials
}

// CheckPassword reports whether the password is the account's. It does not
// count attempts: it is for operators' tools that compare a declared password,
// not for anything a visitor can reach.
func (s *Service) CheckPassword(ctx context.Context, account authority.Account, password secret.Value) (bool, error) {
	return s.check(ctx, &account, password)
}

func actorOf(a authority.Account) authority.Actor {
	return authority.Actor{Kind: "account", ID: a.Subject()}
}
