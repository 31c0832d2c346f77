package agent

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Headers in which a proxy says which request it asks about. Traefik and Caddy
// set them by themselves.
const (
	headerMethod = "X-Forwarded-Method"
	headerURI    = "X-Forwarded-Uri"
)

var (
	errAsked = errors.New("the proxy does not say once which request it asks about, in " + headerMethod + " and " + headerURI)
	errURI   = errors.New("the URI of a request cannot be read")
)

// asked is the request that the proxy holds back, as far as it matters: central
// policies and tokens for one URL go by method and URI. Without them a policy
// would silently not apply, so a proxy has to tell.
func asked(r *http.Request) (*http.Request, error) {
	method, uri := r.Method, ""
	if below, ok := strings.CutPrefix(r.URL.RequestURI(), checkPath+"/"); ok {
		uri = "/" + below // Envoy asks with the request's own method, path and query
	} else {
		methods, uris := r.Header.Values(headerMethod), r.Header.Values(headerURI)
		if len(methods) != 1 || len(uris) != 1 || methods[0] == "" || uris[0] == "" {
			return nil, errAsked
		}
		method, uri = methods[0], uris[0]
	}
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return nil, errURI
	}
	about := r.WithContext(r.Context()) // a shallow copy
	about.Method, about.URL = method, u
	if _, err := netip.ParseAddrPort(r.RemoteAddr); err != nil {
		about.RemoteAddr = "127.0.0.1:0" // by a socket of this machine
	}
	return about, nil
}
