package oauth

import "strings"

// BearerChallenge is one WWW-Authenticate value of the Bearer scheme (RFC 6750
// section 3, RFC 9728 section 5.1). Empty members are left out. Every value is
// reduced to the characters the grammar allows, so no input can break out of
// its quotes.
type BearerChallenge struct {
	Realm            string
	Error            Code
	Description      string
	Scope            string
	ResourceMetadata string // absolute URL
	ACRValues        string // RFC 9470 section 3
	MaxAge           string // RFC 9470 section 3, seconds
}

// String renders the challenge. With no member set it still carries a realm,
// because a bare scheme is not a challenge (RFC 9110 section 11.6.1 wants
// clients to be able to tell realms apart, and SPECS RS-3 a parameter).
func (c BearerChallenge) String() string { return c.render(Bearer) }

// DPoP renders the challenge for the scheme DPoP (RFC 9449 section 7.1), with the
// algorithms that proofs may use.
func (c BearerChallenge) DPoP(algorithms ...string) string {
	return c.render(DPoP) + `, algs="` + Printable(strings.Join(algorithms, " ")) + `"`
}

func (c BearerChallenge) render(scheme string) string {
	var b strings.Builder
	b.WriteString(scheme)
	sep := " "
	add := func(name, value string) {
		if value == "" {
			return
		}
		b.WriteString(sep)
		b.WriteString(name)
		b.WriteString(`="`)
		b.WriteString(Printable(value))
		b.WriteByte('"')
		sep = ", "
	}
	if c.Realm == "" && c.ResourceMetadata == "" {
		c.Realm = "api"
	}
	add("realm", c.Realm)
	add("error", string(c.Error))
	add("error_description", c.Description)
	add("scope", c.Scope)
	add("acr_values", c.ACRValues)
	add("max_age", c.MaxAge)
	add("resource_metadata", c.ResourceMetadata)
	return b.String()
}

// Printable keeps the characters allowed in error, error_description and
// challenge values (OAuth 2.1 section 3.2.4: 0x20-21, 0x23-5B, 0x5D-7E) and
// replaces every other byte by a space.
func Printable(s string) string {
	ok := func(c byte) bool { return c >= 0x20 && c <= 0x7e && c != '"' && c != '\\' }
	for i := range len(s) {
		if !ok(s[i]) {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if !ok(b[j]) {
					b[j] = ' '
				}
			}
			return string(b)
		}
	}
	return s
}
