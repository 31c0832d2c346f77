package server_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
)

// A token in a URL passes only where the route wants it, and only if the URL is
// about its subject. No log has it: the world looks for that.
func TestQueryToken_OnlyForItsSubject(t *testing.T) {
	w := newWorld(t, options{})
	g := w.fleet(1)[0]
	mux := http.NewServeMux()
	mux.Handle("/users/{id}/photo", g.Require(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = rw.Write([]byte(r.RequestURI))
	}), jeton.QueryToken("t", jeton.Subject("id"))))
	mux.Handle("/reports", guarded(g))
	token, me := w.signedIn("web").text("access_token"), w.person.Subject()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	origin := server.URL
	for _, test := range []struct {
		target string
		status int
		reason string
	}{
		{"/users/" + me + "/photo?t=" + token, 200, ""},
		{"/users/somebody/photo?t=" + token, 403, jeton.ReasonWrongSubject},
		{"/reports?access_token=" + token, 400, jeton.ReasonTokenInURL},
	} {
		a := w.do(w.request(http.MethodGet, origin+test.target, ""))
		if a.status != test.status || a.header.Get("Jeton-Reason") != test.reason {
			t.Errorf("%s: got %d %q, want %d %q", a.what, a.status, a.header.Get("Jeton-Reason"), test.status, test.reason)
		}
		if test.status == 200 && (a.header.Get("Cache-Control") != "private" || a.body != "/users/"+me+"/photo") {
			t.Errorf("Cache-Control %q, the handler saw %s", a.header.Get("Cache-Control"), a.body)
		}
	}
	w.end(token)
	if a := w.do(w.request(http.MethodGet, origin+"/users/"+me+"/photo?t="+token, "")); a.status != http.StatusUnauthorized {
		eventually(t, "revoked", 5*time.Second, func() bool {
			return w.do(w.request(http.MethodGet, origin+"/users/"+me+"/photo?t="+token, "")).status == http.StatusUnauthorized
		})
	}
}
