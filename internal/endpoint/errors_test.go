package endpoint

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/throttle"
	"github.com/jetonhq/jeton/oauth"
)

// What no client can bring about: overload, and faults of ours.
func TestREV_2_OverloadAndFaults(t *testing.T) {
	h, err := New(Config{Issuer: "https://id.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		err    error
		status int
		code   oauth.Code
		retry  string
	}{
		{"overload", fmt.Errorf("revoke: %w", authority.ErrBusy), http.StatusServiceUnavailable, oauth.TemporarilyUnavailable, "1"},
		{"too many attempts", &throttle.Error{RetryAfter: 7 * time.Second}, http.StatusTooManyRequests, oauth.TemporarilyUnavailable, "7"},
		{"fault", errors.New("disk full: /var/lib/jeton"), http.StatusInternalServerError, oauth.ServerError, ""},
		{"too large", errTooLarge, http.StatusRequestEntityTooLarge, oauth.InvalidRequest, ""},
		{"a cause is for the log", oauth.RefuseCause(oauth.InvalidGrant, "no", errors.New("disk full")), http.StatusBadRequest, oauth.InvalidGrant, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.fail(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/revoke", nil), tt.err)
			if w.Code != tt.status || w.Header().Get("Retry-After") != tt.retry || !strings.Contains(w.Body.String(), `"error":"`+string(tt.code)+`"`) {
				t.Errorf("got %d, Retry-After %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
			}
			if strings.Contains(w.Body.String(), "disk") || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("the answer tells what broke, or may be cached: %s %v", w.Body, w.Header())
			}
		})
	}
}
