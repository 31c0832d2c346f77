package agent_test

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/jetontest"
)

func TestCheck(t *testing.T) {
	authority := jetontest.New(t)
	a := start(t, authority)
	token := authority.Token(t, jetontest.Subject("ada"), jetontest.Scope("reports:read", "profile"))
	more := func(name, value string) http.Header {
		h := bearer(token)
		h[name] = append(h[name], value)
		return h
	}
	old := authority.Token(t, jetontest.Subject("ada"), jetontest.SignedIn(time.Hour, "urn:jeton:pwd"))
	placed := authority.Token(t, jetontest.Subject("ada"), jetontest.From(netip.MustParseAddr("192.0.2.1")))
	at := func(forwarded string) http.Header {
		return http.Header{"Authorization": {"Bearer " + placed}, "X-Forwarded-For": {forwarded}}
	}
	for _, test := range []struct {
		name, method, target string
		header               http.Header
		status               int
		reason               string
		challenge            string
	}{
		{name: "any token", target: "/check", header: bearer(token), status: 200},
		{name: "any method", method: "DELETE", target: "/check", header: bearer(token), status: 200},
		{name: "scheme in lower case", target: "/check", header: http.Header{"Authorization": {"bearer " + token}}, status: 200},
		{name: "scope", target: "/check?scope=reports:read", header: bearer(token), status: 200},
		{name: "two scopes", target: "/check?scope=reports:read+profile", header: bearer(token), status: 200},
		{name: "two parameters", target: "/check?scope=reports:read&scope=profile", header: bearer(token), status: 200},
		{name: "max_age", target: "/check?max_age=5m", header: bearer(token), status: 200},
		{name: "client", target: "/check?client=shop+app", header: bearer(token), status: 200},
		{name: "scope by header", target: "/check", header: more("X-Jeton-Scope", "reports:read"), status: 200},
		{name: "client by header", target: "/check", header: more("X-Jeton-Client", "app"), status: 200},
		{name: "max age by header", target: "/check", header: more("X-Jeton-Max-Age", "5m"), status: 200},

		{name: "sign-in", target: "/check?auth_age=5m&acr=urn:x+urn:jeton:pwd", header: bearer(token), status: 200},
		{name: "another acr", target: "/check?acr=urn:x&auth_age=5m", header: bearer(token), status: 401, reason: "step_up_needed", challenge: `acr_values="urn:x", max_age="300"`},
		{name: "acr by header", target: "/check", header: more("X-Jeton-Acr", "urn:x"), status: 401, reason: "step_up_needed", challenge: `acr_values="urn:x"`},
		{name: "sign-in by header", target: "/check", header: more("X-Jeton-Auth-Age", "5m"), status: 200},
		{name: "old sign-in", target: "/check?auth_age=5m", header: bearer(old), status: 401, reason: "sign_in_too_old", challenge: `max_age="300"`},
		{name: "network", target: "/check?network=enforce", header: at("192.0.2.200"), status: 200},
		{name: "network by header", target: "/check", header: http.Header{"Authorization": {"Bearer " + placed}, "X-Jeton-Network": {"enforce"}, "X-Forwarded-For": {"203.0.113.9"}}, status: 401, reason: "wrong_network", challenge: "invalid_token"},
		{name: "another network", target: "/check?network=enforce", header: at("203.0.113.9"), status: 401, reason: "wrong_network", challenge: "invalid_token"},
		{name: "another network after the owner's, by two proxies", target: "/check?network=enforce", header: at("192.0.2.1, 203.0.113.9, 127.0.0.1"), status: 401, reason: "wrong_network", challenge: "invalid_token"},
		{name: "another network, flagged", target: "/check?network=flag", header: at("203.0.113.9"), status: 200},
		{name: "a token of no network", target: "/check?network=enforce", header: bearer(token), status: 401, reason: "wrong_network", challenge: "invalid_token"},
		{name: "network off", target: "/check?network=off", header: bearer(token), status: 500},
		{name: "empty acr", target: "/check?acr=", header: bearer(token), status: 500},
		{name: "auth_age without a unit", target: "/check?auth_age=300", header: bearer(token), status: 500},

		{name: "no token", target: "/check?scope=reports:read", status: 401, reason: "missing_token", challenge: `scope="reports:read"`},
		{name: "another scheme", target: "/check", header: http.Header{"Authorization": {"Basic YTpi"}}, status: 401, reason: "missing_token", challenge: "resource_metadata="},
		{name: "bound tokens only", target: "/check?dpop=required", header: bearer(token), status: 401, reason: "dpop_required", challenge: `DPoP error="invalid_token"`},
		{name: "bound tokens only, by header", target: "/check", header: more("X-Jeton-Dpop", "required"), status: 401, reason: "dpop_required", challenge: "algs="},
		{name: "bound tokens, misspelt", target: "/check?dpop=yes", header: bearer(token), status: 500},
		{name: "unbound token as DPoP", target: "/check", header: http.Header{"Authorization": {"DPoP " + token}}, status: 401, reason: "token_not_bound", challenge: "DPoP "},
		{name: "two tokens", target: "/check", header: more("Authorization", "Bearer "+token), status: 401, reason: "malformed_request", challenge: `error="invalid_request"`},
		{name: "no scope", target: "/check?scope=admin", header: bearer(token), status: 403, reason: "insufficient_scope", challenge: `scope="admin"`},
		{name: "part of a scope", target: "/check?scope=reports", header: bearer(token), status: 403, reason: "insufficient_scope", challenge: `error="insufficient_scope"`},
		{name: "one scope of two", target: "/check?scope=profile+admin", header: bearer(token), status: 403, reason: "insufficient_scope", challenge: "admin"},
		{name: "one parameter of two", target: "/check?scope=admin&scope=profile", header: bearer(token), status: 403, reason: "insufficient_scope", challenge: "admin"},
		{name: "header and query", target: "/check?scope=admin", header: more("X-Jeton-Scope", "profile"), status: 403, reason: "insufficient_scope", challenge: "admin"},
		{name: "one of two headers", target: "/check", header: http.Header{"Authorization": bearer(token)["Authorization"], "X-Jeton-Scope": {"profile", "admin"}},
			status: 403, reason: "insufficient_scope", challenge: "admin"},
		{name: "another client", target: "/check?client=shop", header: bearer(token), status: 403, reason: "wrong_client"},
		{name: "a client more", target: "/check?client=shop", header: more("X-Jeton-Client", "app"), status: 403, reason: "wrong_client"},

		{name: "Envoy", target: "/check/reports/7?scope=x&y=%zz", header: more("X-Jeton-Scope", "reports:read"), status: 200},
		{name: "Envoy, path to be cleaned", method: "POST", target: "/check/a/../..//b", header: bearer(token), status: 200},
		{name: "Envoy, no scope", target: "/check/reports?scope=profile", header: more("X-Jeton-Scope", "admin"), status: 403, reason: "insufficient_scope", challenge: "admin"},

		{name: "request not named", target: "/check", header: more("X-Forwarded-Uri", ""), status: 500},
		{name: "method not named", target: "/check", header: more("X-Forwarded-Method", ""), status: 500},
		{name: "two requests named", target: "/check", header: http.Header{"Authorization": bearer(token)["Authorization"], "X-Forwarded-Uri": {"/a", "/b"}}, status: 500},
		{name: "request cannot be read", target: "/check", header: more("X-Forwarded-Uri", "/%zz"), status: 500},
		{name: "request without a path", target: "/check", header: more("X-Forwarded-Uri", "reports"), status: 500},

		{name: "misspelt", target: "/check?scopes=reports:read", header: bearer(token), status: 500},
		{name: "empty scope", target: "/check?scope=", header: bearer(token), status: 500},
		{name: "empty scope by header", target: "/check", header: more("X-Jeton-Scope", ""), status: 500},
		{name: "two spaces", target: "/check?scope=a++b", header: bearer(token), status: 500},
		{name: "empty max_age", target: "/check?max_age=", header: bearer(token), status: 500},
		{name: "max_age without a unit", target: "/check?max_age=300", header: bearer(token), status: 500},
		{name: "max_age of nothing", target: "/check?max_age=0s", header: bearer(token), status: 500},
		{name: "negative max_age", target: "/check", header: more("X-Jeton-Max-Age", "-5m"), status: 500},
		{name: "empty client", target: "/check?client=+", header: bearer(token), status: 500},
		{name: "query with a semicolon", target: "/check?scope=a;b", header: bearer(token), status: 500},
		{name: "query with a bad escape", target: "/check?scope=%zz", header: bearer(token), status: 500},
	} {
		t.Run(test.name, func(t *testing.T) {
			method := test.method
			if method == "" {
				method = http.MethodGet
			}
			w := ask(a, method, test.target, test.header, nil)
			if w.Code != test.status {
				t.Fatalf("status %d, want %d: %s", w.Code, test.status, w.Body)
			}
			if got := w.Header().Get("Jeton-Reason"); got != test.reason {
				t.Errorf("reason %q, want %q", got, test.reason)
			}
			if got := w.Header().Get("WWW-Authenticate"); (test.challenge == "") != (got == "") || !strings.Contains(got, test.challenge) {
				t.Errorf("challenge %q, want one with %q", got, test.challenge)
			}
			for _, name := range identityHeaders {
				if _, there := w.Header()[name]; there != (test.status == 200) {
					t.Errorf("%s is there: %v", name, there)
				}
			}
			if w.Header().Get("Cache-Control") == "" {
				t.Error("may be cached")
			}
			if test.status == 200 && (w.Header().Get("Jeton-Subject") != authority.Account("ada") || w.Body.Len() != 0) {
				t.Errorf("subject %q, body %q", w.Header().Get("Jeton-Subject"), w.Body)
			}
		})
	}
}

