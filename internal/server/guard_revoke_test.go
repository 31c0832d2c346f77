package server_test

import (
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/spread"
)

// propagationLimit is how long a connected guard may take on the busiest of
// machines. The numbers that count are those of make bench.
const propagationLimit = 10 * time.Second

// Issue 3, "Show" 2: whatever is ended, and by whom, each of 100 connected
// guards refuses what died with it, says why, and refuses nothing else.
func TestGuard_RevokedAtAHundredGuards(t *testing.T) {
	const guards = 100
	w := newWorld(t, options{runs: true})
	all := w.fleet(guards)
	operator := w.operator()
	person := func(login string) authority.Account { return w.account(login, login) }
	as := func(a authority.Account) func(*authority.Code) { return in(w.session(a)) }
	offline := scope("openid", "offline_access", "read")

	bystander := w.signedIn("web", as(person("bystander"))).text("access_token")
	type victim struct {
		token  string
		reason string
	}
	for _, test := range []struct {
		name string
		// prepare makes what will die, what stays, and how.
		prepare func() (dies []victim, stays []string, end func())
	}{
		{"a token, by its client", func() ([]victim, []string, func()) {
			a := w.signedIn("web", offline)
			dead := a.text("access_token")
			other := w.refresh("web", a.text("refresh_token")).ok().text("access_token")
			return []victim{{dead, jeton.ReasonRevoked}}, []string{other}, func() { w.revoke("web", dead, "access_token") }
		}},
		{"a token, by an operator", func() ([]victim, []string, func()) {
			dead, other := w.machine(), w.machine()
			return []victim{{dead, jeton.ReasonRevoked}}, []string{other}, func() { must(t, operator.RevokeToken(t.Context(), dead, "test")) }
		}},
		{"a grant, by its refresh token", func() ([]victim, []string, func()) {
			s := w.session(w.person)
			a, other := w.signedIn("web", in(s)), w.signedIn("web", in(s))
			second := w.refresh("web", a.text("refresh_token")).ok()
			return []victim{{a.text("access_token"), jeton.ReasonRevoked}, {second.text("access_token"), jeton.ReasonRevoked}},
				[]string{other.text("access_token")}, func() { w.revoke("web", second.text("refresh_token"), "") }
		}},
		{"a grant, by an operator", func() ([]victim, []string, func()) {
			a := w.signedIn("web")
			g := w.grantOf(a.text("access_token"))
			return []victim{{a.text("access_token"), jeton.ReasonRevoked}}, nil, func() { must(t, operator.EndGrant(t.Context(), g.ID.String(), "test")) }
		}},
		{"a session", func() ([]victim, []string, func()) {
			s, elsewhere := w.session(w.person), w.session(w.person)
			one, two := w.signedIn("web", in(s)), w.signedIn("spa", in(s))
			kept, other := w.signedIn("web", offline, in(s)), w.signedIn("web", in(elsewhere))
			return []victim{{one.text("access_token"), jeton.ReasonSessionEnded}, {two.text("access_token"), jeton.ReasonSessionEnded}},
				[]string{kept.text("access_token"), other.text("access_token")},
				func() { must(t, operator.EndSession(t.Context(), s.ID.String(), "test")) }
		}},
		{"an account, by disabling it", func() ([]victim, []string, func()) {
			a := person("disabled")
			one, two := w.signedIn("web", as(a)), w.signedIn("web", offline, as(a))
			return []victim{{one.text("access_token"), jeton.ReasonSessionEnded}, {two.text("access_token"), jeton.ReasonRevoked}}, nil,
				func() { must(t, operator.DisableAccount(t.Context(), a.Login, "test")) }
		}},
		{"an account's sessions", func() ([]victim, []string, func()) {
			a := person("ended")
			one, two, three := w.signedIn("web", as(a)), w.signedIn("spa", as(a)), w.signedIn("other", offline, as(a))
			return []victim{{one.text("access_token"), jeton.ReasonSessionEnded}, {two.text("access_token"), jeton.ReasonSessionEnded},
					{three.text("access_token"), jeton.ReasonRevoked}}, nil,
				func() { must(t, operator.EndSessions(t.Context(), a.Login, "test")) }
		}},
		{"an account, by a new password", func() ([]victim, []string, func()) {
			a := person("password")
			one, two := w.signedIn("web", as(a)), w.signedIn("web", offline, as(a))
			return []victim{{one.text("access_token"), jeton.ReasonSessionEnded}, {two.text("access_token"), jeton.ReasonRevoked}}, nil,
				func() {
					must(t, operator.SetPassword(t.Context(), a.Login, "another staple, correctly charged", "test"))
				}
		}},
		{"a client", func() ([]victim, []string, func()) {
			s := w.session(w.person)
			one, two := w.signedIn("other", in(s)), w.signedIn("other", offline, as(person("client")))
			kept := w.signedIn("web", in(s))
			return []victim{{one.text("access_token"), jeton.ReasonRevoked}, {two.text("access_token"), jeton.ReasonRevoked}},
				[]string{kept.text("access_token")}, func() { must(t, operator.DeleteClient(t.Context(), "other", "test")) }
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dies, stays, end := test.prepare()
			stays = append(stays, bystander)
			// All but the last guards have seen the tokens; for the others they are new.
			strangers := guards / 10
			each(all[strangers:], func(i int, g *jeton.Guard) {
				for _, v := range dies {
					if got := refusal(t, g, v.token); got != "" {
						t.Errorf("guard %d: a live token is refused: %s", i, got)
					}
				}
				for _, token := range stays {
					if got := refusal(t, g, token); got != "" {
						t.Errorf("guard %d: a live token is refused: %s", i, got)
					}
				}
			})
			end()
			answered := time.Now()
			var mu sync.Mutex
			var delays []time.Duration
			each(all, func(i int, g *jeton.Guard) {
				for _, v := range dies {
					got := refusal(t, g, v.token)
					for ; got == "" && time.Since(answered) < propagationLimit; got = refusal(t, g, v.token) {
						time.Sleep(200 * time.Microsecond)
					}
					took := time.Since(answered)
					if i < strangers && v.reason == jeton.ReasonSessionEnded && got == jeton.ReasonRevoked {
						got = v.reason // the registry says revoked for whatever was ended
					}
					if got != v.reason {
						t.Errorf("guard %d: got %q, want %q", i, got, v.reason)
					}
					if i >= strangers {
						mu.Lock()
						delays = append(delays, took)
						mu.Unlock()
					}
				}
				for _, token := range stays {
					if got := refusal(t, g, token); got != "" {
						t.Errorf("guard %d: a token of somebody else is refused: %s", i, got)
					}
				}
				// Nor does it come back, in any mode.
				for _, v := range dies {
					for _, mode := range []jeton.FailMode{jeton.Introspect, jeton.Closed, jeton.Open} {
						if got := refusal(t, g, v.token, jeton.Fail(mode)); got == "" {
							t.Errorf("guard %d: a revoked token is accepted again, fail %v", i, mode)
						}
					}
				}
			})
			times := spread.Of(delays)
			t.Logf("from the answer to the refusal, %d guards in one process: p50 %v, p99 %v, max %v", guards-strangers, times.P50, times.P99, times.Max)
		})
	}
}
