package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/oauth"
)

// lockstep is how many generations in a row must see their predecessor again
// from another context before two parties are assumed to share the token.
const lockstep = 3

// keptSteps is how many generation times a grant of policy tolerant remembers.
const keptSteps = 16

// errRefused refuses a refresh token. Everybody gets the same words; the stable
// code says more, and to nobody who has not shown a token of ours that belongs
// to them: before that it is ReasonRefreshUnknown. The cause is for the log.
func errRefused(reason, cause string) error {
	return oauth.RefuseFor(reason, "the refresh token is invalid, expired or revoked", errors.New(cause))
}

// Refresh answers a presented refresh token (DESIGN 4.2). want is the requested
// scope, nil for the granted one.
//
//	g = c      rotate to c+1
//	g = c-1    the same token of generation c again, no second branch
//	g <= c-2   replay: the grant ends
//	MAC wrong  refused, nothing is touched
//	g > c      refused, and recorded: was the database restored from a backup?
//
// A grant that is bound to a key answers its holder alone; for anybody else
// nothing happens, whatever the generation.
func (s *Service) Refresh(ctx context.Context, presented string, client authority.Client, holder Holder, want oauth.Scope, from authority.Context) (Issued, error) {
	r, err := parseRefresh(presented)
	if err != nil {
		return Issued{}, errRefused(oauth.ReasonRefreshMalformed, "not of the form of a refresh token")
	}
	// A lost compare-and-swap means another caller moved the generation: look
	// again, and be answered as its predecessor. Each round follows somebody
	// else's success, so the loop ends.
	for spent := false; ; {
		g, err := s.presentedGrant(ctx, r, client, holder)
		if err != nil {
			return Issued{}, err
		}
		scope := oauth.Scope(g.Scope)
		if want != nil {
			if !want.Within(scope) {
				return Issued{}, oauth.RefuseFor(oauth.ReasonScopeNotGranted, "the scope is wider than the one granted", nil)
			}
			scope = want
		}
		if !spent {
			if err := holder.spend(ctx); err != nil {
				return Issued{}, err
			}
			spent = true
		}
		issued, err := s.answerGeneration(ctx, r, g, client, holder, scope, from)
		switch {
		case errors.Is(err, authority.ErrConflict):
			if err := ctx.Err(); err != nil {
				return Issued{}, err
			}
			continue
		case errors.Is(err, authority.ErrEnded), errors.Is(err, authority.ErrNotFound):
			if _, err := s.presentedGrant(ctx, r, client, holder); err != nil {
				return Issued{}, err // why, by now
			}
			return Issued{}, errRefused(oauth.ReasonRevoked, "the grant ended meanwhile")
		}
		return issued, err
	}
}

// presentedGrant finds the live grant of a refresh token that is truly ours, the
// client's and the holder's. Only to them is said why it is not live.
func (s *Service) presentedGrant(ctx context.Context, r refreshToken, client authority.Client, holder Holder) (authority.Grant, error) {
	g, err := s.cfg.Store.Grant(ctx, r.grant)
	if errors.Is(err, authority.ErrNotFound) {
		return g, errRefused(oauth.ReasonRefreshUnknown, "no such grant")
	}
	if err != nil {
		return g, fmt.Errorf("tokens: grant of a refresh token: %w", err)
	}
	switch {
	case !g.HasRefresh || !s.refreshIsOurs(r, g):
		return g, errRefused(oauth.ReasonRefreshUnknown, "the MAC is wrong")
	case g.ClientID != client.ID: // SPECS REF-1
		return g, errRefused(oauth.ReasonRefreshUnknown, "it belongs to another client")
	}
	if err := holder.mayRefresh(g); err != nil {
		return g, err
	}
	switch {
	case !g.EndedAt.IsZero():
		return g, errRefused(endCode(g), "the grant has ended: "+g.EndReason)
	case !s.cfg.Now().Before(g.ExpiresAt):
		return g, errRefused(oauth.ReasonRefreshExpired, "the grant has expired")
	case !g.Live(s.cfg.Now()):
		return g, errRefused(oauth.ReasonRefreshIdle, "the grant was idle for too long")
	}
	return g, nil
}

// endCode is why a grant ended, as clients are told. What the table lacks, or an
// older version wrote, is revoked.
func endCode(g authority.Grant) string {
	if _, known := oauth.ReasonAt(oauth.AtAuthority, g.EndCode); known {
		return g.EndCode
	}
	return oauth.ReasonRevoked
}