// Demands and the agent's own refusals, for tokens that change.
func TestCheck_Reasons(t *testing.T) {
	authority := jetontest.New(t)
	a := start(t, authority)
	reason := func(target, token string) string {
		w := ask(a, "GET", target, bearer(token), nil)
		if (w.Code == 200) != (w.Header().Get("Jeton-Reason") == "") {
			t.Errorf("status %d with reason %q", w.Code, w.Header().Get("Jeton-Reason"))
		}
		return w.Header().Get("Jeton-Reason")
	}
	ada, second := authority.Token(t, jetontest.Subject("ada")), authority.Token(t, jetontest.Subject("ada"))
	for _, token := range []string{ada, second} {
		if got := reason("/check", token); got != "" {
			t.Fatal(got)
		}
	}
	authority.Revoke(t, ada)
	until(t, "revoked", func() bool { return reason("/check", ada) == jeton.ReasonRevoked })
	if got := reason("/check", second); got != "" {
		t.Errorf("the other token: %q", got)
	}
	authority.SignOut(t, "ada")
	until(t, "signed out", func() bool { return reason("/check", second) == jeton.ReasonSessionEnded })
	old := authority.Token(t)
	until(t, "too old", func() bool { return reason("/check?max_age=1s", old) == jeton.ReasonTooOld })
	if got := reason("/check?max_age=5m", old); got != "" {
		t.Errorf("where it may be older: %q", got)
	}
}

// Many ask at once, while tokens die. Nobody is told about somebody else.
func TestCheck_Concurrent(t *testing.T) {
	authority := jetontest.New(t)
	a := start(t, authority)
	people := []string{"ada", "bob", "cyd", "dan"}
	var work sync.WaitGroup
	for _, name := range people {
		for range 3 {
			token := authority.Token(t, jetontest.Subject(name))
			subject := authority.Account(name)
			work.Go(func() {
				for range 200 {
					w := ask(a, "GET", "/check", bearer(token), nil)
					if got := w.Header().Get("Jeton-Subject"); w.Code != 200 || got != subject {
						t.Errorf("status %d (%s), subject %q, want %q", w.Code, w.Header().Get("Jeton-Reason"), got, subject)
						return
					}
					if w := introspect(a, token); !strings.Contains(w.Body.String(), `"sub":"`+subject+`"`) {
						t.Errorf("introspection: %s", w.Body)
						return
					}
				}
				authority.Revoke(t, token)
				for began := time.Now(); ask(a, "GET", "/check", bearer(token), nil).Code != 401; {
					if time.Since(began) > time.Second {
						t.Error("accepted a second after its revocation")
						return
					}
				}
			})
		}
	}
	work.Wait()
}
