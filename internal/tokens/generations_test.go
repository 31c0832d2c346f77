package tokens_test

import (
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

// g = c: one step, new refresh and access token.
func TestREF_3_CurrentGenerationRotates(t *testing.T) {
	w := newWorld(t)
	_, first := w.signedIn()
	second := w.mustRefresh(first.RefreshToken)
	if second.RefreshToken.Equal(first.RefreshToken.Reveal()) || second.AccessToken.Equal(first.AccessToken.Reveal()) {
		t.Error("a refresh gave an old token again")
	}
	if g := w.grant(first.GrantID); g.Generation != 1 || second.GrantID != first.GrantID {
		t.Errorf("generation %d of grant %v, want 1 of the same grant", g.Generation, second.GrantID)
	}
	w.wantAlive("the first access token", first.AccessToken)
	w.wantAlive("the second access token", second.AccessToken)
}

// g = c-1: the same successor again, no second branch, any time later until it
// is used: a lost answer signs nobody out.
func TestREF_6_LostAnswerIsRepeatedADayLater(t *testing.T) {
	w := newWorld(t)
	_, first := w.signedIn()
	lost := w.mustRefresh(first.RefreshToken)
	w.clock.advance(24 * time.Hour)
	again := w.mustRefresh(first.RefreshToken)
	if !again.RefreshToken.Equal(lost.RefreshToken.Reveal()) {
		t.Error("the predecessor was answered with another successor")
	}
	if again.AccessToken.Equal(lost.AccessToken.Reveal()) {
		t.Error("the access token is the old one")
	}
	if g := w.grant(first.GrantID); g.Generation != 1 || !g.EndedAt.IsZero() {
		t.Errorf("generation %d, ended %v, want 1 and live", g.Generation, g.EndedAt)
	}
	w.wantAlive("the new access token", again.AccessToken)
	w.mustRefresh(again.RefreshToken)
}

// g <= c-2: the successor was used, so this is no lost answer. The grant ends,
// the session stays.
func TestREF_3_ReplayOfAnOlderGenerationEndsTheGrant(t *testing.T) {
	w := newWorld(t)
	session, first := w.signedIn()
	second := w.mustRefresh(first.RefreshToken)
	third := w.mustRefresh(second.RefreshToken)
	_, err := w.mint.Refresh(t.Context(), first.RefreshToken.Reveal(), w.client, tokens.Holder{}, nil, other)
	wantCode(t, err, oauth.InvalidGrant)

	for what, token := range map[string]secret.Value{"first": first.AccessToken, "second": second.AccessToken, "third": third.AccessToken} {
		w.wantDead("the "+what+" access token", token, tokens.ReasonRevoked)
	}
	_, err = w.refresh(third.RefreshToken)
	wantCode(t, err, oauth.InvalidGrant)
	if g := w.grant(first.GrantID); g.EndReason != "refresh_token_reused" {
		t.Errorf("end reason %q", g.EndReason)
	}
	got, err := w.store.Events(t.Context(), authority.EventFilter{Type: authority.EventRefreshReused}, authority.Page{})
	must(t, err)
	if len(got) != 1 || got[0].Context != other || got[0].Data["last_user_agent"] != home.UserAgent {
		t.Errorf("got events %+v, want one with both contexts", got)
	}
	if s, err := w.store.Session(t.Context(), session.ID); err != nil || !s.EndedAt.IsZero() {
		t.Errorf("session ended at %v (%v), want alive", s.EndedAt, err)
	}
}

// MAC wrong: refused, and nothing is touched, so that guessing logs nobody out.
func TestREF_WrongMACTouchesNothing(t *testing.T) {
	w := newWorld(t)
	_, first := w.signedIn()
	for range 3 {
		first = w.mustRefresh(first.RefreshToken)
	}
	before := w.grant(first.GrantID)
	_, stranger := w.signedIn()
	for name, forged := range map[string]string{
		"another grant's MAC": tokens.SpliceRefresh(first.RefreshToken.Reveal(), stranger.RefreshToken.Reveal(), 0),
		"an older generation": tokens.SpliceRefresh(first.RefreshToken.Reveal(), stranger.RefreshToken.Reveal(), 1),
		"cut":                 first.RefreshToken.Reveal()[:60],
		"checksum":            otherEnd(first.RefreshToken.Reveal()),
		"empty":               "",
		"an access token":     first.AccessToken.Reveal(),
	} {
		_, err := w.mint.Refresh(t.Context(), forged, w.client, tokens.Holder{}, nil, other)
		if oauth.CodeOf(err) != oauth.InvalidGrant {
			t.Errorf("%s: got %v, want invalid_grant", name, err)
		}
	}
	if after := w.grant(first.GrantID); after.Generation != before.Generation || !after.EndedAt.IsZero() || !after.LastUsed.Equal(before.LastUsed) {
		t.Errorf("a forged token changed the grant: %+v", after)
	}
	w.mustRefresh(first.RefreshToken)
}

// otherEnd changes the last character, which is part of the checksum.
func otherEnd(token string) string {
	end := "A"
	if token[len(token)-1] == 'A' {
		end = "Q"
	}
	return token[:len(token)-1] + end
}

// g > c: the row is older than the token. Refused and recorded, the grant lives.
func TestREF_GenerationAheadOfTheRecord(t *testing.T) {
	w := newWorld(t)
	_, first := w.signedIn()
	ahead := tokens.RefreshOfGeneration(t, w.mint, w.grant(first.GrantID), 5)
	_, err := w.refresh(ahead)
	wantCode(t, err, oauth.InvalidGrant)
	if n := w.events(authority.EventRefreshFromFuture); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	w.mustRefresh(first.RefreshToken)
}

// Fifty callers share one refresh token: all get a usable answer, and the
// generation steps once.
func TestREF_6_FiftyParallelRefreshes(t *testing.T) {
	w := newWorld(t)
	_, first := w.signedIn()
	const n = 50
	answers := make([]tokens.Issued, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			answers[i], errs[i] = w.refresh(first.RefreshToken)
		})
	}
	close(start)
	wg.Wait()
	for i := range n {
		must(t, errs[i])
		if !answers[i].RefreshToken.Equal(answers[0].RefreshToken.Reveal()) {
			t.Fatal("two callers got different successors: the grant forked")
		}
		w.wantAlive("an access token", answers[i].AccessToken)
	}
	if g := w.grant(first.GrantID); g.Generation != 1 || !g.EndedAt.IsZero() {
		t.Errorf("generation %d, ended %v, want 1 and live", g.Generation, g.EndedAt)
	}
	if got, err := w.store.Grants(t.Context(), w.person.ID, "", authority.Page{}); err != nil || len(got) != 1 {
		t.Errorf("%d grants (%v), want 1", len(got), err)
	}
	w.mustRefresh(answers[n-1].RefreshToken)
}