func (s *Service) answerGeneration(ctx context.Context, r refreshToken, g authority.Grant, client authority.Client, holder Holder, scope oauth.Scope, from authority.Context) (Issued, error) {
	now := s.cfg.Now()
	switch c := g.Generation; {
	case r.generation > c:
		e := s.newEvent(authority.EventRefreshFromFuture, clientActor(client.ID), g, from)
		e.Data = map[string]string{"presented": strconv.FormatUint(uint64(r.generation), 10), "current": strconv.FormatUint(uint64(c), 10)}
		s.record(ctx, e)
		return Issued{}, errRefused(oauth.ReasonRefreshAhead, "its generation is ahead of the record")
	case r.generation == c && g.Policy == authority.RefreshBound && (!client.Public() || g.KeyThumbprint != ""):
		return s.again(ctx, g, client, holder, scope, from, false)
	case r.generation == c:
		return s.rotate(ctx, g, client, holder, scope, from)
	case r.generation == c-1 && g.Policy != authority.RefreshStrict,
		r.generation == c-1 && now.Sub(g.RotatedAt) <= s.cfg.StrictWindow,
		g.Policy == authority.RefreshTolerant && s.recentlySuperseded(g, r.generation, now):
		return s.again(ctx, g, client, holder, scope, from, true)
	}
	return Issued{}, s.endReplayed(ctx, g, client, r.generation, from)
}

// rotate steps to the next generation: compare-and-swap, with the new access
// token in the same commit.
func (s *Service) rotate(ctx context.Context, g authority.Grant, client authority.Client, holder Holder, scope oauth.Scope, from authority.Context) (Issued, error) {
	if err := s.fromElsewhere(ctx, g, client, from); err != nil {
		return Issued{}, err
	}
	key, err := s.activeRefreshKey()
	if err != nil {
		return Issued{}, err
	}
	version, err := s.versionOf(ctx, g)
	if err != nil {
		return Issued{}, err
	}
	token, row, err := s.accessToken(g, scope, s.lifetime(client), version, s.bindTo(client, g, from), holder.claim)
	if err != nil {
		return Issued{}, err
	}
	now := s.cfg.Now()
	next := g
	next.Generation, next.RefreshKey = g.Generation+1, key.ID()
	rotation := authority.Rotation{
		Grant: g.ID, From: g.Generation, RefreshKey: key.ID(), Token: row, Now: now, Last: from,
		KeyThumbprint: cmp.Or(g.KeyThumbprint, holder.binds(client)),
		IdleUntil:     minTime(now.Add(s.refreshIdle(client)), g.ExpiresAt),
	}
	if g.Policy == authority.RefreshTolerant {
		steps := append([]time.Time{now}, g.Steps...)
		rotation.Steps = steps[:min(len(steps), keptSteps)]
	}
	issued, err := s.assemble(next, client, scope, token, row, g.SessionID, "", holder)
	if err != nil {
		return Issued{}, err
	}
	var forget func()
	rotation.Event, forget = s.moved(g, client, from)
	if err := s.cfg.Store.Rotate(ctx, rotation); err != nil {
		if forget != nil {
			forget()
		}
		return Issued{}, err
	}
	return issued, nil
}

// again answers without a step: the refresh token of the current generation,
// recomputed, and a new access token. With predecessor set, the presented one
// was older than the current, and a presenter from another context is noted.
func (s *Service) again(ctx context.Context, g authority.Grant, client authority.Client, holder Holder, scope oauth.Scope, from authority.Context, predecessor bool) (Issued, error) {
	if err := s.fromElsewhere(ctx, g, client, from); err != nil {
		return Issued{}, err
	}
	version, err := s.versionOf(ctx, g)
	if err != nil {
		return Issued{}, err
	}
	token, row, err := s.accessToken(g, scope, s.lifetime(client), version, s.bindTo(client, g, from), holder.claim)
	if err != nil {
		return Issued{}, err
	}
	now := s.cfg.Now()
	touch := &authority.GrantTouch{
		IdleUntil: minTime(now.Add(s.refreshIdle(client)), g.ExpiresAt),
		Last:      g.Last, Replays: g.Replays, ReplayGeneration: g.ReplayGeneration,
	}
	shared := false
	if predecessor && elsewhere(from, g.Last) {
		shared = noteReplay(touch, g)
	} else {
		touch.Last = from
	}
	if shared && client.RevokeShared {
		return Issued{}, s.endShared(ctx, g, client, from)
	}
	issued, err := s.assemble(g, client, scope, token, row, g.SessionID, "", holder)
	if err != nil {
		return Issued{}, err
	}
	generation := g.Generation
	var forget func()
	if !shared {
		touch.Event, forget = s.moved(g, client, from)
	}
	if err := s.cfg.Store.Issue(ctx, authority.Issue{Token: row, IfGeneration: &generation, Now: now, Touch: touch}); err != nil {
		if forget != nil {
			forget()
		}
		return Issued{}, err
	}
	if shared {
		e := s.newEvent(authority.EventRefreshShared, clientActor(client.ID), g, from)
		e.Data = contexts(g)
		s.record(ctx, e)
	}
	return issued, nil
}

