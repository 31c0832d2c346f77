package flow

import (
	"net/url"
	"strings"

	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// Mode is how an authorization response travels.
type Mode string

const (
	ModeQuery    Mode = "query"
	ModeFormPost Mode = "form_post" // OAuth 2.0 Form Post Response Mode
)

// Respond sends the browser back to the client, with a code or an error.
type Respond struct {
	ClientID    string
	RedirectURI string
	Mode        Mode
	Code        secret.Value // empty in an error response
	Error       oauth.Code
	Description string
	Cause       error // for the operator's log
	State       string
	Issuer      string
}

func (Respond) isStep() {}

// Param is one parameter of a response.
type Param struct{ Name, Value string }

// Params are the response's parameters in order. Every response carries iss
// (RFC 9207 section 2), and state exactly as it was sent.
func (r Respond) Params() []Param {
	var out []Param
	if r.Error == "" {
		out = append(out, Param{"code", r.Code.Reveal()})
	} else {
		out = append(out, Param{"error", string(r.Error)})
		if r.Description != "" {
			out = append(out, Param{"error_description", oauth.Printable(r.Description)})
		}
	}
	if r.State != "" {
		out = append(out, Param{"state", r.State})
	}
	return append(out, Param{"iss", r.Issuer})
}

// Location is the redirect URI with the parameters added to its query, which is
// otherwise kept as it was registered (OAuth 2.1 section 2.3).
func (r Respond) Location() string { return appendQuery(r.RedirectURI, r.Params()) }

// Web reports whether the answer goes to an http or https URL, not to an app
// with a scheme of its own.
func (r Respond) Web() bool { return isWeb(r.RedirectURI) }

func isWeb(uri string) bool {
	return strings.HasPrefix(uri, "https://") || strings.HasPrefix(uri, "http://")
}

func appendQuery(uri string, params []Param) string {
	var b strings.Builder
	b.WriteString(uri)
	sep := "?"
	if strings.Contains(uri, "?") {
		sep = "&"
		if strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&") {
			sep = ""
		}
	}
	for _, p := range params {
		b.WriteString(sep)
		sep = "&"
		b.WriteString(p.Name)
		b.WriteByte('=')
		b.WriteString(escape(p.Value))
	}
	return b.String()
}

// escape writes a space as %20, which every decoder reads as a space. Apps with
// a scheme of their own often use decoders that leave "+" alone.
func escape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
