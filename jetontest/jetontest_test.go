package jetontest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/jetontest"
)

// A guarded handler against a real authority: accepted, refused for scope, and
// refused after revocation and sign-out, with the reason.
func TestNew_GuardedHandler(t *testing.T) {
	authority := jetontest.New(t)
	guard, err := jeton.NewGuard(authority.Guard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Close() })
	api := guard.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(jeton.FromContext(r.Context()).Subject))
	}), jeton.Scope("reports:read"))
	call := func(token string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/reports", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		return w
	}
	refusedFor := func(token, want string) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			w := call(token)
			if got := w.Header().Get("Jeton-Reason"); got == want {
				return
			} else if time.Now().After(deadline) {
				t.Fatalf("status %d, reason %q, want %q", w.Code, got, want)
			}
		}
	}

	ada := authority.Token(t, jetontest.Subject("ada"), jetontest.Scope("reports:read"))
	if w := call(ada); w.Code != http.StatusOK || w.Body.String() != authority.Account("ada") {
		t.Fatalf("status %d (%s), body %q", w.Code, w.Header().Get("Jeton-Reason"), w.Body)
	}
	refusedFor(authority.Token(t, jetontest.Subject("ada")), "insufficient_scope")

	second := authority.Token(t, jetontest.Subject("ada"), jetontest.Scope("reports:read"))
	authority.Revoke(t, ada)
	refusedFor(ada, "revoked")
	if w := call(second); w.Code != http.StatusOK {
		t.Fatalf("another token of the person: status %d (%s)", w.Code, w.Header().Get("Jeton-Reason"))
	}
	authority.SignOut(t, "ada")
	refusedFor(second, "session_ended")
}
