package agent_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/jetonhq/jeton/internal/agent"
)

func TestAsked(t *testing.T) {
	forwarded := func(method, uri string) http.Header {
		return http.Header{"X-Forwarded-Method": {method}, "X-Forwarded-Uri": {uri}}
	}
	for _, test := range []struct {
		name, method, target string
		header               http.Header
		want                 string // "" for a refusal
	}{
		{"Caddy, Traefik", "GET", "/check?scope=a", forwarded("POST", "/reports/7?x=1"), "POST /reports/7?x=1"},
		{"encoded", "GET", "/check", forwarded("GET", "/a%2Fb//c/../d"), "GET /a%2Fb//c/../d"},
		{"Envoy", "PUT", "/check/reports/7?x=1", nil, "PUT /reports/7?x=1"},
		{"Envoy, the root", "GET", "/check/", nil, "GET /"},
		{"Envoy, encoded", "GET", "/check/a%2Fb/..//c", nil, "GET /a%2Fb/..//c"},
		{"Envoy, and a client that knows nginx", "GET", "/check/reports", forwarded("POST", "/health"), "GET /reports"},
		{"nobody says", "GET", "/check", nil, ""},
		{"no method", "GET", "/check", http.Header{"X-Forwarded-Uri": {"/"}}, ""},
		{"twice", "GET", "/check", http.Header{"X-Forwarded-Method": {"GET"}, "X-Forwarded-Uri": {"/a", "/b"}}, ""},
		{"no path", "GET", "/check", forwarded("GET", "reports"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, test.target, nil)
			r.Header = test.header
			about, err := agent.Asked(r)
			got := ""
			if err == nil {
				got = about.Method + " " + about.URL.RequestURI()
			}
			if got != test.want {
				t.Errorf("%q (%v), want %q", got, err, test.want)
			}
			if r.Method != test.method {
				t.Error("the question itself was changed")
			}
		})
	}
}
