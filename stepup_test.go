package jeton

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// signedIn sets when and how the person of a token signed in.
func signedIn(ago time.Duration, acr string) func(*jwt.Claims) {
	return func(c *jwt.Claims) { c.AuthTime, c.ACR = time.Now().Add(-ago).Unix(), acr }
}

func TestSTE_1_Demands(t *testing.T) {
	const pwd, mfa = "urn:example:pwd", "urn:example:mfa"
	for _, test := range []struct {
		name    string
		claims  func(*jwt.Claims)
		demands []Demand
		policy  string
		want    string
		acr     []string // what the refusal asks for
		age     time.Duration
	}{
		{"young enough", signedIn(5*time.Minute, pwd), []Demand{AuthAge(5 * time.Minute)}, "", "", nil, 0},
		{"too old", signedIn(5*time.Minute+time.Second, pwd), []Demand{AuthAge(5 * time.Minute)}, "", ReasonSignInTooOld, nil, 5 * time.Minute},
		{"the age of the sign-in, not of the token", signedIn(time.Hour, pwd), []Demand{AuthAge(5 * time.Minute), MaxAge(time.Minute)}, "", ReasonSignInTooOld, nil, 5 * time.Minute},
		{"parts of a second", signedIn(2*time.Second, pwd), []Demand{AuthAge(1500 * time.Millisecond)}, "", "", nil, 0},
		{"nobody signed in", func(*jwt.Claims) {}, []Demand{AuthAge(1000 * time.Hour)}, "", ReasonSignInTooOld, nil, 1000 * time.Hour},
		{"locked", signedIn(0, pwd), []Demand{AuthAge(0)}, "", ReasonLocked, nil, 0},
		{"one of them", signedIn(0, mfa), []Demand{ACR(pwd, mfa)}, "", "", nil, 0},
		{"none of them", signedIn(0, pwd), []Demand{ACR("urn:x", mfa)}, "", ReasonStepUpNeeded, []string{"urn:x", mfa}, 0},
		{"not said", signedIn(0, ""), []Demand{ACR(mfa)}, "", ReasonStepUpNeeded, []string{mfa}, 0},
		{"compared whole", signedIn(0, mfa), []Demand{ACR(mfa + "x")}, "", ReasonStepUpNeeded, []string{mfa + "x"}, 0},
		{"both are asked for at once", signedIn(time.Hour, pwd), []Demand{ACR(mfa), AuthAge(time.Minute)}, "", ReasonStepUpNeeded, []string{mfa}, time.Minute},
		{"policy", signedIn(2*time.Minute, pwd), nil, `{"auth_age":"1m","acr":["` + mfa + `"]}`, ReasonSignInTooOld, []string{mfa}, time.Minute},
		{"the younger of code and policy", signedIn(2*time.Minute, pwd), []Demand{AuthAge(time.Hour)}, `{"auth_age":"1m"}`, ReasonSignInTooOld, nil, time.Minute},
		{"the younger of policy and code", signedIn(2*time.Minute, pwd), []Demand{AuthAge(time.Minute)}, `{"auth_age":"1h"}`, ReasonSignInTooOld, nil, time.Minute},
		{"in both lists", signedIn(0, pwd), []Demand{ACR(pwd, mfa)}, `{"acr":["` + mfa + `","urn:x"]}`, ReasonStepUpNeeded, []string{mfa}, 0},
		{"no sign-in can do", signedIn(0, pwd), []Demand{ACR(pwd)}, `{"acr":["` + mfa + `"]}`, ReasonLocked, nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
				token := a.mint(test.claims)
				if test.policy != "" {
					a.demand("p", "", "/", test.policy)
				}
				for range 2 { // also when it is known
					_, err := g.Check(t.Context(), token, test.demands...)
					if got := reasonOf(t, err); got != test.want {
						t.Fatalf("got %q, want %q", got, test.want)
					}
					if refusal, ok := errors.AsType[*Refusal](err); ok {
						if diff := cmp.Diff(test.acr, refusal.ACRValues); diff != "" || refusal.MaxAge != test.age {
							t.Errorf("asks for %v, %v", refusal.ACRValues, refusal.MaxAge)
						}
					}
				}
			})
		})
	}
}

func TestSTE_1_Challenge(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint(signedIn(time.Hour, "urn:example:pwd"))
		w := get(g.Require(http.HandlerFunc(hello), AuthAge(5*time.Minute), ACR("urn:example:mfa", "urn:example:phr")), "Bearer "+token)
		if w.Code != http.StatusUnauthorized { // STE-1: 403 would say that nothing helps
			t.Errorf("status %d, want 401", w.Code)
		}
		const want = `Bearer error="insufficient_user_authentication", error_description="The person signed in longer ago than this route allows.", ` +
			`acr_values="urn:example:mfa urn:example:phr", max_age="300", resource_metadata="` + testMetadata + `"`
		challenges := w.Header().Values("WWW-Authenticate")
		if len(challenges) != 1 || challenges[0] != want {
			t.Errorf("got  %q\nwant %s", challenges, want)
		}
		asks, ok := oauth.StepUpOf(challenges)
		if !ok || asks.MaxAge == nil || *asks.MaxAge != 5*time.Minute || len(asks.ACRValues) != 2 {
			t.Errorf("a client reads %+v, %v", asks, ok)
		}
		_, err := g.Check(t.Context(), token, ACR("urn:example:mfa"))
		if got, ok := oauth.StepUpOf([]string{g.Challenge(err)}); !ok || got.MaxAge != nil || len(got.ACRValues) != 1 {
			t.Errorf("outside of HTTP a client reads %+v, %v", got, ok)
		}
		if got := g.Challenge(errors.New("other")); got != "" {
			t.Errorf("a challenge of another error: %s", got)
		}
	})
}

func TestToken_SignIn(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		got, err := g.Check(t.Context(), a.mint(signedIn(time.Hour, "urn:example:pwd")))
		if err != nil || got.ACR != "urn:example:pwd" || !got.AuthTime().Equal(time.Now().Add(-time.Hour).Truncate(time.Second)) {
			t.Errorf("acr %q, auth_time %v, %v", got.ACR, got.AuthTime(), err)
		}
		if got, err = g.Check(t.Context(), a.mint()); err != nil || got.ACR != "" || !got.AuthTime().IsZero() {
			t.Errorf("acr %q, auth_time %v, %v", got.ACR, got.AuthTime(), err)
		}
	})
}
