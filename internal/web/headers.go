package web

import (
	"net/http"
	"net/url"
	"strings"
)

// setHeaders sets what every answer of this package carries (SPECS HT-5). There
// are no CORS headers: no script of another site has any business here.
func (h *Handler) setHeaders(header http.Header) {
	header.Set("Content-Security-Policy", policy("'self'", ""))
	header.Set("X-Frame-Options", "DENY")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	if h.secure {
		header.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
	}
}

// policy is the content security policy. formAction lists where forms may lead;
// script is the hash of the page's one script, if it has one.
func policy(formAction, script string) string {
	var b strings.Builder
	b.WriteString("default-src 'none'; style-src 'self'; img-src 'self' data:; ")
	if script != "" {
		b.WriteString("script-src '" + script + "'; ")
	}
	b.WriteString("form-action " + formAction + "; frame-ancestors 'none'; base-uri 'none'")
	return b.String()
}

// allowForm lets the forms of a page end at the client. A browser holds
// form-action against every redirect that follows a form, also against those of
// the client's own servers after the answer arrived there, which cannot be
// listed. So answers to web addresses leave through a page of ours (see leave),
// and 'self' is enough; only an app with a scheme of its own, which must be
// reached in one go from the click, is named here.
func allowForm(header http.Header, redirectURI string) {
	if scheme := ownScheme(redirectURI); scheme != "" {
		header.Set("Content-Security-Policy", policy("'self' "+scheme+":", ""))
	}
}

// allowPost lets a page post an answer to a client, with or without the script.
// Where the client's server goes on from there is not ours to know: hence schemes.
func allowPost(header http.Header, redirectURI string) {
	target := "https:"
	if strings.HasPrefix(redirectURI, "http:") {
		target = "http: https:" // loopback, in development
	}
	header.Set("Content-Security-Policy", policy(target, scriptHash(postScript)))
}

// ownScheme is the scheme of an app's redirect URI that is not a web address.
func ownScheme(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "http" || u.Scheme == "https" {
		return ""
	}
	return u.Scheme
}