func TestREF_PolicyStrictForgivesTenSeconds(t *testing.T) {
	w := newWorld(t)
	w.client.RefreshPolicy = authority.RefreshStrict
	_, first := w.signedIn()
	second := w.mustRefresh(first.RefreshToken)
	w.clock.advance(10 * time.Second)
	if again := w.mustRefresh(first.RefreshToken); !again.RefreshToken.Equal(second.RefreshToken.Reveal()) {
		t.Error("another successor within the window")
	}
	w.clock.advance(time.Millisecond)
	_, err := w.refresh(first.RefreshToken)
	wantCode(t, err, oauth.InvalidGrant)
	_, err = w.refresh(second.RefreshToken)
	wantCode(t, err, oauth.InvalidGrant)
	if n := w.events(authority.EventRefreshReused); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

// Programs that share a token file may be several generations behind for a
// minute after the successor was first used, and not a moment longer, however
// busy the others are.
func TestREF_PolicyTolerantWindow(t *testing.T) {
	w := newWorld(t)
	w.client.RefreshPolicy = authority.RefreshTolerant
	_, issued := w.signedIn()
	var tokensOf []secret.Value
	for range 5 { // generations 0..4, one every 20 s; current is 5
		tokensOf = append(tokensOf, issued.RefreshToken)
		w.clock.advance(20 * time.Second)
		issued = w.mustRefresh(issued.RefreshToken)
	}
	// Generation 3's successor was used 0 s ago, 2's 20 s, 1's 40 s, 0's 60 s ago.
	for generation := 4; generation >= 0; generation-- {
		again, err := w.refresh(tokensOf[generation])
		must(t, err)
		if !again.RefreshToken.Equal(issued.RefreshToken.Reveal()) {
			t.Errorf("generation %d was answered with another successor", generation)
		}
	}
	w.clock.advance(time.Second)
	_, err := w.refresh(tokensOf[0])
	wantCode(t, err, oauth.InvalidGrant)
	if g := w.grant(issued.GrantID); g.EndReason != "refresh_token_reused" {
		t.Errorf("end reason %q, want the grant ended", g.EndReason)
	}
}

func TestREF_PolicyBoundDoesNotRotate(t *testing.T) {
	w := newWorld(t)
	w.client.RefreshPolicy = authority.RefreshBound
	_, first := w.signedIn()
	for range 5 {
		w.clock.advance(time.Hour)
		again := w.mustRefresh(first.RefreshToken)
		if !again.RefreshToken.Equal(first.RefreshToken.Reveal()) {
			t.Fatal("the refresh token changed")
		}
		w.wantAlive("the access token", again.AccessToken)
	}
	if g := w.grant(first.GrantID); g.Generation != 0 || !g.LastUsed.Equal(w.clock.Now()) {
		t.Errorf("generation %d last used %v", g.Generation, g.LastUsed)
	}
}

// Two parties that use one token in turn: each step of the one is followed by a
// predecessor of the other, from another network and program.
func TestREF_TwoPartiesInLockstepAreNoticed(t *testing.T) {
	for _, revoke := range []bool{false, true} {
		t.Run(map[bool]string{false: "notify", true: "revoke"}[revoke], func(t *testing.T) {
			w := newWorld(t)
			w.client.RevokeShared = revoke
			_, issued := w.signedIn()
			var err error
			for round := range 3 {
				old := issued.RefreshToken
				issued = w.mustRefresh(old)
				_, err = w.mint.Refresh(t.Context(), old.Reveal(), w.client, tokens.Holder{}, nil, other)
				if round < 2 {
					must(t, err)
					if n := w.events(authority.EventRefreshShared); n != 0 {
						t.Fatalf("event after %d generations, want after 3", round+1)
					}
				}
			}
			if n := w.events(authority.EventRefreshShared); n != 1 {
				t.Errorf("%d events, want 1", n)
			}
			ended := !w.grant(issued.GrantID).EndedAt.IsZero()
			if ended != revoke {
				t.Errorf("grant ended: %v, want %v", ended, revoke)
			}
			if revoke {
				wantCode(t, err, oauth.InvalidGrant)
			} else {
				must(t, err)
			}
		})
	}
}

// An honest client that roams between networks, or retries from home, is not
// taken for two parties.
func TestREF_RoamingIsNotSharing(t *testing.T) {
	w := newWorld(t)
	_, issued := w.signedIn()
	roam := authority.Context{Network: other.Network, UserAgent: home.UserAgent}
	for range 5 {
		old := issued.RefreshToken
		issued = w.mustRefresh(old)
		_, err := w.mint.Refresh(t.Context(), old.Reveal(), w.client, tokens.Holder{}, nil, roam)
		must(t, err)
	}
	if n := w.events(authority.EventRefreshShared); n != 0 {
		t.Errorf("%d events, want none", n)
	}
}

func TestREF_1_RefreshTokenOfAnotherClient(t *testing.T) {
	w := newWorld(t)
	_, first := w.signedIn()
	thief := w.client
	thief.ID = "other"
	_, err := w.mint.Refresh(t.Context(), first.RefreshToken.Reveal(), thief, tokens.Holder{}, nil, home)
	wantCode(t, err, oauth.InvalidGrant)
	if w.grant(first.GrantID).Generation != 0 {
		t.Error("another client moved the generation")
	}
	w.mustRefresh(first.RefreshToken)
}

func TestREF_2_ScopeOnlyNarrows(t *testing.T) {
	w := newWorld(t)
	_, first := w.signedIn("read", "write")
	_, err := w.mint.Refresh(t.Context(), first.RefreshToken.Reveal(), w.client, tokens.Holder{}, oauth.Scope{"read", "admin"}, home)
	wantCode(t, err, oauth.InvalidScope)
	narrow, err := w.mint.Refresh(t.Context(), first.RefreshToken.Reveal(), w.client, tokens.Holder{}, oauth.Scope{"read"}, home)
	must(t, err)
	if got := narrow.Scope.String(); got != "read" {
		t.Errorf("scope %q, want read", got)
	}
	if got := w.mustRefresh(narrow.RefreshToken).Scope.String(); got != "read write" {
		t.Errorf("the next refresh has scope %q, want the granted one", got)
	}
}

func TestREF_4_RotationNeverOutlivesTheFirst(t *testing.T) {
	w := newWorld(t)
	w.client.RefreshAbsolute, w.client.RefreshIdle = 10*time.Hour, 3*time.Hour
	_, issued := w.signedIn()
	for range 4 {
		w.clock.advance(2*time.Hour + 20*time.Minute)
		issued = w.mustRefresh(issued.RefreshToken)
	}
	w.clock.advance(40 * time.Minute) // 10 h in all
	_, err := w.refresh(issued.RefreshToken)
	wantCode(t, err, oauth.InvalidGrant)
}

func TestREF_6_IdleRefreshTokenExpires(t *testing.T) {
	w := newWorld(t)
	w.client.RefreshIdle = time.Hour
	_, issued := w.signedIn()
	w.clock.advance(time.Hour - time.Second)
	issued = w.mustRefresh(issued.RefreshToken)
	w.clock.advance(time.Hour)
	_, err := w.refresh(issued.RefreshToken)
	wantCode(t, err, oauth.InvalidGrant)
}

// A refresh token of a public browser client lives a day at the longest.
func TestREF_4_BrowserClientsLastADay(t *testing.T) {
	w := newWorld(t)
	w.client.AuthMethod, w.client.Native = oauth.NoAuthentication, false
	_, issued := w.signedIn("read", oauth.ScopeOfflineAccess)
	if g := w.grant(issued.GrantID); g.ExpiresAt.Sub(g.CreatedAt) > 24*time.Hour {
		t.Errorf("grant lasts %v", g.ExpiresAt.Sub(g.CreatedAt))
	}
}

func TestREF_5_EndedSessionEndsItsGrants(t *testing.T) {
	w := newWorld(t)
	session, bound := w.signedIn("read")
	offline, err := w.mint.RedeemCode(t.Context(), w.code(session, "read", oauth.ScopeOfflineAccess), w.client, tokens.Holder{}, home)
	must(t, err)
	must(t, w.mint.Revoke(t.Context(), authority.Revocation{Session: session.ID, Reason: "signed out", Event: w.event(authority.EventSignedOut)}))
	_, err = w.refresh(bound.RefreshToken)
	wantCode(t, err, oauth.InvalidGrant)
	w.wantDead("a token of the session", bound.AccessToken)
	w.wantAlive("an offline token", offline.AccessToken)
	w.mustRefresh(offline.RefreshToken)
}

// After a revocation has been answered no live token of the grant exists or is
// made, whatever was under way.
func TestREF_5_RevocationAgainstRefreshes(t *testing.T) {
	w := newWorld(t)
	for range 20 {
		_, issued := w.signedIn()
		var (
			mu   sync.Mutex
			made []secret.Value
			wg   sync.WaitGroup
		)
		made = append(made, issued.AccessToken)
		for range 8 {
			wg.Go(func() {
				token := issued.RefreshToken
				for {
					next, err := w.refresh(token)
					if err != nil {
						return
					}
					token = next.RefreshToken
					mu.Lock()
					made = append(made, next.AccessToken)
					mu.Unlock()
				}
			})
		}
		err := w.mint.Revoke(t.Context(), authority.Revocation{Grant: issued.GrantID, Reason: "test", Event: w.event(authority.EventGrantEnded)})
		must(t, err)
		wg.Wait()
		for _, token := range made {
			w.wantDead("a token of the ended grant", token)
		}
	}
}
