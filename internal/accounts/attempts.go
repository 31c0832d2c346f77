package accounts

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/throttle"
)

// attempt is one try at a password, and the keys it counts under:
// the login from this network, this network, and the login from anywhere.
type attempt struct {
	s        *Service
	login    string // normalised; "" when what was typed cannot be a login
	from     authority.Context
	pair     throttle.Claim
	network  throttle.Claim
	anywhere throttle.Claim
}

func (s *Service) attempt(login string, from authority.Context) *attempt {
	l := s.cfg.Limits
	free := throttle.Limit{Delay: l.Delay, MaxDelay: l.MaxDelay, Window: l.Window}
	pair, network := free, free
	pair.Failures, network.Failures = l.AccountFailures, l.AddressFailures
	// Failures in a row are counted until there is a success, so this one is
	// remembered long; past the ceiling one try a day is left.
	ceiling := throttle.Limit{Failures: l.Ceiling, Delay: 24 * time.Hour, Window: 30 * 24 * time.Hour}
	return &attempt{
		s: s, login: login, from: from,
		pair:     throttle.Claim{Key: "pair " + from.Network + " " + login, Limit: pair},
		network:  throttle.Claim{Key: "network " + from.Network, Limit: network},
		anywhere: throttle.Claim{Key: "login " + login, Limit: ceiling},
	}
}

// begin counts the attempt as a failure before its password is looked at, or
// refuses it with a *ThrottledError. Past the ceiling it goes on only from a
// network the account is known in: that keeps the guessing in check, and the
// owner, who is elsewhere than the guessers, able to sign in.
func (a *attempt) begin(ctx context.Context, now time.Time, account authority.Account) error {
	t := a.s.attempts
	if err := t.Take(now, a.pair, a.network); err != nil {
		return err
	}
	err := t.Take(now, a.anywhere)
	if err == nil {
		return nil
	}
	known, lookupErr := a.s.knows(ctx, account, a.from.Network)
	if lookupErr == nil && known {
		t.Fail(now, a.anywhere)
		return nil
	}
	t.Refund(now, a.pair, a.network)
	if lookupErr != nil {
		return fmt.Errorf("look up where an account is known: %w", lookupErr)
	}
	return err
}

// unjudged takes the count back: no password was compared.
func (a *attempt) unjudged(now time.Time) {
	a.s.attempts.Refund(now, a.pair, a.network, a.anywhere)
}

// succeeded forgets the failures of the login. Those of others in the same
// network stay, or an attacker would clear them by signing in as himself.
func (a *attempt) succeeded(now time.Time) {
	a.s.attempts.Clear(now, a.pair.Key, a.anywhere.Key)
	a.s.attempts.Refund(now, a.network)
}

// knows reports whether the account has had a session in the network lately.
func (s *Service) knows(ctx context.Context, account authority.Account, network string) (bool, error) {
	if network == "" {
		return false, nil
	}
	id := account.ID
	if id.IsZero() { // asks for nobody's sessions: the same work as for somebody's
		id = secret.NewID(s.cfg.Now())
	}
	sessions, err := s.cfg.Sessions.Sessions(ctx, id, authority.Page{Limit: 1000})
	if err != nil {
		return false, err
	}
	for _, x := range sessions {
		if x.First.Network == network || x.Last.Network == network {
			return true, nil
		}
	}
	return false, nil
}

// Events of failures: at most one a minute of one login from one network, and
// this many a minute in all. An attack is seen, but does not fill the history.
const (
	failureEvery = time.Minute
	failureMost  = 120
)

// record writes an event of a refused attempt, unless there was one just now.
// What was typed as a login is not written: it may be a password in the wrong
// field. Both an existing login and an unknown one are written, so that the
// time it takes tells nothing. An attempt that is refused stays refused when
// the history cannot be written; that is logged.
func (a *attempt) record(ctx context.Context, now time.Time, kind authority.EventType, account authority.Account) {
	s := a.s
	skipped, ok := s.samples.Sample(now, string(kind)+" "+a.from.Network+" "+a.login, 1, failureEvery)
	if !ok {
		return
	}
	dropped, ok := s.samples.Sample(now, string(kind), failureMost, failureEvery)
	if !ok {
		return
	}
	e := authority.Event{
		ID: secret.NewID(now), Type: kind, Actor: authority.System, AccountID: account.ID, Context: a.from,
		Data: map[string]string{"count": strconv.Itoa(skipped + 1)},
	}
	if dropped > 0 {
		e.Data["events_left_out"] = strconv.Itoa(dropped)
	}
	if err := s.cfg.Events.AppendEvent(ctx, e); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "refused sign-in is missing in the history", "event", string(kind), "error", err)
	}
}

// forgive forgets the failures of a login over all networks.
func (s *Service) forgive(login string) {
	s.attempts.Clear(s.cfg.Now(), "login "+login)
}
