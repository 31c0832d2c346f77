package jeton

import "net/http"

// The schemes, in lower case.
const (
	bearer      = "bearer"
	dpopSpelled = "dpop"
)

// extract finds the token of a request (RFC 6750 section 2.1, RFC 9449 section 7.1): in one Authorization header,
// after the scheme Bearer or DPoP. Tokens in the query and in a form are not looked for.
func extract(header http.Header) (token string, as scheme, refusal *Refusal) {
	values := header["Authorization"]
	switch len(values) {
	case 0:
		return "", bearerScheme, refuse(ReasonMissingToken)
	case 1:
		return extractValue(values[0])
	}
	return "", bearerScheme, refuse(ReasonMalformedRequest)
}

func extractValue(value string) (token string, as scheme, refusal *Refusal) {
	var rest string
	switch {
	case len(value) >= len(bearer) && equalFold(value[:len(bearer)], bearer):
		rest = value[len(bearer):]
	case len(value) >= len(dpopSpelled) && equalFold(value[:len(dpopSpelled)], dpopSpelled):
		rest, as = value[len(dpopSpelled):], dpopScheme
	default:
		return "", as, refuse(ReasonMissingToken)
	}
	i := 0
	for i < len(rest) && rest[i] == ' ' {
		i++
	}
	switch {
	case i == 0 && rest != "":
		return "", bearerScheme, refuse(ReasonMissingToken) // another scheme that begins alike
	case rest[i:] == "":
		return "", as, refuse(ReasonMalformedRequest)
	}
	return rest[i:], as, nil
}

// isToken68 reports whether s is what may follow the scheme (RFC 9110 section 11.2). It is asked only about
// tokens that were not seen before: those that were had to pass it.
func isToken68(s string) bool {
	i := 0
	for i < len(s) && token68(s[i]) {
		i++
	}
	if i == 0 {
		return false
	}
	for i < len(s) && s[i] == '=' {
		i++
	}
	return i == len(s)
}

func token68(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~' || c == '+' || c == '/'
}

// equalFold compares ASCII without regard to case; lower is lower case.
func equalFold(s, lower string) bool {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
