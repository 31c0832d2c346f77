package agent

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/oauth"
)

// Headers in which a proxy's configuration can demand something, for proxies
// that cannot set the query of the question.
const (
	headerScope  = "X-Jeton-Scope"
	headerMaxAge = "X-Jeton-Max-Age"
	headerClient = "X-Jeton-Client"
	headerAuth   = "X-Jeton-Auth-Age"
	headerACR    = "X-Jeton-Acr"
	headerDPoP   = "X-Jeton-Dpop"
	headerNet    = "X-Jeton-Network"
)

// Fixed texts: they are logged and answered.
var (
	errQuery   = errors.New("the query of /check is malformed")
	errUnknown = errors.New("the query of /check has a parameter other than scope, max_age, client, auth_age, acr, network and dpop")
	errScope   = errors.New("the demanded scope is empty or malformed")
	errMaxAge  = errors.New("the demanded max_age is no positive duration such as 5m or 30s")
	errClient  = errors.New("the demanded client is empty")
	errAuth    = errors.New("the demanded auth_age is no positive duration such as 5m or 30s")
	errACR     = errors.New("the demanded acr is empty")
	errDPoP    = errors.New("the demanded dpop is not required")
	errNetwork = errors.New("the demanded network is neither flag nor enforce")
)

// demandsOf reads what the proxy's configuration demands. All of it must hold,
// whether it comes from the query, from headers or from both: what a client
// manages to add can only make its own request fail.
//
// Below /check/ the path and the query are those of the client's request, which
// is how Envoy asks, so that only headers count.
func demandsOf(r *http.Request) ([]jeton.Demand, error) {
	var demands []jeton.Demand
	query := url.Values{}
	if r.URL.Path == checkPath {
		var err error
		if query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			return nil, errQuery
		}
	}
	for name := range query {
		if !slices.Contains([]string{"scope", "max_age", "client", "auth_age", "acr", "network", "dpop"}, name) {
			return nil, errUnknown // misspelt, it would demand nothing
		}
	}
	for _, source := range []struct{ scopes, ages, clients, auths, acrs, networks, dpops []string }{
		{query["scope"], query["max_age"], query["client"], query["auth_age"], query["acr"], query["network"], query["dpop"]},
		{r.Header.Values(headerScope), r.Header.Values(headerMaxAge), r.Header.Values(headerClient), r.Header.Values(headerAuth), r.Header.Values(headerACR), r.Header.Values(headerNet), r.Header.Values(headerDPoP)},
	} {
		for _, text := range source.scopes {
			scope, ok := oauth.ParseScope(text)
			if !ok || len(scope) == 0 {
				return nil, errScope
			}
			demands = append(demands, jeton.Scope(scope...))
		}
		for _, text := range source.ages {
			age, err := time.ParseDuration(text)
			if err != nil || age <= 0 {
				return nil, errMaxAge
			}
			demands = append(demands, jeton.MaxAge(age))
		}
		for _, text := range source.clients {
			ids := strings.Fields(text) // one of them
			if len(ids) == 0 {
				return nil, errClient
			}
			demands = append(demands, jeton.Clients(ids...))
		}
		for _, text := range source.auths {
			age, err := time.ParseDuration(text)
			if err != nil || age <= 0 {
				return nil, errAuth
			}
			demands = append(demands, jeton.AuthAge(age))
		}
		for _, text := range source.acrs {
			values := strings.Fields(text) // one of them
			if len(values) == 0 {
				return nil, errACR
			}
			demands = append(demands, jeton.ACR(values...))
		}
		for _, text := range source.dpops {
			if text != "required" {
				return nil, errDPoP // misspelt, it would demand nothing
			}
			demands = append(demands, jeton.RequireDPoP())
		}
		for _, text := range source.networks {
			mode, ok := map[string]jeton.NetworkMode{"flag": jeton.Flag, "enforce": jeton.Enforce}[text]
			if !ok {
				return nil, errNetwork
			}
			demands = append(demands, jeton.Network(mode))
		}
	}
	return demands, nil
}
