package agent

import (
	"net/http"

	"github.com/jetonhq/jeton"
)

// headerReason says why a token was refused.
const headerReason = "Jeton-Reason"

// identity is what a proxy is told of a token it lets pass. docs/agent.md lists
// the same names, and proxies must take them off what comes from outside.
var identity = []struct {
	header string
	value  func(*jeton.Token) string
}{
	{"Jeton-Subject", func(t *jeton.Token) string { return t.Subject }},
	{"Jeton-Client", func(t *jeton.Token) string { return t.ClientID }},
	{"Jeton-Scope", func(t *jeton.Token) string { return t.Scope }},
	{"Jeton-Token", func(t *jeton.Token) string { return t.ID }},
	{"Jeton-Grant", func(t *jeton.Token) string { return t.GrantID }},
	{"Jeton-Session", func(t *jeton.Token) string { return t.SessionID }},
}

// identify sets every identity header, empty where the token has nothing to
// say: a proxy that replaces the request's headers with ours then leaves none
// of the client's. It reports false if a value would not arrive as it is.
func identify(h http.Header, t *jeton.Token) bool {
	for _, id := range identity {
		value := id.value(t)
		if !plain(value) {
			return false
		}
		h.Set(id.header, value)
	}
	return true
}

// plain reports whether a value passes through headers unchanged: visible
// ASCII, and spaces inside.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == ' ' && (i == 0 || i == len(s)-1) {
			return false
		}
	}
	return true
}
