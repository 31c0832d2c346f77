package jeton

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/jetonhq/jeton/oauth"
)

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") && u.RawQuery == "" && u.Fragment == ""
}

// MetadataPath is where the resource metadata belongs: /.well-known/oauth-protected-resource, followed by
// the path of the audience if it has one (RFC 9728 section 3.1). It is "" when the audience is no URL.
func (g *Guard) MetadataPath() string {
	u, err := url.Parse(g.metadataURL)
	if err != nil {
		return ""
	}
	return u.EscapedPath()
}

// Metadata serves the resource metadata (RFC 9728), which tells clients where to get tokens. Challenges point
// to it. Mount it without the guard:
//
//	mux.Handle("GET "+guard.MetadataPath(), guard.Metadata())
func (g *Guard) Metadata() http.Handler {
	document := oauth.ResourceMetadata{
		Resource:               g.config.Audience,
		AuthorizationServers:   []string{g.config.Issuer},
		ScopesSupported:        g.config.Scopes,
		BearerMethodsSupported: []string{"header"},
		ResourceName:           g.config.ResourceName,
	}
	if g.bindable() {
		document.DPoPSigningAlgValuesSupported = g.proofs.names
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		switch {
		case g.metadataURL == "":
			http.NotFound(w, r)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("Access-Control-Allow-Origin", "*")
		now := document
		now.DPoPBoundAccessTokensRequired = g.config.RequireDPoP || g.policies.bindAll()
		body, _ := json.Marshal(now) // texts always marshal
		_, _ = w.Write(body)
	})
}
