package jwt

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/jetonhq/jeton/jwk"
)

// Header is the JOSE header of a token, as far as it matters here.
type Header struct {
	Algorithm jwk.Algorithm // alg
	KeyID     string        // kid; "" when absent
	Type      string        // typ as written; "" when absent

	jwk string // the raw "jwk" member; only a DPoP proof may use it
}

// EmbeddedKey is the raw "jwk" member, nil without one. It is what the sender
// says about itself: except in a DPoP proof it means nothing.
func (h Header) EmbeddedKey() json.RawMessage {
	if h.jwk == "" {
		return nil
	}
	return json.RawMessage(h.jwk)
}

// parseHeader reads the header. Parameters that carry keys or point to them
// (jku, x5u, x5c, x5t; RFC 8725 section 3.10) are read over like unknown ones.
// No extension is understood, so any "crit" is a reason to refuse (RFC 7515
// section 4.1.11), and so is an unencoded payload (RFC 7797).
func parseHeader(text string) (Header, error) {
	var h Header
	if !utf8.ValidString(text) {
		return h, malformed("header is not UTF-8")
	}
	sc := scanner{s: text}
	var seen nameset
	for more := sc.open('{', '}'); more; more = sc.more('}') {
		name := sc.name()
		if sc.err == nil && !seen.add(name) {
			sc.fail("a JSON member appears twice")
		}
		switch name {
		case "alg":
			h.Algorithm = jwk.Algorithm(sc.text())
		case "kid":
			h.KeyID = sc.text()
			if len(h.KeyID) > maxKidBytes || sc.err == nil && h.KeyID == "" {
				sc.fail("kid is empty or too long")
			}
		case "typ":
			h.Type = sc.text()
		case "jwk":
			h.jwk = sc.skip(1)
			if sc.err == nil && h.jwk[0] != '{' {
				sc.fail("jwk is not an object")
			}
		case "crit":
			sc.fail("crit names an extension that is not understood")
		case "b64":
			if sc.skip(1) != "true" {
				sc.fail("unencoded payload")
			}
		default:
			sc.skip(1)
		}
	}
	sc.end()
	if sc.err == nil && h.Algorithm == "" {
		sc.fail("header without alg")
	}
	return h, sc.err
}

// sameType compares media types as RFC 7515 section 4.1.9 has it: without regard
// to case, "application/" implied where there is no slash.
func sameType(a, b string) bool {
	return strings.EqualFold(shortType(a), shortType(b))
}

func shortType(t string) string {
	const prefix = "application/"
	if len(t) > len(prefix) && strings.EqualFold(t[:len(prefix)], prefix) && !strings.Contains(t[len(prefix):], "/") {
		return t[len(prefix):]
	}
	return t
}