// noteReplay counts generations in a row whose predecessor came again from
// elsewhere, and reports whether this one completes the pattern.
func noteReplay(touch *authority.GrantTouch, g authority.Grant) bool {
	switch {
	case g.Replays > 0 && g.ReplayGeneration == g.Generation:
		return false // counted already
	case g.Replays > 0 && g.ReplayGeneration+1 == g.Generation:
		touch.Replays = g.Replays + 1
	default:
		touch.Replays = 1
	}
	touch.ReplayGeneration = g.Generation
	return touch.Replays == lockstep
}

// elsewhere reports whether both network and user agent differ: one alone
// changes in honest lives too.
func elsewhere(a, b authority.Context) bool {
	return a.Network != b.Network && a.UserAgent != b.UserAgent
}

// recentlySuperseded reports whether the successor of a generation was first
// used within the tolerant window. Steps[0] is when the current generation was
// reached, Steps[1] the one before, and so on.
func (s *Service) recentlySuperseded(g authority.Grant, generation uint32, now time.Time) bool {
	if generation+2 > g.Generation {
		return true // the immediate predecessor
	}
	i := int(g.Generation - generation - 2)
	return i < len(g.Steps) && now.Sub(g.Steps[i]) <= s.cfg.TolerantWindow
}

// endReplayed ends the grant of a replayed refresh token; the session stays
// (RFC 9700 section 4.14.2, SPECS 20.7).
func (s *Service) endReplayed(ctx context.Context, g authority.Grant, client authority.Client, presented uint32, from authority.Context) error {
	e := s.newEvent(authority.EventRefreshReused, clientActor(client.ID), g, from)
	e.Data = contexts(g)
	e.Data["presented"] = strconv.FormatUint(uint64(presented), 10)
	if err := s.endGrant(ctx, g, oauth.ReasonRefreshReused, e); err != nil {
		return err
	}
	return errRefused(oauth.ReasonRefreshReused, "replay of an older generation: the grant was ended")
}

func (s *Service) endShared(ctx context.Context, g authority.Grant, client authority.Client, from authority.Context) error {
	e := s.newEvent(authority.EventRefreshShared, clientActor(client.ID), g, from)
	e.Data = contexts(g)
	if err := s.endGrant(ctx, g, oauth.ReasonRefreshShared, e); err != nil {
		return err
	}
	return errRefused(oauth.ReasonRefreshShared, "two parties use the token in turn: the grant was ended")
}

func (s *Service) endGrant(ctx context.Context, g authority.Grant, reason string, e authority.Event) error {
	e.Reason = reason
	r := authority.Revocation{Grant: g.ID, Reason: reason, Event: e}
	if _, known := oauth.ReasonAt(oauth.AtAuthority, reason); known {
		r.Code = reason // otherwise it is a person's text
	}
	err := s.Revoke(ctx, r)
	if err != nil {
		return fmt.Errorf("tokens: end grant (%s): %w", reason, err)
	}
	return nil
}

// contexts describes the other party of an event: where the grant was made, and
// used last. Where the event itself came from is in its Context.
func contexts(g authority.Grant) map[string]string {
	return map[string]string{
		"current":       strconv.FormatUint(uint64(g.Generation), 10),
		"first_network": g.First.Network, "first_user_agent": g.First.UserAgent,
		"last_network": g.Last.Network, "last_user_agent": g.Last.UserAgent,
	}
}
