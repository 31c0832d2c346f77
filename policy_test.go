package jeton

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

// demand has the feed tell of a policy for the guard's API; with "" that it is gone.
func (a *fakeAuthority) demand(name, method, pattern, demands string) {
	data := json.RawMessage("null")
	if demands != "" {
		data = json.RawMessage(`{"audience":"` + testAudience + `","method":"` + method + `","pattern":"` + pattern + `","demands":` + demands + `}`)
	}
	a.append(revocation.Entry{Kind: revocation.Policy, Name: name, Data: data})
	synctest.Wait()
}

// through asks a guarded handler and returns the reason of the refusal, "" when it was let through.
func through(h http.Handler, token, method, target string) string {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code == http.StatusOK {
		return ""
	}
	return w.Header().Get("Jeton-Reason")
}

var letThrough = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })

func TestPolicy_TheStricterOfCodeAndPolicy(t *testing.T) {
	minutesOld := func(n int64) func(*jwt.Claims) {
		return func(c *jwt.Claims) { c.IssuedAt -= 60 * n; c.ExpiresAt += 1 << 20 } // exp far ahead never helps
	}
	for _, test := range []struct {
		name   string
		code   []Demand
		policy string
		claims func(*jwt.Claims)
		want   string
	}{
		{"age, policy stricter", []Demand{MaxAge(time.Hour)}, `{"max_age":"5m"}`, minutesOld(6), ReasonTooOld},
		{"age, code stricter", []Demand{MaxAge(5 * time.Minute)}, `{"max_age":"1h"}`, minutesOld(6), ReasonTooOld},
		{"age, only policy", nil, `{"max_age":"5m"}`, minutesOld(6), ReasonTooOld},
		{"age, young enough", []Demand{MaxAge(time.Hour)}, `{"max_age":"5m"}`, minutesOld(4), ""},
		{"locked", []Demand{MaxAge(time.Hour)}, `{"max_age":"0s"}`, minutesOld(0), ReasonLocked},
		{"locked, token of the future", nil, `{"max_age":"0s"}`, func(c *jwt.Claims) { c.IssuedAt += 9 }, ReasonLocked},
		{"scope of the policy", []Demand{Scope("openid")}, `{"scope":["admin"]}`, minutesOld(0), ReasonInsufficientScope},
		{"scope of the code", []Demand{Scope("admin")}, `{"scope":["openid"]}`, minutesOld(0), ReasonInsufficientScope},
		{"both scopes", []Demand{Scope("profile")}, `{"scope":["openid","reports:read"]}`, minutesOld(0), ""},
		{"client of the policy", []Demand{Clients("web")}, `{"clients":["shop"]}`, minutesOld(0), ReasonWrongClient},
		{"client of the code", []Demand{Clients("shop")}, `{"clients":["web"]}`, minutesOld(0), ReasonWrongClient},
		{"client of both", []Demand{Clients("web", "shop")}, `{"clients":["web","other"]}`, minutesOld(0), ""},
		{"single use", nil, `{"single_use":true}`, minutesOld(0), ReasonNotSingleUse},
		{"demand of a later version", nil, `{"phase_of_moon":"full"}`, minutesOld(0), ReasonPolicyUnsupported},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
				h := g.Require(letThrough, test.code...)
				token := a.mint(test.claims)
				a.demand("p", "", "/", test.policy)
				if got := through(h, token, "GET", "/x"); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				if got := check(t, g, token, test.code...); got != test.want {
					t.Errorf("Check, of a policy for all of the API: got %q, want %q", got, test.want)
				}
			})
		})
	}
}

