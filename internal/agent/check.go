package agent

import (
	"errors"
	"net/http"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/oauth"
)

// checkPath is where proxies ask. Envoy puts the path of the client's request
// behind it.
const checkPath = "/check"

// headerSecret is where a proxy shows the caller secret: Authorization has the
// token.
const headerSecret = "X-Jeton-Secret"

var (
	errNoSecret = errors.New("the proxy does not show the caller secret in " + headerSecret)
	errIdentity = errors.New("a claim of the token cannot be written in a header")
)

// check decides about the request that a proxy holds back: 200 lets it pass,
// with the identity headers; 401, 403 and 503 are for the proxy to give to its
// client. Everything else is a fault of the proxy's configuration and, like
// every answer but 2xx, keeps the request out.
func (a *Agent) check(w http.ResponseWriter, r *http.Request) {
	if !a.cfg.CallerSecret.Empty() && !a.cfg.CallerSecret.Equal(r.Header.Get(headerSecret)) {
		a.misconfigured(w, r, errNoSecret)
		return
	}
	demands, err := demandsOf(r)
	if err != nil {
		a.misconfigured(w, r, err)
		return
	}
	about, err := asked(r)
	if err != nil {
		a.misconfigured(w, r, err)
		return
	}
	// Not 204: Envoy lets only 200 pass.
	pass := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !identify(w.Header(), jeton.FromContext(r.Context())) {
			a.misconfigured(w, r, errIdentity)
			return
		}
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
	})
	a.guard.Require(pass, demands...).ServeHTTP(proxyAnswer{w}, about)
}

// misconfigured keeps a request out whose demands are not understood, and says
// so once per problem: it is the operator's to mend, and happens on each request.
func (a *Agent) misconfigured(w http.ResponseWriter, r *http.Request, err error) {
	if _, again := a.told.LoadOrStore(err, true); !again {
		a.log.ErrorContext(r.Context(), "a proxy asked in a way that cannot be answered; its requests are refused", "error", err)
	}
	answer(w, http.StatusInternalServerError, oauth.ErrorResponse{Error: oauth.ServerError, Description: err.Error()})
}

// proxyAnswer makes 401 of 400. Proxies know a refusal by 401 and 403, and
// nginx takes any other status for a failure of the agent.
type proxyAnswer struct{ http.ResponseWriter }

func (w proxyAnswer) WriteHeader(status int) {
	if status == http.StatusBadRequest {
		status = http.StatusUnauthorized
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w proxyAnswer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
