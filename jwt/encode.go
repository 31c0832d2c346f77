package jwt

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// MarshalJSON writes the claims in a fixed order and leaves out zero fields.
func (c Claims) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil) }

// AppendJSON appends what MarshalJSON writes. Only Extra, Actor and Events can
// make it fail.
func (c *Claims) AppendJSON(b []byte) ([]byte, error) {
	w := writer{b: append(b, '{')}
	w.text("iss", c.Issuer)
	w.text("sub", c.Subject)
	switch len(c.Audience) {
	case 0:
	case 1:
		w.name("aud")
		w.b = appendString(w.b, c.Audience[0])
	default:
		w.texts("aud", c.Audience)
	}
	w.text("client_id", c.ClientID)
	w.text("azp", c.AuthorizedParty)
	w.number("iat", c.IssuedAt)
	w.number("nbf", c.NotBefore)
	w.number("exp", c.ExpiresAt)
	w.text("jti", c.ID)
	w.text("scope", c.Scope)
	w.text("sid", c.SessionID)
	w.text("gid", c.GrantID)
	w.number("auth_time", c.AuthTime)
	w.text("acr", c.ACR)
	if len(c.AMR) > 0 {
		w.texts("amr", c.AMR)
	}
	w.text("nonce", c.Nonce)
	w.text("at_hash", c.AccessTokenHash)
	w.text("c_hash", c.CodeHash)
	w.confirmation(c.Confirmation)
	w.raw("act", c.Actor)
	w.raw("events", c.Events)
	w.text("url", c.URL)
	w.text("url#S256", c.URLHash)
	w.text("method", c.Method)
	w.number("uses", c.Uses)
	w.number("ver", c.Version)
	w.text("net", c.Network)
	w.text("htm", c.HTTPMethod)
	w.text("htu", c.HTTPURI)
	w.text("ath", c.TokenHash)
	for _, name := range slices.Sorted(maps.Keys(c.Extra)) {
		if claimBit(name) != 0 {
			return nil, fmt.Errorf("jwt: extra claim %q has a field of its own", name)
		}
		value, err := marshal(c.Extra[name])
		if err != nil {
			return nil, fmt.Errorf("jwt: extra claim: %w", err)
		}
		w.raw(name, value)
	}
	return append(w.b, '}'), nil
}

type writer struct{ b []byte }

func (w *writer) name(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(appendString(w.b, name), ':')
}

func (w *writer) text(name, value string) {
	if value != "" {
		w.name(name)
		w.b = appendString(w.b, value)
	}
}

func (w *writer) texts(name string, values []string) {
	w.name(name)
	w.b = append(w.b, '[')
	for i, value := range values {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = appendString(w.b, value)
	}
	w.b = append(w.b, ']')
}

func (w *writer) number(name string, value int64) {
	if value != 0 {
		w.name(name)
		w.b = strconv.AppendInt(w.b, value, 10)
	}
}

func (w *writer) raw(name string, value json.RawMessage) {
	if len(value) > 0 {
		w.name(name)
		w.b = append(w.b, value...)
	}
}

func (w *writer) confirmation(cnf Confirmation) {
	if cnf == (Confirmation{}) {
		return
	}
	w.name("cnf")
	w.b = append(w.b, '{')
	w.text("jkt", cnf.KeyThumbprint)
	w.text("x5t#S256", cnf.CertificateThumbprint)
	w.b = append(w.b, '}')
}

// appendString appends s as a JSON string. Invalid UTF-8 stays as it is, for the
// scan before signing to refuse.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		if c == '"' || c == '\\' {
			b = append(b, '\\', c)
		} else {
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}

// printable reports whether s can stand in a header without surprise.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}