// What a policy says about the way of checking can only make it stricter.
func TestPolicy_WayOfChecking(t *testing.T) {
	for _, test := range []struct {
		name   string
		code   []Demand
		policy string
		want   string // while the feed is silent
	}{
		{"closed by policy", []Demand{Fail(Open)}, `{"fail":"closed"}`, ReasonViewStale},
		{"closed by code", []Demand{Fail(Closed)}, `{"fail":"introspect"}`, ReasonViewStale},
		{"asks by policy", []Demand{Fail(Open)}, `{"fail":"introspect"}`, ReasonRevoked},
		{"staleness of the policy", []Demand{Fail(Closed), MaxStaleness(time.Hour)}, `{"max_staleness":"1s"}`, ReasonViewStale},
		{"staleness of the code", []Demand{Fail(Closed), MaxStaleness(time.Second)}, `{"max_staleness":"1h"}`, ReasonViewStale},
		{"open", []Demand{Fail(Open)}, `{"scope":["openid"]}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
				a.demand("p", "GET", "/x", test.policy)
				h, token := g.Require(letThrough, test.code...), a.mint()
				if got := through(h, token, "GET", "/x"); got != "" {
					t.Fatalf("while the feed speaks: %q", got)
				}
				a.setMute(true)
				time.Sleep(10 * time.Second)
				id, _ := revocation.ParseID(claimsOf(t, token).ID)
				a.change(func() { a.dead[id] = ReasonRevoked })
				if got := through(h, token, "GET", "/x"); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		})
	}
	t.Run("registry", func(t *testing.T) {
		bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
			claims := goodClaims()
			forged := a.sign("at+jwt", &claims) // with a stolen key
			h := g.Require(letThrough, SkipRegistry())
			if got := through(h, forged, "GET", "/x"); got != "" {
				t.Fatal(got)
			}
			a.demand("p", "", "/", `{"registry":true}`)
			if got := through(h, forged, "GET", "/x"); got != ReasonUnknownToken {
				t.Errorf("got %q, want %q", got, ReasonUnknownToken)
			}
		})
	})
}

func TestPolicy_ComesChangesAndGoes(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		h, token := g.Require(letThrough), a.mint()
		want := func(when, want string) {
			t.Helper()
			if got := through(h, token, "GET", "/x"); got != want {
				t.Errorf("%s: got %q, want %q", when, got, want)
			}
		}
		want("at first", "")
		a.demand("lock", "", "/x", `{"max_age":"0s"}`)
		want("locked", ReasonLocked)
		a.demand("lock", "", "/x", `{"max_age":"1h"}`)
		want("lifted", "")
		a.demand("lock", "", "/x", `{"max_age":"0s"}`)
		a.demand("other", "", "/x", `{"scope":["openid"]}`)
		want("locked again", ReasonLocked)
		a.demand("lock", "", "", "")
		want("gone", "")
		a.demand("lock", "", "/y", `{"max_age":"0s"}`)
		want("for another path", "")

		// Another life of the log, in which the policy is not.
		a.demand("lock", "", "/x", `{"max_age":"0s"}`)
		want("before", ReasonLocked)
		a.change(func() {
			a.incarnation, a.log = revocation.NewIncarnation(), nil
			close(a.cut)
			a.cut = make(chan struct{})
		})
		time.Sleep(5 * time.Second)
		want("not in the snapshot", "")
	})
}

func TestPolicy_WhichRequests(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		a.demand("post", "POST", "/pay/{id}", `{"max_age":"0s"}`)
		a.demand("get", "GET", "/read/", `{"max_age":"0s"}`)
		other := revocation.Entry{Kind: revocation.Policy, Name: "other"}
		other.Data = json.RawMessage(`{"audience":"https://elsewhere.example.com","pattern":"/","demands":{"max_age":"0s"}}`)
		a.append(other)
		a.append(revocation.Entry{Kind: revocation.Policy, Name: "broken", Data: json.RawMessage(`{"audience":"` + testAudience + `","pattern":"no","demands":{}}`)})
		synctest.Wait()
		h, token := g.Require(letThrough), a.mint()
		for _, test := range []struct{ method, target, want string }{
			{"POST", "/pay/7", ReasonLocked}, {"POST", "/pay/7?x=y", ReasonLocked}, {"GET", "/pay/7", ""}, {"POST", "/pay/7/x", ""},
			{"POST", "/x/../pay/7", ReasonLocked}, {"POST", "//pay/7", ReasonLocked}, {"POST", "/%70ay/7", ReasonLocked}, {"POST", "/pay/a%2Fb", ReasonLocked},
			{"GET", "/read/a/b", ReasonLocked}, {"HEAD", "/read/a", ReasonLocked}, {"PUT", "/read/a", ""}, {"GET", "/read", ""}, {"GET", "/", ""},
		} {
			for range 2 { // the second time by what is remembered
				if got := through(h, token, test.method, test.target); got != test.want {
					t.Errorf("%s %s: got %q, want %q", test.method, test.target, got, test.want)
				}
			}
		}
		if _, err := g.Check(t.Context(), token, ForRequest(httptest.NewRequest("POST", "/pay/1", nil))); err == nil {
			t.Error("Check for a request that is locked passes")
		}
		if _, err := g.Check(t.Context(), token); err != nil {
			t.Errorf("Check without a request: %v", err)
		}
	})
}

func TestPolicy_SeenTokenAllocatesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		for _, name := range []string{"a", "b", "c"} {
			a.demand(name, "GET", "/x/{id}", `{"max_age":"1h","scope":["openid"],"clients":["web"]}`)
		}
		rt := &route{rule: g.rule([]Demand{Scope("reports:read")})}
		req := httptest.NewRequestWithContext(context.Background(), "GET", "/x/7", nil)
		req.Header.Set("Authorization", "Bearer "+a.mint())
		decide := func() {
			r := *rt.under(g.policies.table.Load(), req)
			r.request = req
			if _, refusal := g.request(req, &r); refusal != nil {
				t.Fatal(refusal)
			}
		}
		decide()
		if allocs := testing.AllocsPerRun(100, decide); allocs != 0 {
			t.Errorf("%v allocations", allocs)
		}
	})
}
