package server_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
)

// at is the reason for which a guarded route refuses a request, "" if it does not.
func at(h http.Handler, token, method, path string) string {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Header().Get("Jeton-Reason")
}

func guarded(g *jeton.Guard, demands ...jeton.Demand) http.Handler {
	return g.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), demands...)
}

// A change of a policy is applied by a hundred guards, none of them restarted.
func TestPolicy_LiveChangeSeenBy100Guards(t *testing.T) {
	w := newWorld(t, options{runs: true})
	guards := w.fleet(100)
	token := w.machine()
	routes := make([]http.Handler, len(guards))
	for i, g := range guards {
		routes[i] = guarded(g, jeton.MaxAge(time.Hour))
		if got := at(routes[i], token, "GET", "/reports/7"); got != "" {
			t.Fatalf("guard %d refuses at first: %s", i, got)
		}
	}
	everywhere := func(what, want string) time.Duration {
		t.Helper()
		began := time.Now()
		var wait sync.WaitGroup
		for _, h := range routes {
			wait.Go(func() {
				for end := began.Add(10 * time.Second); at(h, token, "GET", "/reports/7") != want; time.Sleep(2 * time.Millisecond) {
					if time.Now().After(end) {
						t.Errorf("%s: a guard does not notice", what)
						return
					}
				}
			})
		}
		wait.Wait()
		return time.Since(began)
	}
	op := w.operator()
	spec := adminclient.PolicySpec{Name: "reports", Audience: api, Method: "GET", Pattern: "/reports/{id}", MaxAge: new(adminclient.Duration(0))}
	_, err := op.PutPolicy(t.Context(), spec, "incident")
	must(t, err)
	locked := everywhere("locked", jeton.ReasonLocked)
	spec.MaxAge = new(adminclient.Duration(30 * time.Minute))
	_, err = op.PutPolicy(t.Context(), spec, "over")
	must(t, err)
	lifted := everywhere("lifted", "")
	w.clock.advance(4 * time.Minute)
	spec.MaxAge = new(adminclient.Duration(time.Minute))
	_, err = op.PutPolicy(t.Context(), spec, "younger")
	must(t, err)
	everywhere("stricter than the code", jeton.ReasonTooOld)
	must(t, op.DeletePolicy(t.Context(), "reports", "done"))
	everywhere("deleted", "")
	t.Logf("100 guards: locked after %v, lifted after %v", locked, lifted)
	if bound := time.Second; locked > bound || lifted > bound {
		t.Errorf("took longer than %v", bound)
	}
	w.wantEvents(authority.EventPolicySet, 3)
	w.wantEvents(authority.EventPolicyDeleted, 1)
}

// Policies outlive the authority's process, the log's memory of them, and are there for a guard that starts.
func TestPolicy_SurvivesRestarts(t *testing.T) {
	w := newWorld(t, options{})
	old := w.fleet(1)[0]
	token := w.machine()
	op := w.operator()
	for name, pattern := range map[string]string{"lock": "/x", "gone": "/y"} {
		_, err := op.PutPolicy(t.Context(), adminclient.PolicySpec{Name: name, Audience: api, Pattern: pattern, MaxAge: new(adminclient.Duration(0))}, "")
		must(t, err)
	}
	_, err := op.PutPolicy(t.Context(), adminclient.PolicySpec{Name: "other", Audience: billing, Pattern: "/z", MaxAge: new(adminclient.Duration(0))}, "")
	must(t, err)
	want := func(g *jeton.Guard, what string) {
		t.Helper()
		h := guarded(g)
		eventually(t, what+": the guard has the policies", 10*time.Second, func() bool {
			return at(h, token, "GET", "/x") == jeton.ReasonLocked && at(h, token, "GET", "/y") == ""
		})
		if got := at(h, token, "GET", "/z"); got != "" {
			t.Errorf("%s: a policy for another API: %s", what, got)
		}
	}
	must(t, op.DeletePolicy(t.Context(), "gone", ""))
	want(old, "running")
	want(w.fleet(1)[0], "new guard")

	w.clock.advance(2 * time.Hour) // the log has forgotten the changes
	_, err = w.parts.Store.Sweep(t.Context(), w.clock.Now(), 0, 1000)
	must(t, err)
	w.stop()
	w.start()
	token = w.machine()
	want(old, "guard that was there, after the restart")
	want(w.fleet(1)[0], "new guard, after the restart")
	must(t, op.DeletePolicy(t.Context(), "lock", ""))
	h := guarded(old)
	eventually(t, "lifted", 10*time.Second, func() bool { return at(h, token, "GET", "/x") == "" })
}
