package accounts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// NewAccount is a person to be. Password and PasswordHash are alternatives;
// with neither, the account cannot sign in with a password.
type NewAccount struct {
	Login         string
	Name          string // default: the login
	Email         string
	EmailVerified bool
	Password      secret.Value
	PasswordHash  string // Argon2id in PHC format, from another system
	Disabled      bool
}

// Create stores a new account. Everything wrong with n is reported at once,
// wrapped with ErrInvalid; authority.ErrConflict means the login is taken.
func (s *Service) Create(ctx context.Context, actor authority.Actor, n NewAccount, reason string) (authority.Account, error) {
	now := s.cfg.Now()
	login, loginErr := NormalizeLogin(n.Login)
	a := authority.Account{
		ID: secret.NewID(now), Login: login, Name: n.Name, Email: n.Email, EmailVerified: n.EmailVerified,
		PasswordHash: n.PasswordHash, Disabled: n.Disabled, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if a.Name == "" {
		a.Name = login
	}
	problems := []error{checkActor(actor), loginErr, checkProfile(a)}
	var password string
	switch {
	case !n.Password.Empty() && n.PasswordHash != "":
		problems = append(problems, errors.New("a password and a password hash exclude each other"))
	case !n.Password.Empty():
		var err error
		password, err = s.newPassword(n.Password, a.Login, a.Name, a.Email)
		problems = append(problems, err)
	case n.PasswordHash != "":
		_, err := parseHash(n.PasswordHash)
		problems = append(problems, err)
	}
	if err := invalid(problems...); err != nil {
		return authority.Account{}, err
	}
	if password != "" {
		var err error
		if a.PasswordHash, err = s.hashes.hash(ctx, password); err != nil {
			return authority.Account{}, fmt.Errorf("create an account: %w", err)
		}
	}
	if err := s.cfg.Accounts.CreateAccount(ctx, a, s.event(authority.EventAccountCreated, actor, a, reason)); err != nil {
		return authority.Account{}, fmt.Errorf("create an account: %w", err)
	}
	return a, nil
}

// Get returns an account by id, or authority.ErrNotFound.
func (s *Service) Get(ctx context.Context, id secret.ID) (authority.Account, error) {
	return s.cfg.Accounts.Account(ctx, id)
}

// Find returns an account by its id or, when there is none, by its login; or
// authority.ErrNotFound.
func (s *Service) Find(ctx context.Context, idOrLogin string) (authority.Account, error) {
	if id, err := secret.ParseID(idOrLogin); err == nil {
		a, err := s.cfg.Accounts.Account(ctx, id)
		if !errors.Is(err, authority.ErrNotFound) {
			return a, err
		}
	}
	login, err := NormalizeLogin(idOrLogin)
	if err != nil {
		return authority.Account{}, fmt.Errorf("find an account: %w", authority.ErrNotFound)
	}
	return s.cfg.Accounts.AccountByLogin(ctx, login)
}

// List returns accounts by login.
func (s *Service) List(ctx context.Context, p authority.Page) ([]authority.Account, error) {
	return s.cfg.Accounts.Accounts(ctx, p)
}

// Profile is what UpdateProfile replaces.
type Profile struct {
	Login         string
	Name          string
	Email         string
	EmailVerified bool
}

// ProfileOf is the profile an account has now.
func ProfileOf(a authority.Account) Profile {
	return Profile{Login: a.Login, Name: a.Name, Email: a.Email, EmailVerified: a.EmailVerified}
}

// UpdateProfile replaces login, name and e-mail. Without a change it writes
// nothing. The person stays signed in everywhere; routes that want fresh claims
// have their apps refresh once. authority.ErrConflict means the login is taken.
func (s *Service) UpdateProfile(ctx context.Context, actor authority.Actor, id secret.ID, p Profile, reason string) (authority.Account, error) {
	login, err := NormalizeLogin(p.Login)
	p.Login = login
	if p.Name == "" {
		p.Name = login
	}
	probe := authority.Account{Name: p.Name, Email: p.Email, EmailVerified: p.EmailVerified}
	if err := invalid(checkActor(actor), err, checkProfile(probe)); err != nil {
		return authority.Account{}, err
	}
	return s.change(ctx, id, "update a profile", func(a authority.Account) (authority.Account, bool, error) {
		before := ProfileOf(a)
		if before == p {
			return a, false, nil
		}
		a.Login, a.Name, a.Email, a.EmailVerified = p.Login, p.Name, p.Email, p.EmailVerified
		e := s.event(authority.EventAccountUpdated, actor, a, reason)
		e.Data = map[string]string{"changed": before.differences(p)}
		if before.Email != p.Email && before.EmailVerified {
			e.Data["former_email"] = before.Email // whose reader must learn of it
		}
		return a, true, s.cfg.Accounts.ChangeClaims(ctx, a, s.cfg.Now().Add(s.cfg.KeepStale), e)
	})
}

func (p Profile) differences(q Profile) string {
	var names []string
	for _, field := range []struct {
		name    string
		differs bool
	}{
		{"login", p.Login != q.Login}, {"name", p.Name != q.Name}, {"email", p.Email != q.Email}, {"email_verified", p.EmailVerified != q.EmailVerified},
	} {
		if field.differs {
			names = append(names, field.name)
		}
	}
	return strings.Join(names, " ")
}

// Disable keeps the person out: every session and grant ends in the same
// commit. Disabling twice changes nothing.
func (s *Service) Disable(ctx context.Context, actor authority.Actor, id secret.ID, reason string) (authority.Account, error) {
	if err := invalid(checkActor(actor)); err != nil {
		return authority.Account{}, err
	}
	return s.change(ctx, id, "disable an account", func(a authority.Account) (authority.Account, bool, error) {
		if a.Disabled {
			return a, false, nil
		}
		a.Disabled = true
		return a, true, s.revokeAll(ctx, a, &a, s.event(authority.EventAccountDisabled, actor, a, reason))
	})
}

// Enable lets the person sign in again, and forgets failed attempts. What ended
// stays ended.
func (s *Service) Enable(ctx context.Context, actor authority.Actor, id secret.ID, reason string) (authority.Account, error) {
	if err := invalid(checkActor(actor)); err != nil {
		return authority.Account{}, err
	}
	a, err := s.change(ctx, id, "enable an account", func(a authority.Account) (authority.Account, bool, error) {
		if !a.Disabled {
			return a, false, nil
		}
		a.Disabled = false
		return a, true, s.cfg.Accounts.UpdateAccount(ctx, a, s.event(authority.EventAccountEnabled, actor, a, reason))
	})
	if err == nil {
		s.forgive(a.Login)
	}
	return a, err
}

// SetPassword replaces the password. Every session and grant ends in the same
// commit: whoever knew the old one is out. A password that is too short or too
// common is refused with ErrInvalid and the reason (NIST SP 800-63B-4).
func (s *Service) SetPassword(ctx context.Context, actor authority.Actor, id secret.ID, given secret.Value, reason string) (authority.Account, error) {
	account, err := s.cfg.Accounts.Account(ctx, id)
	if err != nil {
		return authority.Account{}, fmt.Errorf("set a password: %w", err)
	}
	password, err := s.newPassword(given, account.Login, account.Name, account.Email)
	if err := invalid(checkActor(actor), err); err != nil {
		return authority.Account{}, err
	}
	hash, err := s.hashes.hash(ctx, password)
	if err != nil {
		return authority.Account{}, fmt.Errorf("set a password: %w", err)
	}
	a, err := s.change(ctx, id, "set a password", func(a authority.Account) (authority.Account, bool, error) {
		a.PasswordHash = hash
		return a, true, s.revokeAll(ctx, a, &a, s.event(authority.EventPasswordSet, actor, a, reason))
	})
	if err == nil {
		s.forgive(a.Login)
	}
	return a, err
}

// EndSessions signs the person out everywhere: all sessions and grants, offline
// ones included, except the session except and its grants (zero: none).
func (s *Service) EndSessions(ctx context.Context, actor authority.Actor, id, except secret.ID, reason string) error {
	if err := invalid(checkActor(actor)); err != nil {
		return err
	}
	a, err := s.cfg.Accounts.Account(ctx, id)
	if err != nil {
		return fmt.Errorf("end an account's sessions: %w", err)
	}
	err = s.cfg.Revoker.Revoke(ctx, authority.Revocation{
		Account: id, ExceptSession: except, Reason: reason,
		Event: s.event(authority.EventSessionsEnded, actor, a, reason),
	})
	if err != nil {
		return fmt.Errorf("end an account's sessions: %w", err)
	}
	return nil
}

// revokeAll ends everything the account has, together with an update of its record.
func (s *Service) revokeAll(ctx context.Context, a authority.Account, update *authority.Account, e authority.Event) error {
	return s.cfg.Revoker.Revoke(ctx, authority.Revocation{Account: a.ID, Update: update, Reason: e.Reason, Event: e})
}

// change reads an account, lets write change it, and starts again when somebody
// else changed it in between.
func (s *Service) change(ctx context.Context, id secret.ID, what string, write func(authority.Account) (authority.Account, bool, error)) (authority.Account, error) {
	const tries = 4
	for try := 1; ; try++ {
		read, err := s.cfg.Accounts.Account(ctx, id)
		if err != nil {
			return authority.Account{}, fmt.Errorf("%s: %w", what, err)
		}
		now := read
		now.UpdatedAt = s.cfg.Now()
		written, changed, err := write(now)
		switch {
		case err == nil && !changed:
			return read, nil
		case err == nil:
			written.Version++
			return written, nil
		case errors.Is(err, authority.ErrConflict) && try < tries:
			// Another version, or (for a profile) a login that is taken: then the next try ends here as well.
		default:
			return authority.Account{}, fmt.Errorf("%s: %w", what, err)
		}
	}
}

func (s *Service) event(kind authority.EventType, actor authority.Actor, a authority.Account, reason string) authority.Event {
	return authority.Event{ID: secret.NewID(s.cfg.Now()), Type: kind, Actor: actor, AccountID: a.ID, Reason: reason}
}

func checkActor(a authority.Actor) error {
	if a.Kind == "" || a.ID == "" {
		return errors.New("nobody is named who makes this change")
	}
	return nil
}

func checkProfile(a authority.Account) error {
	var problems []error
	for _, field := range []struct {
		name, value string
		most        int
	}{{"name", a.Name, 200}, {"email", a.Email, maxLogin}} {
		if utf8.RuneCountInString(field.value) > field.most {
			problems = append(problems, fmt.Errorf("the %s is longer than %d characters", field.name, field.most))
		}
		if !utf8.ValidString(field.value) || strings.ContainsFunc(field.value, unicode.IsControl) {
			problems = append(problems, fmt.Errorf("the %s is not printable text", field.name))
		}
	}
	if at := strings.LastIndexByte(a.Email, '@'); a.Email != "" && (at < 1 || at == len(a.Email)-1 || strings.ContainsFunc(a.Email, unicode.IsSpace)) {
		problems = append(problems, errors.New("the email is not an address"))
	}
	if a.EmailVerified && a.Email == "" {
		problems = append(problems, errors.New("there is no email to be verified"))
	}
	return errors.Join(problems...)
}

// invalid joins problems under ErrInvalid, or returns nil when there are none.
func invalid(problems ...error) error {
	err := errors.Join(problems...)
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrInvalid, err)
}
