package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strconv"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/network"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/throttle"
)

// Bounds of the events about one session: one for each place in a day, and not
// more than this many places.
const (
	changeEvery = 24 * time.Hour
	changeMost  = 8
)

// maxMarks is how many networks and browsers are remembered of an account.
const maxMarks = 64

// changed says what the use of a session from there means: "" nothing, else the
// reason of an event; and whether it is refused.
func (s *Service) changed(session authority.Session, seen authority.Context) (reason string, refused bool) {
	switch {
	case s.cfg.IP == authority.IPOff, seen == authority.Context{}, seen == session.Last:
		return "", false
	case s.cfg.IP == authority.IPEnforce && seen.Elsewhere(session.First, session.Last):
		return seen.Changed(session.First, session.Last), true
	case seen.Changed(session.First, session.Last) == authority.ChangedBoth:
		return authority.ChangedBoth, false
	case seen.Impossible(session.First, session.Last):
		return authority.ChangedPlatform, false
	}
	return "", false
}

// moved is the event of a session that is used from somewhere new, nil when
// there was one for that place today. forget takes it back.
func (s *Service) moved(now time.Time, session authority.Session, seen authority.Context, reason string) (e *authority.Event, forget func()) {
	whole := "session " + session.ID.String()
	place := whole + " " + seen.Network + " " + authority.Family(seen.UserAgent)
	if _, ok := s.samples.Sample(now, place, 1, changeEvery); !ok {
		return nil, nil
	}
	if _, ok := s.samples.Sample(now, whole, changeMost, changeEvery); !ok {
		return nil, nil
	}
	return &authority.Event{
		ID: secret.NewID(now), Type: authority.EventContextChanged, Reason: reason,
		Actor: authority.Actor{Kind: "account", ID: session.AccountID.String()}, AccountID: session.AccountID, SessionID: session.ID, Context: seen,
		Data: map[string]string{
			"at":            "session",
			"first_network": session.First.Network, "first_user_agent": session.First.UserAgent,
			"last_network": session.Last.Network, "last_user_agent": session.Last.UserAgent,
		},
	}, func() { s.samples.Clear(now, place) }
}

// refuseElsewhere writes the event of a cookie that is not taken because of the
// network it came from. The session goes on where it was.
func (s *Service) refuseElsewhere(ctx context.Context, now time.Time, session authority.Session, seen authority.Context, reason string) {
	e, forget := s.moved(now, session, seen, reason)
	if e == nil {
		return
	}
	e.Data["refused"] = "true"
	if err := s.cfg.Events.AppendEvent(ctx, *e); err != nil {
		forget()
		s.cfg.Logger.ErrorContext(ctx, "a session's move is missing in the history", "session", session.ID.String(), "error", err)
	}
}

// recognise raises an event for a sign-in from a network or with a browser that
// the account has not used before, unless it is its first sign-in ever, and
// remembers both. The sign-in stands whatever becomes of this: what could not be
// remembered is new again the next time.
func (s *Service) recognise(ctx context.Context, now time.Time, in SignedIn, from authority.Context) {
	if s.cfg.Contexts == nil {
		return
	}
	known, before, err := s.cfg.Contexts.Marks(ctx, in.Account.ID, now)
	if err == nil {
		err = s.remember(ctx, now, in, from, known, before)
	}
	if err != nil {
		s.cfg.Logger.ErrorContext(ctx, "where a sign-in came from is not remembered", "account", in.Account.Subject(), "error", err)
	}
}

func (s *Service) remember(ctx context.Context, now time.Time, in SignedIn, from authority.Context, known map[authority.Mark]time.Time, before bool) error {
	var marks []authority.Mark
	fresh := map[string]bool{} // by what it is of
	until, settled := now.Add(s.cfg.KnownFor), before
	for what, value := range map[string]string{authority.ChangedNetwork: from.Network, authority.ChangedUserAgent: authority.Family(from.UserAgent)} {
		if value == "" {
			continue
		}
		m := s.mark(in.Account.ID, what, value)
		marks = append(marks, m)
		fresh[what] = known[m].IsZero()
		settled = settled && until.Sub(known[m]) < 24*time.Hour
	}
	if settled { // known, and noted today
		return nil
	}
	reason := ""
	switch {
	case fresh[authority.ChangedNetwork] && fresh[authority.ChangedUserAgent]:
		reason = authority.ChangedBoth
	case fresh[authority.ChangedNetwork]:
		reason = authority.ChangedNetwork
	case fresh[authority.ChangedUserAgent]:
		reason = authority.ChangedUserAgent
	}
	var e *authority.Event
	if before && reason != "" {
		e = &authority.Event{
			ID: secret.NewID(now), Type: authority.EventNewDevice, Actor: actorOf(in.Account), Reason: reason,
			AccountID: in.Account.ID, SessionID: in.Session.ID, Context: from,
		}
	}
	return s.cfg.Contexts.KeepMarks(ctx, in.Account.ID, marks, until, maxMarks, e)
}

// mark stands for a network or a browser of one account. Equal ones of two
// accounts have different marks.
func (s *Service) mark(account secret.ID, what, value string) authority.Mark {
	mac := hmac.New(sha256.New, s.cfg.NetworkKey[:])
	mac.Write(account[:])
	mac.Write([]byte(what + " " + value))
	return authority.Mark(mac.Sum(nil)[:16])
}

// alarm raises an event when guessing is refused: one in a window for each
// network, or for each account that is guessed at from there.
func (a *attempt) alarm(ctx context.Context, now time.Time, refused error, account authority.Account) {
	if _, ok := errors.AsType[*ThrottledError](refused); !ok {
		return
	}
	s := a.s
	e := authority.Event{ID: secret.NewID(now), Type: authority.EventBruteForce, Actor: authority.System, AccountID: account.ID, Context: a.from}
	key := ""
	switch waits := func(c throttle.Claim) bool { return s.attempts.Check(now, c) != nil }; {
	case waits(a.network):
		key, e.Reason, e.AccountID = a.network.Key, "network", secret.ID{}
	case waits(a.pair):
		key, e.Reason = a.pair.Key, "account_from_network"
	default:
		key, e.Reason = a.anywhere.Key, "account"
	}
	skipped, ok := s.samples.Sample(now, string(e.Type)+" "+key, 1, s.cfg.Limits.Window)
	if !ok {
		return
	}
	if _, ok := s.samples.Sample(now, string(e.Type), failureMost, failureEvery); !ok {
		return
	}
	e.Data = map[string]string{"refused_before": strconv.Itoa(skipped)}
	if err := s.cfg.Events.AppendEvent(ctx, e); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "guessing is missing in the history", "error", err)
	}
}

// seenFrom is a context as it is kept.
func seenFrom(c authority.Context) authority.Context {
	return authority.Context{Network: c.Network, UserAgent: network.UserAgent(c.UserAgent)}
}
