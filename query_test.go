package jeton

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/jwt"
)

func TestQueryToken(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint()
		me := claimsOf(t, token).Subject
		var seen *http.Request
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = r
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			_, _ = w.Write([]byte("photo"))
		})
		mux := http.NewServeMux()
		mux.Handle("/users/{id}/photo", g.Require(handler, QueryToken("t", Subject("id"))))
		mux.Handle("/photo", g.Require(handler, QueryToken("t", Subject("of")), Scope("openid")))
		mux.Handle("/header", g.Require(handler))
		parsed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = r.FormValue("t")
			g.Require(handler, QueryToken("t", Subject("of"))).ServeHTTP(w, r)
		})
		mux.Handle("/parsed", parsed)

		other := a.mint(func(c *jwt.Claims) { c.Subject = "somebody" })
		for _, test := range []struct {
			name, target, authorization string
			status                      int
			reason, query               string // what is left of the query
		}{
			{"subject in the path", "/users/" + me + "/photo?size=2&t=" + token + "&x=%20y", "", 200, "", "size=2&x=%20y"},
			{"subject in the query", "/photo?t=" + token + "&of=" + me, "", 200, "", "of=" + me},
			{"form parsed before", "/parsed?of=" + me + "&t=" + token, "", 200, "", "of=" + me},
			{"escaped name", "/photo?%74=" + token + "&of=" + me, "", 200, "", "of=" + me},
			{"another subject in the path", "/users/nobody/photo?t=" + token, "", 403, ReasonWrongSubject, ""},
			{"the path counts, not the query", "/users/nobody/photo?id=" + me + "&t=" + token, "", 403, ReasonWrongSubject, ""},
			{"another's token", "/users/" + me + "/photo?t=" + other, "", 403, ReasonWrongSubject, ""},
			{"no subject in the URL", "/photo?t=" + token, "", 403, ReasonWrongSubject, ""},
			{"two subjects", "/photo?of=" + me + "&of=x&t=" + token, "", 403, ReasonWrongSubject, ""},
			{"two tokens", "/photo?of=" + me + "&t=" + token + "&t=" + token, "", 400, ReasonMalformedRequest, ""},
			{"token in both places", "/photo?of=" + me + "&t=" + token, "Bearer " + token, 400, ReasonMalformedRequest, ""},
			{"empty", "/photo?of=" + me + "&t=", "", 400, ReasonMalformedRequest, ""},
			{"garbage", "/photo?of=" + me + "&t=a%20b", "", 400, ReasonMalformedRequest, ""},
			{"header alone", "/photo?of=x", "Bearer " + token, 200, "", "of=x"},
			{"usual parameter of another name", "/photo?access_token=" + token + "&of=" + me, "", 400, ReasonTokenInURL, ""},
			{"route that does not let it", "/header?access_token=" + token, "", 400, ReasonTokenInURL, ""},
			{"escaped, too", "/header?access%5Ftoken=" + token, "", 400, ReasonTokenInURL, ""},
			{"not the usual parameter", "/header?t=" + token, "", 401, ReasonMissingToken, ""},
		} {
			for range 2 {
				seen = nil
				r := httptest.NewRequest(http.MethodGet, test.target, nil)
				if test.authorization != "" {
					r.Header.Set("Authorization", test.authorization)
				}
				w := httptest.NewRecorder()
				mux.ServeHTTP(w, r)
				if w.Code != test.status || w.Header().Get("Jeton-Reason") != test.reason {
					t.Errorf("%s: got %d %q, want %d %q", test.name, w.Code, w.Header().Get("Jeton-Reason"), test.status, test.reason)
				}
				cache := "no-store"
				switch {
				case test.status == 200 && test.authorization == "":
					cache = "private"
				case test.status == 200:
					cache = "private, no-store"
				}
				if got := w.Header().Get("Cache-Control"); got != cache {
					t.Errorf("%s: Cache-Control %q, want %q", test.name, got, cache)
				}
				if strings.Contains(w.Body.String(), token) {
					t.Errorf("%s: the answer has the token", test.name)
				}
				if seen == nil {
					continue
				}
				if seen.URL.RawQuery != test.query || strings.Contains(seen.RequestURI+seen.URL.String()+seen.Form.Encode(), "eyJ") {
					t.Errorf("%s: the handler sees %s", test.name, seen.RequestURI)
				}
				if FromContext(seen.Context()).Subject != me {
					t.Errorf("%s: another token", test.name)
				}
			}
		}
	})
}
